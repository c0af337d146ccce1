"""Serf's IPC protocol: what both sides share, and the blocking client."""
