"""Conversations over TCP: one message, at most one reply, and both sides close (serf-wire section 2).

Knows framing, deadlines and bounds; what a message means is the node's business. A stream that does not keep
to the rules is closed; only the one that talked nonsense notices.
"""

import errno
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

import trio

from gossip.agent.bugs import Bugs
from gossip.agent.places import Place, Places, source_of
from gossip.agent.sealing import Sealer
from gossip.agent.transport import Transport, connect
from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.wire.address import Address
from gossip.wire.codec import encode
from gossip.wire.messages import Ack, ErrorMessage, Ping, PushPull, StreamMessage, UserMessage
from gossip.wire.stream import StreamReader

CHUNK_BYTES = 4096
"""Read and decoded at once; rows may be one byte long."""
MAX_INCOMING_STREAMS = 128
"""As memberlist's bound of concurrent push/pulls."""
MAX_STREAMS_PER_SOURCE = 64
"""Of one address; a whole rack may join from behind one."""
MAX_HELD_BYTES = 24 * 1024 * 1024
"""Bytes and rows of all unfinished conversations together."""
MAX_HELD_BYTES_PER_SOURCE = 20 * 1024 * 1024
"""A state of 16,000 members takes 5 MB on the wire, 12 with the longest names and tags, and 6 MB as rows."""
ROW_BYTES = 400
"""Memory of a decoded row, whatever its length on the wire."""
INLINE_BYTES = 4096
"""A state that is longer is compressed in a thread, as all are decompressed: neither may hold up probes."""
SWITCH_SECONDS = 0.001
"""How long such a thread may hold the interpreter while a packet waits; Python's default is 0.005."""

T = TypeVar("T")


class StreamHost(Protocol):
    """What the server needs of the agent behind it."""

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
        """Log what a peer did wrong, at a bounded rate."""


class Streams:
    """Both directions: serves incoming streams, opens outgoing ones."""

    def __init__(self, transport: Transport, sealer: Sealer, timeout: float) -> None:
        self._transport = transport
        self._sealer = sealer
        self._timeout = timeout  # of one whole conversation
        self.places = Places(
            MAX_INCOMING_STREAMS,
            MAX_STREAMS_PER_SOURCE,
            most_bytes=MAX_HELD_BYTES,
            most_bytes_per_source=MAX_HELD_BYTES_PER_SOURCE,
        )
        self._turns = Turns()  # for whole states
        self._pieces = Turns()  # for what arrives of them
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
        """Say `message` to `to`, a large one as what encodes it, and return the reply.

        Raises:
            OSError: there is no stream to be had, or it broke.
            RemoteProtocolError: the reply is broken, is missing, or is an error that the peer reports.
            trio.TooSlowError: connecting and talking took longer than the stream timeout.
        """
        place = Place(f"to {to.host}", 0.0)
        try:
            with trio.fail_after(self._timeout):
                if isinstance(message, bytes):
                    sealed = self._sealer.stream(message, reply=False)
                else:
                    async with self._turns.of(place.source):
                        sealed = await self._seal(message, place, reply=False)
                async with await connect(to) as stream:
                    try:
                        await stream.send_all(sealed)
                        reply = await self._read(stream, place, self._sealer.reader(reply=True))
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
            pass  # the peer went away; it may come again
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
            message = await self._read(stream, place, self._sealer.reader(reply=False))
        except RemoteProtocolError as error:
            refusal = str(error)  # sent below: the error itself keeps all that was read
        if refusal:
            self.places.hold(place, -place.held)
            host.complain(talk.peer, refusal)
            await stream.send_all(self._sealer.stream(encode(ErrorMessage(refusal)), reply=True))
            return
        place.since = None  # from here on it waits for us
        match message:
            case None:
                pass
            case Ping():
                if (ack := host.answer_ping(message)) is not None:
                    await stream.send_all(self._sealer.stream(encode(ack), reply=True))
            case PushPull():
                # Ours is made before theirs comes in: the reply must not contain what they just said. It goes
                # out afterwards, so that a peer that reads slowly does not keep its rows here.
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
        """Return the next message, None if the peer closed without saying anything."""
        try:
            return await self._read_all(stream, place, reader)
        except RemoteProtocolError as error:
            self._sealer.refusals.count(error)
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
                self._sealer.accept(reader, trio.current_time())
                return message
            is_first = False

    async def _seal(self, encode: Callable[[], bytes], place: Place, *, reply: bool) -> bytes:
        """Return what goes over a stream to say what `encode` returns.

        Raises:
            OSError: that is more than peers take.
        """
        try:
            message = encode()
            seal = partial(self._sealer.stream, message, reply=reply)
            sealed = seal() if len(message) < INLINE_BYTES else await trio.to_thread.run_sync(seal)
        except LocalProtocolError as error:
            raise OSError(errno.EMSGSIZE, str(error)) from None
        self.places.hold(place, len(sealed))
        return sealed


class Conversation(NamedTuple):
    """An incoming stream: its place, and the far end for log lines."""

    place: Place
    peer: str


class Turns:
    """One at a time, and the sources take turns: nobody waits for all that another has to do."""

    def __init__(self) -> None:
        self._all = trio.Lock()  # serves those who wait in the order in which they came
        self._of: dict[str, trio.Lock] = {}

    @asynccontextmanager
    async def of(self, source: str) -> AsyncIterator[None]:
        """Wait for a turn of `source` and keep it."""
        own = self._of.setdefault(source, trio.Lock())
        try:
            async with own, self._all:
                yield
        finally:
            if not own.locked():
                self._of.pop(source, None)


def _next_event(reader: StreamReader) -> tuple[StreamMessage | None, str]:
    """Return the next message and why it is refused.

    An error that comes out of a thread is in a cycle with the frame that waited for it: it would keep all
    that was decompressed until the next full garbage collection.
    """
    try:
        return reader.next_event(), ""
    except RemoteProtocolError as error:
        return None, str(error)


def _peer_of(stream: trio.SocketStream) -> Address | None:
    """Return the far end; a connection that is gone already has none."""
    try:
        name = stream.socket.getpeername()
    except OSError:
        return None
    return Address(name[0].removeprefix("::ffff:"), name[1])
