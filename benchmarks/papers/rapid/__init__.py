"""Rapid's experiments (Suresh et al., USENIX ATC'18) with memberlist's rules: the baseline to beat."""
