"""Load balancers in the simulated cluster, driven by the same policy as the real one."""
