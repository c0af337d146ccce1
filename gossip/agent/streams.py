"""Conversations over TCP: one message, at most one reply, and both sides close (serf-wire section 2).

Knows framing, deadlines and bounds; what a message means is the node's business. A stream that does not keep
to the rules is closed; only the one that talked nonsense notices.
"""

import errno
from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

from gossip.agent.bugs import Bugs
from gossip.agent.sealing import Sealer
from gossip.agent.transport import Transport, connect
from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.wire.address import Address
from gossip.wire.codec import encode
from gossip.wire.messages import Ack, ErrorMessage, Ping, PushPull, StreamMessage, UserMessage

CHUNK_BYTES = 64 * 1024
MAX_INCOMING_STREAMS = 128
"""As memberlist's bound of concurrent push/pulls; one more is closed at once."""
MAX_BUFFERED_BYTES = 64 * 1024 * 1024
"""Received bytes of all unfinished incoming messages together; a state of 16,000 members takes about 5 MB."""
DECODE_INLINE_BYTES = 64 * 1024
"""From this size on a message is decoded in a thread: decompression must not hold up probes."""

T = TypeVar("T")


class StreamHost(Protocol):
    """What the server needs of the agent behind it."""

    def now(self) -> float:
        """Return the monotonic time in seconds."""

    def encode_state(self, *, join: bool) -> bytes:
        """Return this node's whole state as a push/pull message."""

    def merge(self, remote: PushPull, *, initiated: bool, replay: bool = False) -> None:
        """Merge a peer's state."""

    def answer_ping(self, ping: Ping) -> Ack | None:
        """Return the answer to a ping, None if it is not for this node."""

    def receive_user_message(self, payload: bytes) -> None:
        """Handle a message for the layer above."""

    def complain(self, peer: str, reason: str) -> None:
        """Log what a peer did wrong, at a bounded rate."""


class Streams:
    """Both directions: serves incoming streams, opens outgoing ones."""

    def __init__(self, transport: Transport, sealer: Sealer, timeout: float) -> None:
        self._transport = transport
        self._sealer = sealer
        self._timeout = timeout  # of one whole conversation
        self._incoming = 0
        self._buffered = 0
        self._threads = trio.CapacityLimiter(1)
        self._bugs = Bugs()
        self.refused = 0  # streams closed because there were too many

    async def serve(self, nursery: trio.Nursery, host: StreamHost) -> None:
        """Accept and answer streams, for ever."""
        while True:
            stream = await self._transport.accept()
            if self._incoming >= MAX_INCOMING_STREAMS:
                self.refused += 1
                host.complain(_peer_of(stream), f"more than {MAX_INCOMING_STREAMS} streams at once")
                stream.socket.close()
                continue
            self._incoming += 1
            nursery.start_soon(self._serve_one, stream, host)

    async def exchange(self, to: Address, message: bytes) -> StreamMessage:
        """Say `message` to `to` and return the reply.

        Raises:
            OSError: there is no stream to be had, or it broke.
            RemoteProtocolError: the reply is broken, is missing, or is an error that the peer reports.
            trio.TooSlowError: connecting and talking took longer than the stream timeout.
        """
        with trio.fail_after(self._timeout):
            sealed = await self._seal(message)
            async with await connect(to) as stream:
                try:
                    await stream.send_all(sealed)
                    reply = await self._read(stream, lambda _: None)
                except trio.BrokenResourceError as error:
                    raise ConnectionResetError(errno.ECONNRESET, "connection reset by peer") from error
        if reply is None:
            raise RemoteProtocolError("the peer closed the stream without an answer")
        if isinstance(reply, ErrorMessage):
            raise RemoteProtocolError(f"remote error: {reply.text}")
        return reply

    async def _serve_one(self, stream: trio.SocketStream, host: StreamHost) -> None:
        held = 0

        def account(size: int) -> None:
            nonlocal held
            held += size
            self._buffered += size
            if self._buffered > MAX_BUFFERED_BYTES:
                raise RemoteProtocolError("too many bytes in unfinished streams")

        try:
            with trio.move_on_after(self._timeout):
                async with stream:
                    await self._converse(stream, host, account)
        except (RemoteProtocolError, OSError) as error:
            host.complain(_peer_of(stream), str(error))
        except trio.BrokenResourceError:
            pass  # the peer went away; it may come again
        except Exception as error:
            self._bugs.report("incoming stream", error, "the stream is closed")
        finally:
            self._incoming -= 1
            self._buffered -= held

    async def _converse(
        self, stream: trio.SocketStream, host: StreamHost, account: Callable[[int], None]
    ) -> None:
        """Read one message and answer it."""
        peer = _peer_of(stream)
        try:
            message = await self._read(stream, account)
        except RemoteProtocolError as error:
            host.complain(peer, str(error))
            await stream.send_all(self._sealer.stream(encode(ErrorMessage(str(error)))))
            return
        match message:
            case None:
                pass
            case Ping():
                if (ack := host.answer_ping(message)) is not None:
                    await stream.send_all(self._sealer.stream(encode(ack)))
            case PushPull():
                # Ours goes out before theirs comes in: the reply must not contain what they just said.
                await stream.send_all(await self._seal(host.encode_state(join=message.join)))
                host.merge(message, initiated=False)
            case UserMessage():
                host.receive_user_message(message.payload)
            case Ack() | ErrorMessage():
                host.complain(peer, f"{type(message).__name__} opens no conversation")

    async def _read(self, stream: trio.SocketStream, account: Callable[[int], None]) -> StreamMessage | None:
        """Return the next message, None if the peer closed without saying anything."""
        reader = self._sealer.reader()
        size = 0
        while True:
            chunk = await stream.receive_some(CHUNK_BYTES)
            size += len(chunk)
            account(len(chunk))
            if not chunk and not size:
                return None
            if chunk:
                reader.receive_data(chunk)
            else:
                reader.receive_eof()
            message = await self._off_thread(size, reader.next_event)
            if message is not None:
                return message

    async def _seal(self, message: bytes) -> bytes:
        """Return what goes over a stream to say `message`; raise `OSError` if it is more than peers take."""
        try:
            return await self._off_thread(len(message), lambda: self._sealer.stream(message))
        except LocalProtocolError as error:
            raise OSError(errno.EMSGSIZE, str(error)) from None

    async def _off_thread(self, size: int, work: Callable[[], T]) -> T:
        """Do small work here, work on large messages in a thread of its own, one at a time."""
        if size < DECODE_INLINE_BYTES:
            return work()
        return await trio.to_thread.run_sync(work, limiter=self._threads)


def _peer_of(stream: trio.SocketStream) -> str:
    """Return the far end for a log line; a connection that is gone has none."""
    try:
        name = stream.socket.getpeername()
    except OSError:
        return "unknown"
    return str(Address(name[0], name[1]))
