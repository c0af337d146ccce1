"""The addresses of this machine, from the kernel: a server there would be ourselves.

Read from /proc/net/fib_trie (IPv4, the entries marked ``host LOCAL``) and /proc/net/if_inet6 (IPv6), which
need no privileges and no other program. Loopback is left out: all of 127.0.0.0/8 is this machine.
"""

import re
from ipaddress import IPv6Address, ip_address
from pathlib import Path

FIB_TRIE = Path("/proc/net/fib_trie")
IF_INET6 = Path("/proc/net/if_inet6")
MAX_BYTES = 4 * 1024 * 1024
_LOCAL = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")


def local_addresses() -> frozenset[str]:
    """Return the addresses of this machine in canonical form; none if /proc does not have them."""
    ipv4 = _LOCAL.findall(_read(FIB_TRIE))
    ipv6 = (str(IPv6Address(int(line.split()[0], 16))) for line in _read(IF_INET6).splitlines() if line)
    return frozenset(text for text in (*ipv4, *ipv6) if not ip_address(text).is_loopback)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as source:
            return source.read(MAX_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
