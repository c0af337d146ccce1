"""Does an address answer? The same result as HAProxy's own check would have for a server there."""

from collections.abc import Iterable

import trio

CONNECT_TIMEOUT = 0.5
MAX_CONNECTS = 16
"""Connections per check: members choose the addresses, and must not be able to use us as a port scanner."""


async def find_answering(places: Iterable[tuple[str, int]]) -> frozenset[tuple[str, int]]:
    """Return the hosts and ports that accept a TCP connection in time; only `MAX_CONNECTS` are tried."""
    answering: set[tuple[str, int]] = set()

    async def connect(host: str, port: int) -> None:
        with trio.move_on_after(CONNECT_TIMEOUT):
            try:
                stream = await trio.open_tcp_stream(host, port)
            except OSError:
                return
            answering.add((host, port))
            await stream.aclose()

    async with trio.open_nursery() as nursery:
        for host, port in list(places)[:MAX_CONNECTS]:
            nursery.start_soon(connect, host, port)
    return frozenset(answering)
