"""Decides which servers the load balancer has, from what gossip and HAProxy say: pure, no clock, no I/O."""
