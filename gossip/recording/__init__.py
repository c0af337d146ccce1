"""Flight recordings: the state of a node, every input since, and their replay."""
