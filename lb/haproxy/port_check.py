"""Checks whether HAProxy can listen on the addresses in a configuration, before HAProxy tries.

`haproxy -c` accepts a port that is in use and an address that is not ours; the reload then pauses the old
listeners for two seconds while it tries, which is an outage. Only *new* addresses are tried: existing ones
belong to HAProxy itself.
"""

import errno
import socket
from contextlib import suppress

from gossip.errors import os_reason
from lb.haproxy.config_text import Listener, listeners

_FATAL = {errno.EADDRINUSE, errno.EADDRNOTAVAIL}
"""Whether a port below 1024 is permitted depends on HAProxy's user, not on ours."""


def find_unbindable(before: bytes | None, after: bytes) -> str:
    """Return the new listener of `after` that cannot be bound, "" if all can; binds them for a moment."""
    for listener in sorted(listeners(after) - listeners(before or b"")):
        if problem := _try(listener):
            return f"cannot listen on {listener}: {problem}"
    return ""


def _try(listener: Listener) -> str:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    try:
        probe = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return os_reason(error)
    with probe:
        # As in HAProxy: an address that it holds under another name (`*:80`) is no obstacle.
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            with suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            probe.bind((listener.host, listener.port))
        except OSError as error:
            return os_reason(error) if error.errno in _FATAL else ""
    return ""
