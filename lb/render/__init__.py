"""Turns a plan into the text of haproxy.cfg, and checks it before HAProxy reads it: pure."""
