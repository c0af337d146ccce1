"""Does anybody answer at an address? What HAProxy's own check would find if the server were in its file."""

from collections.abc import Iterable

import trio

CONNECT_TIMEOUT = 0.5
MAX_CONNECTS = 16
"""Connections in one look: addresses are the members' word, and nobody may use us to scan a network fast."""


async def find_answering(places: Iterable[tuple[str, int]]) -> frozenset[tuple[str, int]]:
    """Return which hosts and ports take a TCP connection in time; only the first `MAX_CONNECTS` are tried."""
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
