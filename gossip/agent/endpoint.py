"""Listening addresses and seeds in text form: ``[nodename/]host[:port]``, or a socket path.

Only the syntax (Serf's join addresses, serf-wire 3.13): other modules resolve names and open sockets. IPv6
addresses are in brackets if a port follows.
"""

from pathlib import Path

from msgspec import Struct

from gossip.host_port import MAX_PORT, host_port, is_host, parse_port, split_host_port

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
    """One address to join: the host as written, its port, and the node expected there (empty: any)."""

    host: str
    port: int
    node: str = ""


def parse_endpoint(text: str, default_port: int) -> Endpoint:
    """Split ``host[:port]``; a bare IPv6 address without a port needs no brackets.

    Raises:
        ValueError: the text is empty, a bracket is not closed, or the port is not in 0..65535.
    """
    parts = split_host_port(text.strip())
    if parts is None:
        raise ValueError(f"{text!r} is not [address]:port")
    host, port_text = parts
    if not host:
        raise ValueError(f"{text!r} names no host: expected host[:port]")
    if not is_host(host):
        raise ValueError(f"{text!r} is not host[:port] (IPv6 as [::1]:{default_port})")
    port = default_port if port_text is None else parse_port(port_text)
    if port is None:
        raise ValueError(f"{text!r} has the port {port_text!r}: expected 0..{MAX_PORT}")
    return Endpoint(host, port)


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
