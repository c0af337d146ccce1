"""Reports the agent's state to a supervisor: s6's notification descriptor, systemd's NOTIFY_SOCKET."""

import logging
import os
import socket
from collections.abc import Mapping

from gossip.errors import ConfigError

NOTIFY_VARIABLE = "NOTIFY_SOCKET"
READY = b"READY=1"
STOPPING = b"STOPPING=1"

log = logging.getLogger("gossip.agent")


def check_ready_fd(ready_fd: int | None) -> None:
    """Refuse a descriptor that is not open, before one of our sockets gets its number.

    Raises:
        ConfigError: `ready_fd` is not open.
    """
    if ready_fd is None:
        return
    try:
        os.fstat(ready_fd)
    except (OSError, OverflowError):
        raise ConfigError(
            f"ready_fd {ready_fd} is not an open descriptor: the supervisor has to open it"
        ) from None


def announce_ready(ready_fd: int | None, environ: Mapping[str, str]) -> None:
    """Report that the agent serves: a newline on `ready_fd`, which is then closed, and ``READY=1``."""
    if ready_fd is not None:
        try:
            os.write(ready_fd, b"\n")
            os.close(ready_fd)
        except OSError as error:
            log.warning("cannot announce readiness", extra={"fd": ready_fd, "reason": error.strerror})
    notify(READY, environ)


def notify(state: bytes, environ: Mapping[str, str]) -> None:
    """Send `state` to the supervisor's socket, if there is one; a missing supervisor does no harm."""
    path = environ.get(NOTIFY_VARIABLE, "")
    if not path:
        return
    where = "\0" + path[1:] if path.startswith("@") else path  # an abstract name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(state, where)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        log.warning("cannot notify the supervisor", extra={"socket": path, "reason": error})
