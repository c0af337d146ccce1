"""The demonstration: a whole cluster of local processes, a load on it, and a scripted story."""
