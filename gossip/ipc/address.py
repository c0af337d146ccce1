"""Addresses as IPC clients meet them: where an agent's IPC listens, and a member's raw IP address.

Knows the syntax only. It does not use `gossip.wire.address`: the command line answers within
milliseconds, and importing msgspec and ipaddress would cost it half of them.
"""

import socket
from typing import NamedTuple

from gossip.errors import ConfigError
from gossip.host_port import host_port

DEFAULT_PORT = 7373
DEFAULT_ADDRESS = f"127.0.0.1:{DEFAULT_PORT}"
MAX_PORT = 65535
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
        ConfigError: `text` is none of them.
    """
    if text.startswith("/"):
        return UnixAddress(text)
    if text.startswith(UNIX_PREFIX):
        path = text.removeprefix(UNIX_PREFIX)
        if path:
            return UnixAddress(path)
    else:
        host, port = _split(text)
        if (host or port) and _is_host(host) and _is_port(port):
            return TcpAddress(host, int(port))
    raise ConfigError(f"agent address {text!r} is not HOST:PORT, [IPV6]:PORT or unix:PATH")


def _split(text: str) -> tuple[str, str]:
    """Return host and port as written, the default port if there is none."""
    if text.startswith("["):
        host, closing, port = text[1:].partition("]")
        if closing and not port:
            return host, str(DEFAULT_PORT)
        return host, port[1:] if port.startswith(":") else ""
    if text.count(":") > 1:
        return text, str(DEFAULT_PORT)
    host, colon, port = text.partition(":")
    return host, port if colon or not host else str(DEFAULT_PORT)


def _is_host(text: str) -> bool:
    return text.isprintable() and not any(char in " []/" for char in text)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= MAX_PORT


def host_text(addr: bytes) -> str:
    """Return a member's raw IP address as text; what is no address is shown as ``?`` and hex, as Go does."""
    if len(addr) == 16 and addr.startswith(MAPPED_PREFIX):
        addr = addr[12:]
    if len(addr) == 4:
        return socket.inet_ntop(socket.AF_INET, addr)
    if len(addr) == 16:
        return socket.inet_ntop(socket.AF_INET6, addr)
    return f"?{addr.hex()}" if addr else ""
