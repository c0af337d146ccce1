"""The device: one HAProxy in master-worker mode, its sockets, its process and its configuration text."""
