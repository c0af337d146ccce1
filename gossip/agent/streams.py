"""Conversations over TCP: one message, at most one reply, and both sides close (serf-wire section 2).

This module handles framing, deadlines and limits; the meaning of messages is the node's business. A stream
that breaks the rules is closed, which no other stream notices.
"""

import errno
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

import trio

from gossip.agent.bugs import Bugs
from gossip.agent.envelope import Envelope
from gossip.agent.places import Place, Places, source_of
from gossip.agent.transport import Transport, connect
from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.wire.address import Address
from gossip.wire.codec import encode
from gossip.wire.messages import Ack, ErrorMessage, Ping, PushPull, StreamMessage, UserMessage
from gossip.wire.stream import StreamReader

CHUNK_BYTES = 4096
"""Bytes read and decoded at once; rows may be one byte long."""
MAX_INCOMING_STREAMS = 128
"""Like memberlist's limit of concurrent push/pulls."""
MAX_STREAMS_PER_SOURCE = 64
"""Streams from one address; a whole rack may join from behind one."""
MAX_HELD_BYTES = 24 * 1024 * 1024
"""Bytes and rows of all unfinished conversations together."""
MAX_HELD_BYTES_PER_SOURCE = 20 * 1024 * 1024
"""A state of 16,000 members takes 5 MB on the wire, 12 with the longest names and tags, and 6 MB as rows."""
ROW_BYTES = 400
"""Memory of a decoded row, regardless of its length on the wire."""
INLINE_BYTES = 4096
"""Longer states are compressed in a thread, and all are decompressed in one: probes must not wait."""
SWITCH_SECONDS = 0.001
"""How long such a thread may hold the interpreter while a packet waits; Python's default is 0.005."""

T = TypeVar("T")


class StreamHost(Protocol):
    """The server's view of the agent behind it."""

    def now(self) -> float:
        """Return the monotonic time in seconds."""

    def encode_state(self, *, join: bool) -> bytes:
        """Return this node's whole state as a push/pull message."""

    async def merge(self, remote: PushPull, *, initiated: bool, replay: bool = False, peer: str = "") -> None:
        """Merge the state of `peer`, a name or an address."""

    def answer_ping(self, ping: Ping) -> Ack | None:
        """Return the answer to a ping, None if it is not for this node."""

    def receive_user_message(self, payload: bytes) -> None:
        """Handle a message for the layer above."""

    def complain(self, peer: str, reason: str) -> None:
        """Log a peer's fault, at a bounded rate."""


class Streams:
    """Both directions: serves incoming streams, opens outgoing ones."""

    def __init__(self, transport: Transport, envelope: Envelope, timeout: float) -> None:
        self._transport = transport
        self._envelope = envelope
        self._timeout = timeout  # for one whole conversation
        self.places = Places(
            MAX_INCOMING_STREAMS,
            MAX_STREAMS_PER_SOURCE,
            most_bytes=MAX_HELD_BYTES,
            most_bytes_per_source=MAX_HELD_BYTES_PER_SOURCE,
        )
        self._turns = Turns()  # for whole states
        self._pieces = Turns()  # for received parts of states
        self._bugs = Bugs()

    async def serve(self, nursery: trio.Nursery, host: StreamHost) -> None:
        """Accept and answer streams until cancelled."""
        sys.setswitchinterval(SWITCH_SECONDS)
        while True:
            stream = await self._transport.accept()
            peer = _peer_of(stream)
            place = self.places.take(source_of(peer.host), host.now()) if peer else None
            if place is None:
                if peer is not None:
                    host.complain(str(peer), "too many streams at once")
                stream.socket.close()
                continue
            nursery.start_soon(self._serve_one, stream, Conversation(place, str(peer)), host)

    async def exchange(self, to: Address, message: bytes | Callable[[], bytes]) -> StreamMessage:
        """Send `message` to `to`, a large one as the function that encodes it, and return the reply.

        Raises:
            OSError: the stream could not be opened, or it broke.
            RemoteProtocolError: the reply is broken or missing, or is an error reported by the peer.
            trio.TooSlowError: the whole exchange took longer than the stream timeout.
        """
        place = Place(f"to {to.host}", 0.0)
        try:
            with trio.fail_after(self._timeout):
                if isinstance(message, bytes):
                    sealed = self._envelope.stream(message, reply=False)
                else:
                    async with self._turns.of(place.source):
                        sealed = await self._seal(message, place, reply=False)
                async with await connect(to) as stream:
                    try:
                        await stream.send_all(sealed)
                        reply = await self._read(stream, place, self._envelope.reader(reply=True))
                    except trio.BrokenResourceError as error:
                        raise ConnectionResetError(errno.ECONNRESET, "connection reset by peer") from error
        finally:
            self.places.give_back(place)
        if reply is None:
            raise RemoteProtocolError("the peer closed the stream without an answer")
        if isinstance(reply, ErrorMessage):
            raise RemoteProtocolError(f"remote error: {reply.text}")
        return reply

    async def _serve_one(self, stream: trio.SocketStream, talk: "Conversation", host: StreamHost) -> None:
        try:
            with self.places.occupied(talk.place), trio.move_on_after(self._timeout):
                async with stream:
                    await self._converse(stream, talk, host)
        except (RemoteProtocolError, OSError) as error:
            host.complain(talk.peer, str(error))
        except trio.BrokenResourceError:
            pass  # the peer is gone; it may come back
        except Exception as error:
            self._bugs.report("incoming stream", error, "the stream is closed")
        finally:
            stream.socket.close()

    async def _converse(self, stream: trio.SocketStream, talk: "Conversation", host: StreamHost) -> None:
        """Read one message and answer it."""
        place = talk.place
        refusal = ""
        message: StreamMessage | None = None
        try:
            message = await self._read(stream, place, self._envelope.reader(reply=False))
        except RemoteProtocolError as error:
            refusal = str(error)  # sent below: the error itself keeps alive everything read so far
        if refusal:
            self.places.hold(place, -place.held)
            host.complain(talk.peer, refusal)
            await stream.send_all(self._envelope.stream(encode(ErrorMessage(refusal)), reply=True))
            return
        place.since = None  # from here on the peer waits for us
        match message:
            case None:
                pass
            case Ping():
                if (ack := host.answer_ping(message)) is not None:
                    await stream.send_all(self._envelope.stream(encode(ack), reply=True))
            case PushPull():
                # Our state is encoded before theirs is merged: the reply must not contain what they have just
                # sent. It is sent afterwards, so that a peer that reads slowly does not keep its rows in
                # memory.
                held = place.held
                is_join = message.join
                async with self._turns.of(place.source):  # only one state at a time is encoded and merged
                    answer = await self._seal(lambda: host.encode_state(join=is_join), place, reply=True)
                    try:
                        await host.merge(message, initiated=False, peer=talk.peer)
                    except RemoteProtocolError as error:
                        host.complain(talk.peer, str(error))
                del message
                self.places.hold(place, -held)
                place.since = host.now()
                await stream.send_all(answer)
            case UserMessage():
                host.receive_user_message(message.payload)
            case Ack() | ErrorMessage():
                host.complain(talk.peer, f"{type(message).__name__} cannot open a conversation")

    async def _read(
        self, stream: trio.SocketStream, place: Place, reader: StreamReader
    ) -> StreamMessage | None:
        """Return the next message, None if the peer closed without sending anything."""
        try:
            return await self._read_all(stream, place, reader)
        except RemoteProtocolError as error:
            self._envelope.refusals.count(error)
            raise

    async def _read_all(
        self, stream: trio.SocketStream, place: Place, reader: StreamReader
    ) -> StreamMessage | None:
        is_first = True
        while True:
            chunk = await stream.receive_some(CHUNK_BYTES)
            if not chunk and is_first:
                return None
            self.places.hold(place, len(chunk))
            if chunk:
                reader.receive_data(chunk)
            else:
                reader.receive_eof()
            rows = reader.rows
            if is_first:
                message = reader.next_event()
            else:
                async with self._pieces.of(place.source):
                    message = reader.next_event()
                    await trio.lowlevel.checkpoint()
            while reader.has_work:
                async with self._turns.of(place.source):
                    message, refusal = await trio.to_thread.run_sync(_next_event, reader)
                if refusal:
                    raise RemoteProtocolError(refusal)
            self.places.hold(place, (reader.rows - rows) * ROW_BYTES)
            if message is not None:
                self._envelope.accept(reader, trio.current_time())
                return message
            is_first = False

    async def _seal(self, encode: Callable[[], bytes], place: Place, *, reply: bool) -> bytes:
        """Return the sealed bytes of the message that `encode` returns.

        Raises:
            OSError: the message is longer than peers accept.
        """
        try:
            message = encode()
            seal = partial(self._envelope.stream, message, reply=reply)
            sealed = seal() if len(message) < INLINE_BYTES else await trio.to_thread.run_sync(seal)
        except LocalProtocolError as error:
            raise OSError(errno.EMSGSIZE, str(error)) from None
        self.places.hold(place, len(sealed))
        return sealed


class Conversation(NamedTuple):
    """An incoming stream: its place, and the other side for log lines."""

    place: Place
    peer: str


class Turns:
    """A lock whose sources take turns: none waits for all the work of another."""

    def __init__(self) -> None:
        self._all = trio.Lock()  # serves waiting tasks in order of arrival
        self._of: dict[str, trio.Lock] = {}

    @asynccontextmanager
    async def of(self, source: str) -> AsyncIterator[None]:
        """Wait for a turn of `source` and hold it."""
        own = self._of.setdefault(source, trio.Lock())
        try:
            async with own, self._all:
                yield
        finally:
            if not own.locked():
                self._of.pop(source, None)


def _next_event(reader: StreamReader) -> tuple[StreamMessage | None, str]:
    """Return the next message, and the reason if it is refused.

    An error raised in a thread is in a reference cycle with the frame that waited for it: it would keep all
    decompressed data alive until the next full garbage collection.
    """
    try:
        return reader.next_event(), ""
    except RemoteProtocolError as error:
        return None, str(error)


def _peer_of(stream: trio.SocketStream) -> Address | None:
    """Return the other side; a connection that is already gone has none."""
    try:
        name = stream.socket.getpeername()
    except OSError:
        return None
    return Address(name[0].removeprefix("::ffff:"), name[1])
