"""Names to addresses: all addresses of a name, looked up again each time (serf-wire 3.13).

Look-ups block a thread until the resolver gives up, which may take minutes. They have their own threads, so
that a dead name server delays only other look-ups.
"""

import socket
from collections.abc import Sequence
from functools import partial

import trio

from gossip.agent.endpoint import parse_seed
from gossip.wire.address import Address

RESOLVE_TIMEOUT = 10.0
"""Seconds that a look-up may take, including the wait for a thread."""
MAX_LOOKUPS = 16
"""Look-ups at once; a stuck one keeps its place until the resolver gives up."""
MAX_ADDRESSES_PER_NAME = 128
"""Addresses kept of one name: joining through the first ones is enough."""
CONCURRENCY = 8
"""Seeds looked up at once by one join."""

_lookups: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("lookups")


async def resolve(host: str, port: int) -> list[Address]:
    """Return all addresses of `host`, each once, in the resolver's order.

    Raises:
        OSError: the name does not exist or cannot be looked up now; the text fits into one line.
    """
    try:
        with trio.fail_after(RESOLVE_TIMEOUT):
            found = await _look_up(host, port)
    except trio.TooSlowError:
        raise OSError(f"lookup {host}: no answer within {RESOLVE_TIMEOUT:g}s") from None
    except socket.gaierror as error:
        reason = "no such host" if error.errno == socket.EAI_NONAME else (error.strerror or "failed").lower()
        raise OSError(f"lookup {host}: {reason}") from None
    except UnicodeError:
        raise OSError(f"lookup {host!r}: not a host name") from None
    addresses = dict.fromkeys(Address(str(where[0]), int(where[1])) for *_, where in found)
    return list(addresses)[:MAX_ADDRESSES_PER_NAME]


async def resolve_all(
    seeds: Sequence[str], default_port: int
) -> tuple[dict[str, tuple[Address, ...]], list[str]]:
    """Return the addresses of each seed that has some, and an error for each that has none."""
    found: list[list[Address] | str] = [[] for _ in seeds]
    limiter = trio.Semaphore(CONCURRENCY)

    async def look_up(index: int, text: str) -> None:
        async with limiter:
            try:
                seed = parse_seed(text, default_port)
                found[index] = await resolve(seed.host, seed.port)
            except (OSError, ValueError) as error:
                found[index] = f"Failed to resolve {text}: {error}"

    async with trio.open_nursery() as nursery:
        for index, text in enumerate(seeds):
            nursery.start_soon(look_up, index, text)
    errors = [outcome for outcome in found if isinstance(outcome, str)]
    places = {
        seed: tuple(outcome) for seed, outcome in zip(seeds, found, strict=True) if isinstance(outcome, list)
    }
    return places, errors


_Found = list[tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]]


async def _look_up(host: str, port: int) -> _Found:
    """Ask the resolver; an address needs no thread."""
    ask = partial(socket.getaddrinfo, port=port, type=socket.SOCK_STREAM)
    # As bytes, an address does not load the codec of international names.
    plain = host.encode("utf-8", "surrogateescape")
    try:
        found: _Found = list(ask(plain, flags=socket.AI_NUMERICHOST))
    except socket.gaierror as error:
        if error.errno != socket.EAI_NONAME:
            raise
        found = list(await trio.to_thread.run_sync(ask, host, abandon_on_cancel=True, limiter=_limiter()))
    else:
        await trio.lowlevel.checkpoint()
    return found


def _limiter() -> trio.CapacityLimiter:
    try:
        return _lookups.get()
    except LookupError:
        limiter = trio.CapacityLimiter(MAX_LOOKUPS)
        _lookups.set(limiter)
        return limiter
