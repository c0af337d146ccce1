"""Bytes <-> messages of memberlist and Serf; no state, no clock."""
