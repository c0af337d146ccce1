"""Where a configuration listens, and whether that is possible, asked before HAProxy has to find out.

`haproxy -c` accepts a port that somebody else has and an address that is not ours; the reload then pauses the
old listeners for two seconds while it tries, and that is an outage. Only *new* addresses are tried: those
that HAProxy has already are its own.
"""

import errno
import re
import socket
from contextlib import suppress

from msgspec import Struct

_BIND = re.compile(r"^\s+bind\s+(\S+)", re.MULTILINE)
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>\*|[0-9.]+)?):(?P<port>\d{1,5})")
_WILDCARD = {"": "0.0.0.0", "*": "0.0.0.0"}  # noqa: S104 - what HAProxy itself would bind
_FATAL = {errno.EADDRINUSE, errno.EADDRNOTAVAIL}
"""Whether a port below 1024 is allowed is a matter of HAProxy's user, not of ours."""


class Listener(Struct, frozen=True, order=True):
    """An address of a ``bind`` line."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port``, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listeners(content: bytes) -> frozenset[Listener]:
    """Return the TCP addresses on which `content` listens; sockets and names are left to HAProxy."""
    found: set[Listener] = set()
    for words in _BIND.findall(content.decode("utf-8", "replace")):
        for text in words.split(","):
            if address := _ADDRESS.fullmatch(text):
                host = address["v6"] or _WILDCARD.get(address["v4"] or "", address["v4"])
                found.add(Listener(host, int(address["port"])))
    return frozenset(found)


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
        return (error.strerror or str(error)).lower()
    with probe:
        # As HAProxy does: an address that it holds under another name (`*:80`) is no obstacle for it.
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            with suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            probe.bind((listener.host, listener.port))
        except OSError as error:
            return (error.strerror or str(error)).lower() if error.errno in _FATAL else ""
    return ""
