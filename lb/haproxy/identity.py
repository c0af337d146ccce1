"""As whom HAProxy's workers run when nobody says so: not as root, where there is a user for it.

Only a master that is root can change its user; one that is not would refuse the file. Our own child is what
we are; a running master is asked through its socket, whose credentials the kernel remembers (SO_PEERCRED).
"""

import grp
import os
import pwd
import socket
import struct
from pathlib import Path

NAME = "haproxy"
"""User and group that Debian's package makes, and the official image has."""
_CREDENTIALS = struct.Struct("iII")
_PATIENCE = 1.0


def unprivileged(master_socket: Path, *, is_started_by_us: bool) -> tuple[str, str] | None:
    """Return user and group for HAProxy's workers; None if there are none, or HAProxy cannot change to them.

    Without an answer on `master_socket` HAProxy is taken to run as the same user as this process.
    """
    uid = None if is_started_by_us else _uid_behind(master_socket)
    if (os.geteuid() if uid is None else uid) != 0:
        return None
    try:
        pwd.getpwnam(NAME)
        grp.getgrnam(NAME)
    except KeyError:
        return None
    return NAME, NAME


def _uid_behind(path: Path) -> int | None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PATIENCE)
        try:
            probe.connect(str(path))
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return None
    return int(_CREDENTIALS.unpack(credentials)[1])
