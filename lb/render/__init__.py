"""A plan becomes the text of haproxy.cfg, which is checked before HAProxy reads it: pure."""
