"""How fast and how heavy real agents are, ours beside Serf's: clusters on loopback, one table of ratios."""
