"""Whether HAProxy can listen where a configuration says, asked before HAProxy has to find out.

`haproxy -c` accepts a port that somebody else has and an address that is not ours; the reload then pauses the
old listeners for two seconds while it tries, and that is an outage. Only *new* addresses are tried: those
that HAProxy has already are its own.
"""

import errno
import socket
from contextlib import suppress

from gossip.errors import os_reason
from lb.haproxy.config_text import Listener, listeners

_FATAL = {errno.EADDRINUSE, errno.EADDRNOTAVAIL}
"""Whether a port below 1024 is allowed is a matter of HAProxy's user, not of ours."""


def find_unbindable(before: bytes | None, after: bytes) -> str:
    """Return in words which new listener of `after` cannot be had, "" if all can; binds them for a moment."""
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
        # As HAProxy does: an address that it holds under another name (`*:80`) is no obstacle for it.
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            with suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            probe.bind((listener.host, listener.port))
        except OSError as error:
            return os_reason(error) if error.errno in _FATAL else ""
    return ""
