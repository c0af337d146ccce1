"""The required form of a member's words before they may reach haproxy.cfg: an allow-list, never escaping.

Names, tags and addresses come from the network, and HAProxy's own check passes most injections, so a value
either has the exact form below or is refused (a name is replaced). This module does not know members,
backends or files.
"""

import re
from collections.abc import Set
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from gossip.errors import ConfigError
from gossip.host_port import MAX_PORT
from gossip.wire.address import METADATA_SERVICES

Network = IPv4Network | IPv6Network

MAX_NAME = 63
MAX_STEM = 48
"""Characters kept of a name that must be replaced; the hash follows."""
HASH_DIGITS = (8, 16, 32)
"""Lengths of the hash in a replaced name: a longer one is used only if a shorter one is taken."""
MAX_WEIGHT = 256
MAX_SERVER_ID = 2**31 - 1
PRIVATE_NETWORKS: tuple[Network, ...] = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv6Network("fc00::/7"),
)
"""RFC 1918 and unique local addresses (RFC 4193)."""
WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - the host of a listener on every address

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,4}")


def is_clean(name: str) -> bool:
    """Return whether `name` may appear unchanged in the file and in a runtime command."""
    return _NAME.fullmatch(name) is not None


def replaced_name(name: str, digits: int = HASH_DIGITS[0]) -> str:
    """Return a clean name for `name`, distinguished from similar ones by `digits` of its SHA-256."""
    stem = _UNSAFE.sub("-", name).lstrip("-_.")[: min(MAX_STEM, MAX_NAME - 1 - digits)]
    return f"{stem or 'member'}-{_hash(name).hex()[:digits]}"


def server_id(name: str) -> int:
    """Return the server id of `name` in 1..2**31-1, the same on every load balancer."""
    return int.from_bytes(_hash(name)[:4]) & MAX_SERVER_ID or 1


def parse_port(text: str) -> int | None:
    """Return the port in 1..65535 that `text` is in plain decimal, or None."""
    port = _parse_number(text)
    return port if port is not None and 1 <= port <= MAX_PORT else None


def parse_weight(text: str) -> int | None:
    """Return the weight in 0..256 that `text` is in plain decimal, or None."""
    weight = _parse_number(text)
    return weight if weight is not None and weight <= MAX_WEIGHT else None


def parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Return the networks written in `texts`, as in ``10.0.0.0/8``.

    Raises:
        ConfigError: one of them is not a network in CIDR notation.
    """
    networks: list[Network] = []
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            raise ConfigError(f"allowed network {text!r}: {error} (write it like 10.0.0.0/8)") from error
    return tuple(networks)


def parse_host(text: str, networks: tuple[Network, ...], *, allow_loopback: bool) -> tuple[str, str]:
    """Return the canonical text of the IP address `text`, and why it is refused; one of the two is empty.

    IPv4 inside IPv6 (``::ffff:10.0.0.1``) is judged and printed as IPv4. `networks` does not cover loopback,
    so that a list that is too wide cannot expose the balancer's own sockets.
    """
    try:
        ip = ip_address(text)
    except ValueError:
        return "", "address is not an IP address"
    if isinstance(ip, IPv6Address):
        if ip.scope_id is not None:
            return "", "address has a scope"
        ip = ip.ipv4_mapped or ip
    refusal = _refusal(ip, networks, allow_loopback=allow_loopback)
    return ("", refusal) if refusal else (str(ip), "")


def is_own(host: str, port: int, listeners: Set[tuple[str, int]], own_hosts: Set[str]) -> bool:
    """Return whether a server at `host` and `port` would be one of our own `listeners`.

    Args:
        host: canonical, as returned by `parse_host`.
        port: the server's port.
        listeners: hosts and ports; a host of `WILDCARDS` stands for every address of ours.
        own_hosts: the addresses of this machine, canonical; loopback is always included.
    """
    if (host, port) in listeners:
        return True
    is_here = host in own_hosts or ip_address(host).is_loopback
    return is_here and any((wildcard, port) in listeners for wildcard in WILDCARDS)


def _refusal(ip: IPv4Address | IPv6Address, networks: tuple[Network, ...], *, allow_loopback: bool) -> str:
    """Return why a server may not be at `ip`, "" if it may."""
    if ip.is_loopback:
        return "" if allow_loopback else "address is loopback"
    if ip in METADATA_SERVICES:
        return "address is a cloud's metadata service"
    if ip.is_unspecified or ip.is_multicast or ip.is_link_local or ip.is_reserved:
        return "address is not a host's"
    return "" if any(ip in network for network in networks) else "address is not in an allowed network"


def _parse_number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _hash(name: str) -> bytes:
    # surrogates stand for the bytes of a name that is not UTF-8; "surrogatepass" encodes any str
    return sha256(name.encode("utf-8", "surrogatepass")).digest()
