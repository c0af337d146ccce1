"""Attacks on an agent, on loopback and bounded: what they cost it, and whether its peers notice."""
