"""A finished file reaches the running HAProxy: lock, swap, reload, verification, and the way back."""
