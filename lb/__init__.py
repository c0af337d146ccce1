"""The load-balancer side: a converged member list becomes a running HAProxy configuration."""
