"""Addresses in the form of the wire (raw bytes) and in the form of sockets (text).

A member's address is kept as the raw bytes it announced, because peers compare it byte by byte
(serf-wire: 4-byte and v4-mapped 16-byte forms differ). Only this module converts between those bytes and
text.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from msgspec import Struct

from gossip.errors import RemoteProtocolError
from gossip.host_port import MAX_PORT, host_port

REMEMBERED_ADDRESSES = 8192
"""Limit of the memo below; a larger cluster only converts addresses more often."""


BROADCAST = IPv4Address("255.255.255.255")
ADDRESS_LENGTHS = (4, 16)
"""Bytes of an address on the wire: IPv4, and IPv6 or IPv4 mapped into it."""

METADATA_SERVICES = frozenset(
    map(
        ip_address,
        (
            *("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fd00:ec2::23"),  # AWS, ECS, EKS
            "fd20:ce::254",  # GCP
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure
            "192.0.0.192",  # Oracle
        ),
    )
)
"""Addresses at which clouds give credentials to any process on a machine: never a member or server."""


class Address(Struct, frozen=True, gc=False):
    """The destination of a datagram: an IP address as text (never a name) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port``, an IPv6 host in brackets."""
        return host_port(self.host, self.port)


@lru_cache(maxsize=REMEMBERED_ADDRESSES)
def unpack_address(raw: bytes, port: int) -> Address:
    """Turn a member's raw address into one for a socket; v4-mapped bytes become IPv4 text.

    Raises:
        RemoteProtocolError: `raw` is neither 4 nor 16 bytes, or `port` is not in 0..65535.
    """
    if len(raw) not in ADDRESS_LENGTHS or not 0 <= port <= MAX_PORT:
        raise RemoteProtocolError(f"address of {len(raw)} bytes with port {port}: expected 4 or 16 bytes")
    ip = ip_address(raw)
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return Address(str(mapped or ip), port)


def pack_address(host: str) -> bytes:
    """Return the 4 or 16 raw bytes of the IP address `host`.

    Raises:
        ValueError: `host` is not an IP address.
    """
    return ip_address(host).packed


def misfit(host: str) -> str:
    """Return the kind of the IP address `host` if it is not the address of one host, else an empty text.

    Loopback is the address of a host, this one; the caller decides whether that is acceptable.

    Raises:
        ValueError: `host` is not an IP address.
    """
    ip = ip_address(host)
    ip = (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip
    if ip.is_unspecified:
        return "unspecified"
    if ip.is_multicast:
        return "multicast"
    if ip == BROADCAST:
        return "broadcast"
    return "a metadata service" if ip in METADATA_SERVICES else ""
