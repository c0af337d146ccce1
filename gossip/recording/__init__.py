"""Flight recordings: what a node was, everything that it was told since, and how to go through it again."""
