"""A load of requests without any tolerance: every request not answered with 200 counts as failed.

It never retries, and never checks whether a kept-alive connection is still good before it uses it: this is
how naive clients lose requests when a balancer closes connections.
"""

from collections import Counter
from collections.abc import Callable
from random import Random

import trio
from msgspec import Struct

from gossip.errors import os_reason
from lb.demo.http import END_OF_HEAD, MAX_HEAD_BYTES, HttpError, make_request, parse_answer

REQUEST_TIMEOUT = 10.0
MAX_IN_FLIGHT = 500
"""An open loop over a server that hangs would otherwise start endless tasks; any more count as failed."""
MAX_IDLE = 50
_CHUNK = 16384


class Target(Struct, frozen=True):
    """The destination of the requests."""

    host: str
    port: int


class Tally:
    """The results of all requests so far. `slowest` in seconds, `failures` by reason."""

    def __init__(self) -> None:
        self.sent = 0
        self.answered = 0
        self.slowest = 0.0
        self.failures: Counter[str] = Counter()
        self.by_server: Counter[str] = Counter()

    @property
    def failed(self) -> int:
        """How many requests got no answer with status 200."""
        return sum(self.failures.values())


class Connection:
    """One connection to the balancer, opened by its first request."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._stream: trio.SocketStream | None = None

    async def get(self, *, closes: bool) -> tuple[int, str, bool]:
        """Send one request; return status, server and whether the connection can be used again.

        Raises:
            OSError, trio.BrokenResourceError, HttpError: there was no complete answer.
        """
        if self._stream is None:
            self._stream = await trio.open_tcp_stream(self._target.host, self._target.port)
        await self._stream.send_all(make_request(self._target.host, closes=closes))
        received = b""
        while END_OF_HEAD not in received:
            received += await self._receive(self._stream)
            if len(received) > MAX_HEAD_BYTES:
                raise HttpError("endless head")
        head, _, body = received.partition(END_OF_HEAD)
        answer = parse_answer(head)
        while len(body) < answer.length:
            body += await self._receive(self._stream)
        return answer.status, answer.server, not (closes or answer.closes)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._stream is not None:
            self._stream.socket.close()
            self._stream = None

    async def _receive(self, stream: trio.SocketStream) -> bytes:
        chunk = await stream.receive_some(_CHUNK)
        if not chunk:
            raise HttpError("connection closed instead of an answer")
        return bytes(chunk)


class Load:
    """Clients of one target with one tally. `stop` lets them finish the requests in progress."""

    def __init__(self, target: Target) -> None:
        self.tally = Tally()
        self._target = target
        self._stopped = trio.Event()
        self._idle: list[Connection] = []
        self._in_flight = 0

    def stop(self) -> None:
        """Send no further requests."""
        self._stopped.set()

    async def run_client(self, *, keep_alive: bool, think: Callable[[], float] | None = None) -> None:
        """Be one client that sends its next request after the answer, and after `think()` seconds."""
        connection = Connection(self._target)
        try:
            while not self._stopped.is_set():
                if not await self._request(connection, closes=not keep_alive):
                    connection.close()
                if think is not None:
                    with trio.move_on_after(think()):
                        await self._stopped.wait()
        finally:
            connection.close()

    async def run_open_loop(self, rate: float, fresh_share: float, rng: Random) -> None:
        """Send `rate` requests per second, however long the answers take.

        A share of `fresh_share` of them use new connections, the others use kept-alive ones.
        """
        due = trio.current_time()
        try:
            async with trio.open_nursery() as nursery:
                while not await self._stopped_before(due):
                    due += 1.0 / rate
                    if self._in_flight < MAX_IN_FLIGHT:
                        nursery.start_soon(self._one_request, rng.random() < fresh_share)
                    else:
                        self.tally.sent += 1
                        self.tally.failures["too many in flight"] += 1
        finally:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    async def _stopped_before(self, due: float) -> bool:
        """Wait until `due` (Trio's time) or `stop`; tell whether `stop` came first."""
        with trio.move_on_at(due):
            await self._stopped.wait()
        return self._stopped.is_set()

    async def _one_request(self, fresh: bool) -> None:
        # Connections take turns: one at the bottom of a stack would idle until the balancer closes it.
        connection = self._idle.pop(0) if self._idle and not fresh else Connection(self._target)
        reusable = False
        try:
            reusable = await self._request(connection, closes=fresh)
        finally:
            if reusable and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
            else:
                connection.close()

    async def _request(self, connection: Connection, *, closes: bool) -> bool:
        """Send one request and count the result; return whether the connection can be used again."""
        tally = self.tally
        tally.sent += 1
        self._in_flight += 1
        start = trio.current_time()
        try:
            with trio.fail_after(REQUEST_TIMEOUT):
                status, server, reusable = await connection.get(closes=closes)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError, HttpError) as error:
            tally.failures[_reason(error)] += 1
            return False
        finally:
            self._in_flight -= 1
        tally.slowest = max(tally.slowest, trio.current_time() - start)
        if status == 200:
            tally.answered += 1
            tally.by_server[server] += 1
        else:
            tally.failures[f"status {status}"] += 1
        return reusable


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return os_reason(error)
    if isinstance(error, HttpError):
        return str(error)
    return "no answer in time" if isinstance(error, trio.TooSlowError) else "connection broke"
