"""Brings a finished file to the running HAProxy: lock, swap, reload, verification, and rollback."""
