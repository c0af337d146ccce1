"""Addresses of IPC clients: the address of an agent's IPC, and a member's raw IP address.

Only the syntax. `gossip.wire.address` is not used: the command line answers within milliseconds, and
importing msgspec and ipaddress would take half of them.
"""

import socket
from typing import NamedTuple

from gossip.errors import ConfigError
from gossip.host_port import host_port, is_host, parse_port, split_host_port

DEFAULT_PORT = 7373
DEFAULT_ADDRESS = f"127.0.0.1:{DEFAULT_PORT}"
UNIX_PREFIX = "unix:"
MAPPED_PREFIX = bytes(10) + b"\xff\xff"


class TcpAddress(NamedTuple):
    """A host (name or address; empty: this machine) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port``, an IPv6 host in brackets."""
        return host_port(self.host, self.port)


class UnixAddress(NamedTuple):
    """The path of a Unix socket."""

    path: str

    def __str__(self) -> str:
        """Return the path."""
        return self.path


AgentAddress = TcpAddress | UnixAddress


def parse_agent_address(text: str) -> AgentAddress:
    """Read ``host[:port]``, ``[ipv6]:port``, ``unix:PATH`` or a path that begins with a slash.

    Raises:
        ConfigError: `text` is none of these.
    """
    if text.startswith("/"):
        return UnixAddress(text)
    if text.startswith(UNIX_PREFIX):
        path = text.removeprefix(UNIX_PREFIX)
        if path:
            return UnixAddress(path)
    else:
        host, port_text = split_host_port(text) or ("", "")
        port = DEFAULT_PORT if port_text is None else parse_port(port_text)
        if text and port and is_host(host):
            return TcpAddress(host, port)
    raise ConfigError(f"agent address {text!r} is not HOST:PORT, [IPV6]:PORT or unix:PATH")


def host_text(addr: bytes) -> str:
    """Return a member's raw IP address as text; if it is not an address, ``?`` and hex, as in Go."""
    if len(addr) == 16 and addr.startswith(MAPPED_PREFIX):
        addr = addr[12:]
    if len(addr) == 4:
        return socket.inet_ntop(socket.AF_INET, addr)
    if len(addr) == 16:
        return socket.inet_ntop(socket.AF_INET6, addr)
    return f"?{addr.hex()}" if addr else ""
