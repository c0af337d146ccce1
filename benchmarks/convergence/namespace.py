"""A network namespace for each trial, so that its counters know nobody else's packets (unshare(1))."""

import fcntl
import socket
import struct
import subprocess
from collections.abc import Sequence

SIOCSIFFLAGS = 0x8914
IFF_UP = 1
ATTEMPTS = (["unshare", "--net"], ["unshare", "--map-root-user", "--net"])
"""As root, then as anybody where the kernel lets everybody make user namespaces."""
ATTEMPT_LIMIT = 10.0


def isolating_command() -> Sequence[str]:
    """Return what, put before a command, runs it in a network namespace of its own; empty if nothing does."""
    for attempt in ATTEMPTS:
        try:
            done = subprocess.run([*attempt, "true"], capture_output=True, timeout=ATTEMPT_LIMIT, check=False)
        except FileNotFoundError:
            return ()
        if done.returncode == 0:
            return attempt
    return ()


def raise_loopback() -> None:
    """Switch on the loopback interface of a new namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
