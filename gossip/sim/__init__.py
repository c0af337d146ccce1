"""The deterministic driver: many nodes on virtual time, under every kind of fault."""
