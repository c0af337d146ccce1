"""The demonstration: a whole cluster of local processes, a load on it, and a story that unfolds."""
