"""Requests that keep coming while the engine is told to do things; each that fails is counted."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import trio

from lb.demo.load import Load, Tally, Target

FRESH_SHARE = 0.5


@contextmanager
def requests(port: int, rate: float, host: str = "127.0.0.1") -> Iterator[Tally]:
    """Send `rate` requests per second, half of them on new connections; yield the tally."""
    load = Load(Target(host, port))
    started = threading.Event()
    token: list[trio.lowlevel.TrioToken] = []

    async def send() -> None:
        token.append(trio.lowlevel.current_trio_token())
        started.set()
        await load.run_open_loop(rate, FRESH_SHARE, Random(1))

    thread = threading.Thread(target=trio.run, args=(send,), daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield load.tally
    finally:
        token[0].run_sync_soon(load.stop)
        thread.join(30)
        assert not thread.is_alive(), "the load does not end"
