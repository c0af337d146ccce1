"""Names to addresses: all addresses of a name, looked up anew each time (serf-wire 3.13)."""

import socket

import trio

from gossip.wire.address import Address

RESOLVE_TIMEOUT = 10.0
MAX_ADDRESSES_PER_NAME = 128
"""A name with more addresses than this is cut: joining through the first ones is enough."""


async def resolve(host: str, port: int) -> list[Address]:
    """Return all addresses of `host`, each once, in the resolver's order.

    Raises:
        OSError: the name does not exist or cannot be looked up now; the text fits into one line.
    """
    try:
        with trio.fail_after(RESOLVE_TIMEOUT):
            found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except trio.TooSlowError:
        raise OSError(f"lookup {host}: no answer within {RESOLVE_TIMEOUT:g}s") from None
    except socket.gaierror as error:
        reason = "no such host" if error.errno == socket.EAI_NONAME else (error.strerror or "failed").lower()
        raise OSError(f"lookup {host}: {reason}") from None
    except UnicodeError:
        raise OSError(f"lookup {host}: not a host name") from None
    addresses = dict.fromkeys(Address(str(where[0]), int(where[1])) for *_, where in found)
    return list(addresses)[:MAX_ADDRESSES_PER_NAME]
