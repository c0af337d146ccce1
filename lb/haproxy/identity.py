"""The user and the directory of HAProxy: its default user, and the working directory of its master.

Only a root master can change its user; any other would refuse the file. Our own child runs as we do; a
running master is identified through its socket, whose credentials the kernel remembers (SO_PEERCRED).
"""

import grp
import os
import pwd
import socket
import struct
from pathlib import Path
from typing import NamedTuple

from lb.haproxy.incumbent import identify

NAME = "haproxy"
"""User and group in Debian's package and in the official image."""
_CREDENTIALS = struct.Struct("iII")
_PATIENCE = 1.0


class _Peer(NamedTuple):
    pid: int
    uid: int


def unprivileged(master_socket: Path, *, is_started_by_us: bool) -> tuple[str, str] | None:
    """Return user and group for HAProxy's workers; None if there are none, or HAProxy cannot change to them.

    If `master_socket` does not answer, HAProxy is assumed to run as the same user as this process.
    """
    peer = None if is_started_by_us else _peer(master_socket)
    if (os.geteuid() if peer is None else peer.uid) != 0:
        return None
    try:
        pwd.getpwnam(NAME)
        grp.getgrnam(NAME)
    except KeyError:
        return None
    return NAME, NAME


def working_directory(master_socket: Path) -> Path:
    """Return the directory in which the running master resolves relative references; ours if it is unknown.

    A HAProxy that we start inherits ours.
    """
    peer = _peer(master_socket)
    here = Path.cwd()
    if peer is None:
        return here
    try:
        process = Path("/proc") / str(peer.pid)
        is_haproxy = (process / "comm").read_text().strip() == NAME
        found = (process / "cwd").readlink()
    except OSError:
        return here
    return found if is_haproxy and found.is_dir() else here


def files_read_by(master_socket: Path) -> tuple[Path, ...]:
    """Return the files (``-f``) of the running master; none if they are unknown."""
    peer = _peer(master_socket)
    found = None if peer is None else identify(peer.pid)
    return () if found is None else found.files


def _peer(path: Path) -> _Peer | None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PATIENCE)
        try:
            probe.connect(str(path))
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return None
    pid, uid, _ = _CREDENTIALS.unpack(credentials)
    return _Peer(pid, uid)
