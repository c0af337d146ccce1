"""Memberlist's semantics: probing, suspicion, dissemination, anti-entropy; pure."""
