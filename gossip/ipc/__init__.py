"""Serf's IPC protocol: the parts that both sides share, and the blocking client."""
