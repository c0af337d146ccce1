"""The `gossip` command line."""
