"""A site of containers under load: ours, real Serf with scripts, HAProxy with DNS alone."""
