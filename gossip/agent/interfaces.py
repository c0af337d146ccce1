"""This machine's own addresses, to choose the one to announce (Serf advertises a private address).

Linux only, without a dependency: IPv4 from one ioctl, IPv6 from /proc.
"""

import array
import fcntl
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from gossip.agent.transport import StartError

SIOCGIFCONF = 0x8912
MAX_INTERFACES = 256
_IFREQ = struct.Struct("16sHH4s16x")
_IF_INET6 = Path("/proc/net/if_inet6")


def interface_addresses() -> list[tuple[str, str]]:
    """Return (interface, address) of every interface that is up, IPv4 first, in the kernel's order."""
    return _ipv4_addresses() + _ipv6_addresses()


def choose_address(candidates: Iterable[tuple[str, str]], *, ipv6: bool) -> str:
    """Return the address to advertise when listening on all: the first private one, otherwise loopback.

    Raises:
        StartError: there is no address of the wanted family.
    """
    wanted = IPv6Address if ipv6 else IPv4Address
    addresses = [ip for _, text in candidates if isinstance(ip := ip_address(text), wanted)]
    usable = [ip for ip in addresses if not ip.is_link_local]
    for ip in usable:
        if ip.is_private and not ip.is_loopback:
            return str(ip)
    for ip in usable:
        if ip.is_loopback:
            return str(ip)
    raise StartError("cannot choose an address to advertise: no private address found (use --advertise)")


def check_interface(interface: str) -> None:
    """Check that this machine has `interface`, whether it is up or not.

    Raises:
        StartError: there is no interface of that name. It may appear later, as that of a VPN does, so
            a supervisor should try again.
    """
    try:
        socket.if_nametoindex(interface)
    except OSError:
        raise StartError(
            f"interface {interface!r} does not exist on this machine (--iface; see `ip link`)"
        ) from None


def address_of_interface(candidates: Iterable[tuple[str, str]], interface: str, *, ipv6: bool) -> str:
    """Return the first address of `interface`.

    Raises:
        StartError: it is down, or has no address of the wanted family.
    """
    for name, text in candidates:
        if name == interface and (":" in text) == ipv6:
            return text
    family = "IPv6" if ipv6 else "IPv4"
    raise StartError(f"interface {interface!r} has no {family} address (see `ip address`)")


def _ipv4_addresses() -> list[tuple[str, str]]:
    buffer = array.array("B", bytes(MAX_INTERFACES * _IFREQ.size))
    where, _ = buffer.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock.fileno(), SIOCGIFCONF, struct.pack("iL", len(buffer), where))
    (size, _) = struct.unpack("iL", answer)
    rows = _IFREQ.iter_unpack(buffer.tobytes()[:size])
    return [(name.rstrip(b"\0").decode(), socket.inet_ntoa(packed)) for name, _, _, packed in rows]


def _ipv6_addresses() -> list[tuple[str, str]]:
    try:
        rows = _IF_INET6.read_text(encoding="ascii").splitlines()
    except OSError:  # a kernel without IPv6
        return []
    fields = [row.split() for row in rows]
    return [(row[5], str(IPv6Address(bytes.fromhex(row[0])))) for row in fields]
