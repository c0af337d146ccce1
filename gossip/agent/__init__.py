"""The Trio shell that drives a core on real sockets."""
