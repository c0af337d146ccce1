"""The deterministic driver: many cores on virtual time, under every fault that has a name."""
