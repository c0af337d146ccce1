"""Where things listen and where seeds are, as people write them: ``[nodename/]host[:port]``, a socket path.

Knows the syntax only (Serf's join addresses, serf-wire 3.13): resolving names and opening sockets is done
elsewhere. IPv6 addresses stand in brackets when a port follows.
"""

from pathlib import Path

from msgspec import Struct

from gossip.host_port import host_port
from gossip.wire.address import MAX_PORT

GOSSIP_PORT = 7946
RPC_PORT = 7373
UNIX_PREFIX = "unix:"


class Endpoint(Struct, frozen=True):
    """A host (name or address, as written) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port``, an IPv6 host in brackets."""
        return host_port(self.host, self.port)


class Seed(Struct, frozen=True):
    """One address to join: the host as written, its port, and the node expected there (empty: anyone)."""

    host: str
    port: int
    node: str = ""


def parse_endpoint(text: str, default_port: int) -> Endpoint:
    """Split ``host[:port]``; a bare IPv6 address needs no brackets when it has no port.

    Raises:
        ValueError: the text is empty, a bracket is not closed, or the port is not in 0..65535.
    """
    host, port = _split(text.strip())
    if not host:
        raise ValueError(f"{text!r} names no host: expected host[:port]")
    if any(char.isspace() or char in "[]" for char in host):
        raise ValueError(f"{text!r} is not host[:port] (IPv6 as [::1]:{default_port})")
    return Endpoint(host, default_port if port is None else _parse_port(port, text))


def parse_seed(text: str, default_port: int) -> Seed:
    """Split ``[nodename/]host[:port]``.

    Raises:
        ValueError: as for `parse_endpoint`.
    """
    node, slash, rest = text.rpartition("/")
    if slash and not node:
        raise ValueError(f"{text!r} has an empty node name before the slash")
    endpoint = parse_endpoint(rest, default_port)
    return Seed(endpoint.host, endpoint.port, node)


def parse_rpc_address(text: str) -> Endpoint | Path | None:
    """Return where the RPC listens: host and port, the path of a Unix socket, or None for an empty text.

    Raises:
        ValueError: as for `parse_endpoint`, or the socket's path is empty.
    """
    if not text:
        return None
    if text.startswith(UNIX_PREFIX):
        path = text.removeprefix(UNIX_PREFIX)
        if not path:
            raise ValueError(f"{text!r} names no path: expected unix:/path/to/socket")
        return Path(path)
    if text.startswith("/"):
        return Path(text)
    return parse_endpoint(text, RPC_PORT)


def _split(text: str) -> tuple[str, str | None]:
    """Return host and port as written; the port is None when there is none."""
    if text.startswith("["):
        host, closing, rest = text[1:].partition("]")
        if not closing or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not [address]:port")
        return host, rest[1:] if rest else None
    if text.count(":") > 1:
        return text, None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def _parse_port(port: str, text: str) -> int:
    if not (port.isascii() and port.isdigit() and int(port) <= MAX_PORT):
        raise ValueError(f"{text!r} has the port {port!r}: expected 0..{MAX_PORT}")
    return int(port)
