"""Serf's layer over SWIM: Lamport clocks, intents, tags, events; pure."""
