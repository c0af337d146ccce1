"""A small web server that answers with its name: the application of the demonstration.

It keeps connections alive, like real servers. When told to stop, it accepts no new connections, finishes its
current answers and closes idle connections. ``python -m lb.demo.web --bind 127.0.0.1:8001 --name web-1``.
"""

import signal
from functools import partial

import click
import trio

from lb.demo.http import END_OF_HEAD, MAX_HEAD_BYTES, make_answer

STOP_TIMEOUT = 2.0


class WebServer:
    """Answers every request with its name, `delay` seconds later."""

    def __init__(self, name: str, delay: float = 0.0) -> None:
        self.served = 0
        self._name = name
        self._delay = delay
        self._stopping = False
        self._idle: set[trio.CancelScope] = set()

    async def run(
        self, host: str, port: int, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until `stop`, then finish the requests in progress; reports the port once it listens.

        Raises:
            OSError: the address cannot be bound.
        """
        listeners = await trio.open_tcp_listeners(port, host=host)
        async with trio.open_nursery() as handlers:
            accept = partial(trio.serve_listeners, self._handle, listeners, handler_nursery=handlers)
            async with trio.open_nursery() as accepting:
                await accepting.start(accept)
                self._accepting = accepting.cancel_scope
                task_status.started(listeners[0].socket.getsockname()[1])
            handlers.cancel_scope.deadline = trio.current_time() + STOP_TIMEOUT

    def stop(self) -> None:
        """Accept no new connections, and let `run` end."""
        self._stopping = True
        self._accepting.cancel()
        for scope in self._idle:
            scope.cancel()

    async def _handle(self, stream: trio.SocketStream) -> None:
        try:
            async with stream:
                pending = b""
                while not self._stopping:
                    head, pending = await self._next_request(stream, pending)
                    if not head:
                        return
                    if self._delay:
                        await trio.sleep(self._delay)
                    closes = self._stopping or b"\r\nConnection: close" in head
                    self.served += 1
                    await stream.send_all(make_answer(f"{self._name}\n".encode(), self._name, closes=closes))
                    if closes:
                        return
        except trio.BrokenResourceError:
            pass  # the client went away, which is its right

    async def _next_request(self, stream: trio.SocketStream, pending: bytes) -> tuple[bytes, bytes]:
        """Return the next request's head and the bytes after it; an empty head if the connection ends."""
        while END_OF_HEAD not in pending:
            chunk = await self._receive(stream)
            pending += chunk
            if not chunk or len(pending) > MAX_HEAD_BYTES:
                return b"", b""
        head, _, pending = pending.partition(END_OF_HEAD)
        return head, pending

    async def _receive(self, stream: trio.SocketStream) -> bytes:
        """Wait for bytes; `stop` interrupts only this."""
        with trio.CancelScope() as idle:
            self._idle.add(idle)
            try:
                return bytes(await stream.receive_some(MAX_HEAD_BYTES))
            finally:
                self._idle.discard(idle)
        return b""


async def serve_until_signal(name: str, host: str, port: int, delay: float) -> None:
    """Run one server until SIGTERM or SIGINT."""
    server = WebServer(name, delay)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(server.run, host, port))
            async for _ in signals:
                server.stop()
                return


@click.command()
@click.option("--bind", required=True, metavar="HOST:PORT", help="Where to listen.")
@click.option("--name", required=True, help="What to answer.")
@click.option("--delay", default=0.0, type=click.FloatRange(0.0), help="Seconds before each answer.")
def main(bind: str, name: str, delay: float) -> None:
    """Run a small web server until it is told to stop."""
    host, _, port = bind.rpartition(":")
    if not port.isdecimal():
        raise click.UsageError(f"--bind {bind!r} is not HOST:PORT")
    reason: BaseException | None = None
    try:
        trio.run(serve_until_signal, name, host, int(port), delay)
    except* OSError as group:
        reason = group.exceptions[0]  # an exit raised inside would be wrapped in a group
    if reason is not None:
        raise SystemExit(f"cannot listen on {bind}: {reason}")


if __name__ == "__main__":
    main()
