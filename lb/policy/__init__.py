"""Decides which servers the load balancer has, from reports of gossip and HAProxy: pure, no clock, no I/O."""
