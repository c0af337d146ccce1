"""Requests that keep coming while the engine is told to do things; each that fails is counted."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random

import trio

from lb.demo.load import Load, Tally, Target

CLIENTS = 10
"""Clients that keep a connection and use it often: one that idles for long may be closed at any time."""


@contextmanager
def requests(port: int, rate: float, host: str = "127.0.0.1") -> Iterator[Tally]:
    """Send `rate` requests per second, half of them on new connections whatever happens; yield the tally."""
    load = Load(Target(host, port))
    started = threading.Event()
    token: list[trio.lowlevel.TrioToken] = []

    async def send() -> None:
        token.append(trio.lowlevel.current_trio_token())
        started.set()
        rng = Random(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(load.run_open_loop, rate / 2, 1.0, rng)
            for _ in range(CLIENTS):
                nursery.start_soon(
                    partial(
                        load.run_client, keep_alive=True, think=lambda: rng.expovariate(rate / 2 / CLIENTS)
                    )
                )

    thread = threading.Thread(target=trio.run, args=(send,), daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield load.tally
    finally:
        token[0].run_sync_soon(load.stop)
        thread.join(30)
        assert not thread.is_alive(), "the load does not end"
