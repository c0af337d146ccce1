"""A stream between two members: one message each way, over TCP (memberlist `net.go`; serf-wire 2).

From the outside in: a label header (only from the side that opened the stream), an encrypted frame, a
compress message, the message. Only the encrypted frame states its length. Everything else ends where its
last msgpack object ends, or where a length in an earlier object says, so the reader must never read ahead.

`StreamReader` does not know sockets: feed it received bytes and ask for the message, as with h11. Inside, it
is one generator that stops wherever it needs more. The bytes come from strangers: each length is checked
when it is announced, and each msgpack object is limited, before memory is used for it.
"""

from collections.abc import Callable, Generator
from typing import TypeVar

from msgpack import OutOfData, Unpacker

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.wire.codec import ACK, ERROR, NODE_STATE, PING, PUSH_PULL_HEADER, USER_HEADER, read_node_state
from gossip.wire.compression import COMPRESSED, expand, pack_compressed
from gossip.wire.dialect import MALFORMED, MAX_ELEMENTS, Fields, as_struct, kind_of, reason
from gossip.wire.keyring import OVERHEAD, UNPADDED, Keyring, nonce_of
from gossip.wire.label import DOUBLE_LABEL, HAS_LABEL, WrongLabelError, label_header, wrong_label
from gossip.wire.messages import (
    Ack,
    ErrorMessage,
    MessageType,
    NodeState,
    Ping,
    PushPull,
    StreamMessage,
    UserMessage,
)
from gossip.wire.replay import ReplayWindow

MIB = 2**20
MAX_FRAME_BYTES = 20 * MIB
"""Length of an encrypted frame; memberlist's limit."""

MAX_MESSAGE_BYTES = 16 * MIB
"""Length of a message after decompression, or in the clear; 16,000 members take about 5 MB."""

MAX_EXPANSION = 64
"""Decompressed bytes for each compressed one; rows of a cluster shrink to a tenth."""

MAX_COMPRESSED_BYTES = 4 * MIB
"""Length of a message before decompression: about a second of our time, and ten times a large cluster."""

MAX_OBJECT_BYTES = 64 * 1024
"""Length of one header or row; a row is a name, an address and 512 bytes of tags."""

SLICE_BYTES = 4096
"""Bytes handed to msgpack at a time, so that an oversized object is noticed before it is built."""

NOT_CONFIGURED = "Remote state is encrypted and encryption is not configured"
NOT_ENCRYPTED = "Encryption is configured but remote state is not encrypted"
"""Texts of error messages between members; both are Serf's."""

COMPRESS, ENCRYPT = MessageType.COMPRESS.byte, MessageType.ENCRYPT.byte

T = TypeVar("T")
Reading = Generator[bool, None, T]
"""Returns a T in the end. Yields False when it needs more bytes, True when the next step is long."""


class StreamReader:
    """Reads the one message that the other side of a stream sends.

    Feed `receive_data` and call `next_event` until it returns the message. At the end of the stream call
    `receive_eof` and then `next_event` once more. Bytes after the message are ignored.
    """

    __slots__ = ("_envelope", "_error", "_incoming", "_pauses", "_reading", "_rows", "has_work")

    def __init__(
        self,
        *,
        encryption: Keyring | None,
        label: bytes = b"",
        header: bytes | None = None,
        replays: ReplayWindow | None = None,
        pauses: bool = False,
    ) -> None:
        """Start reading.

        Args:
            encryption: The keys to decrypt the message with; None: it must not be encrypted.
            label: The label of the cluster, which encryption authenticates.
            header: The label that the stream must start with; None: `label`; empty: none, as for the reply on
                a stream that we opened, which repeats no label.
            replays: Refuses an encrypted frame that it remembers. Once the message is complete, the caller
                must make it remember `nonce`.
            pauses: Return None, with `has_work` set, before each long step: decompression, and the
                decoding of everything after it. The next call does that step, and may run in another thread.
        """
        self.has_work = False
        self._pauses = pauses
        self._incoming = _Incoming(b"", ended=False)
        self._rows: list[NodeState] = []
        self._envelope = _Envelope(encryption, label, label if header is None else header, replays)
        reading = _read_stream(self._incoming, self._envelope, self._rows)
        self._reading: Reading[StreamMessage] | None = reading
        self._error: str | None = None

    @property
    def rows(self) -> int:
        """Rows of a push/pull read so far: they take memory, however short they are."""
        return len(self._rows)

    @property
    def nonce(self) -> bytes:
        """The nonce of the encrypted frame, once a key has opened it; empty without encryption."""
        return self._envelope.nonce

    def receive_data(self, data: bytes) -> None:
        """Take received bytes; call `next_event` afterwards.

        Raises:
            LocalProtocolError: `receive_eof` was called before.
        """
        if self._incoming.ended:
            raise LocalProtocolError(f"{len(data)} bytes after the end of the stream")
        if self._reading is not None:
            self._incoming.append(data)

    def receive_eof(self) -> None:
        """Note that no more bytes will arrive; call `next_event` afterwards."""
        self._incoming.ended = True

    def next_event(self) -> StreamMessage | None:
        """Return the message, once; None before (more data is needed) and after.

        Raises:
            RemoteProtocolError: the bytes so far, or their end, break the protocol; later calls raise too.
        """
        if self._error is not None:
            raise RemoteProtocolError(self._error)
        if self._reading is None:
            return None
        try:
            self.has_work = next(self._reading)
            while self.has_work and not self._pauses:
                self.has_work = next(self._reading)
        except StopIteration as stop:
            self.has_work, self._reading = False, None
            message: StreamMessage = stop.value
            return message
        except RemoteProtocolError as error:
            self.has_work, self._reading, self._error = False, None, str(error)
            raise
        return None


def seal_stream(
    message: bytes,
    *,
    compress: bool,
    encryption: Keyring | None,
    nonce: bytes,
    label: bytes = b"",
    reply: bool = False,
) -> bytes:
    """Return the bytes that carry the encoded `message` over a stream.

    Args:
        message: What `encode` or `encode_push_pull` returned.
        compress: Compress, even if that makes it longer, as Serf does; but not beyond the peers' limit.
        encryption: Encrypt with its primary key.
        nonce: 12 random bytes, never used before; ignored without `encryption`.
        label: The cluster's label, up to 255 bytes, which precedes everything else.
        reply: The other side opened this stream: the label is authenticated, but not sent.

    Raises:
        LocalProtocolError: an argument breaks a limit, or the encrypted frame would.
    """
    payload = pack_compressed(message) if compress else message
    if compress and len(payload) > MAX_COMPRESSED_BYTES:
        payload = message  # readers accept ten times as much of that
    if encryption is not None:
        size = len(payload) + OVERHEAD
        if size > MAX_FRAME_BYTES:
            raise LocalProtocolError(f"cannot send a frame of {size} bytes: peers take {MAX_FRAME_BYTES}")
        header = ENCRYPT + size.to_bytes(4, "big")
        payload = header + encryption.encrypt(UNPADDED, nonce, payload, header + label)
    return payload if reply else label_header(label) + payload


class _Envelope:
    """The layers required around the message."""

    __slots__ = ("encryption", "header", "label", "nonce", "replays")

    def __init__(
        self, encryption: Keyring | None, label: bytes, header: bytes, replays: ReplayWindow | None
    ) -> None:
        self.encryption = encryption
        self.label = label
        self.header = header
        self.replays = replays
        self.nonce = b""


class _Incoming:
    """Received bytes that were not taken yet, and whether more can come."""

    __slots__ = ("_buffer", "_total", "ended")

    def __init__(self, data: bytes, *, ended: bool) -> None:
        self._buffer = bytearray(data)
        self._total = len(data)
        self.ended = ended

    def append(self, data: bytes) -> None:
        self._buffer += data
        self._total += len(data)

    def take(self, size: int) -> Reading[bytes]:
        """Take exactly `size` bytes."""
        while len(self._buffer) < size:
            yield from self._wait()
        return self._cut(size)

    def take_some(self) -> Reading[bytes]:
        """Take at least one byte, and at most a slice."""
        while not self._buffer:
            yield from self._wait()
        return self._cut(SLICE_BYTES)

    def starts_with(self, byte: bytes) -> Reading[bool]:
        """Check the next byte without taking it."""
        while not self._buffer:
            yield from self._wait()
        return self._buffer.startswith(byte)

    def _cut(self, size: int) -> bytes:
        with memoryview(self._buffer) as view:
            data = bytes(view[:size])
        del self._buffer[:size]
        return data

    def _wait(self) -> Reading[None]:
        if self.ended:
            where = "in the middle of a message" if self._total else "before a message"
            raise RemoteProtocolError(f"stream ended after {self._total} bytes, {where}")
        if self._total > MAX_MESSAGE_BYTES:
            raise RemoteProtocolError(f"stream of more than {MAX_MESSAGE_BYTES} bytes")
        yield False


class _Objects:
    """The next msgpack objects, and the bytes after them."""

    __slots__ = ("_fed", "_incoming", "_limit", "_unpacker")

    def __init__(self, incoming: _Incoming, limit: int, max_elements: int) -> None:
        self._incoming = incoming
        self._limit = limit
        self._fed = 0
        self._unpacker = Unpacker(
            None,
            raw=True,
            max_buffer_size=limit + 2 * SLICE_BYTES,
            max_array_len=max_elements,
            max_map_len=max_elements,
        )

    def next_struct(self, order: tuple[bytes, ...]) -> Reading[Fields]:
        return as_struct((yield from self._next(self._unpacker.unpack)), order)

    def next_flat_map(self) -> Reading[Fields]:
        """Read a map piece by piece, so that `max_elements` applies only to its values."""
        count = yield from self._next(self._unpacker.read_map_header)
        if count > MAX_ELEMENTS:
            raise RemoteProtocolError(f"map of {count} elements: expected at most {MAX_ELEMENTS}")
        fields: dict[bytes, object] = {}
        for _ in range(count):
            key = yield from self._next(self._unpacker.unpack)
            if not isinstance(key, bytes):
                raise RemoteProtocolError(f"map key is {kind_of(key)}, expected text")
            fields[key] = yield from self._next(self._unpacker.unpack)
        return fields

    def take(self, size: int) -> Reading[bytes]:
        """Take exactly `size` bytes that follow the last object."""
        head: bytes = self._unpacker.read_bytes(min(size, self._fed - self._unpacker.tell()))
        return head + (yield from self._incoming.take(size - len(head)))

    def _next(self, read: Callable[[], T]) -> Reading[T]:
        start = self._unpacker.tell()
        while True:
            try:
                value = read()
                break
            except OutOfData:
                self._check(self._fed - start)
            except MALFORMED as error:
                raise RemoteProtocolError(f"malformed msgpack in a stream: {reason(error)}") from None
            piece = yield from self._incoming.take_some()
            self._unpacker.feed(piece)
            self._fed += len(piece)
        self._check(self._unpacker.tell() - start)
        return value

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise RemoteProtocolError(
                f"msgpack object of {size} or more bytes: expected at most {self._limit}"
            )


def _read_stream(incoming: _Incoming, envelope: _Envelope, rows: list[NodeState]) -> Reading[StreamMessage]:
    yield from _read_label(incoming, envelope.header)
    kind = yield from incoming.take(1)
    if kind == ENCRYPT:
        incoming = yield from _read_frame(incoming, envelope)
        kind = yield from incoming.take(1)
    elif kind == HAS_LABEL:
        raise WrongLabelError(DOUBLE_LABEL)
    elif envelope.encryption is not None:
        raise RemoteProtocolError(NOT_ENCRYPTED)
    if kind == COMPRESS:
        incoming = yield from _read_compressed(incoming)
        kind = yield from incoming.take(1)
    reader = _READERS.get(kind)
    if reader is None:
        raise RemoteProtocolError(f"message type {kind.hex()}: no stream carries it")
    return (yield from reader(_Objects(incoming, MAX_OBJECT_BYTES, MAX_ELEMENTS), rows))


def _read_label(incoming: _Incoming, label: bytes) -> Reading[None]:
    if not (yield from incoming.starts_with(HAS_LABEL)):
        matches = not label
    else:
        size = (yield from incoming.take(2))[1]
        matches = (yield from incoming.take(size)) == label != b""
    if not matches:
        raise WrongLabelError(wrong_label(label))


def _read_frame(incoming: _Incoming, envelope: _Envelope) -> Reading[_Incoming]:
    if envelope.encryption is None:
        raise RemoteProtocolError(NOT_CONFIGURED)
    length = yield from incoming.take(4)
    size = int.from_bytes(length, "big")
    if size > MAX_FRAME_BYTES:
        raise RemoteProtocolError(f"encrypted frame of {size} bytes: expected at most {MAX_FRAME_BYTES}")
    frame = yield from incoming.take(size)
    if envelope.replays is not None:
        envelope.replays.refuse_known(nonce_of(frame))
    yield True
    plaintext = envelope.encryption.decrypt(frame, ENCRYPT + length + envelope.label)
    envelope.nonce = nonce_of(frame)
    return _Incoming(plaintext, ended=True)


def _read_compressed(incoming: _Incoming) -> Reading[_Incoming]:
    objects = _Objects(incoming, MAX_COMPRESSED_BYTES, max_elements=0)
    fields = yield from objects.next_flat_map()
    yield True
    message = COMPRESSED.read(fields)
    limit = min(MAX_MESSAGE_BYTES, MAX_EXPANSION * len(message.data))
    return _Incoming(expand(message, limit), ended=True)


def _read_ping(objects: _Objects, _rows: list[NodeState]) -> Reading[Ping]:
    return PING.read((yield from objects.next_struct(PING.order)))


def _read_ack(objects: _Objects, _rows: list[NodeState]) -> Reading[Ack]:
    return ACK.read((yield from objects.next_struct(ACK.order)))


def _read_error(objects: _Objects, _rows: list[NodeState]) -> Reading[ErrorMessage]:
    return ERROR.read((yield from objects.next_struct(ERROR.order)))


def _read_user(objects: _Objects, _rows: list[NodeState]) -> Reading[UserMessage]:
    header = USER_HEADER.read((yield from objects.next_struct(USER_HEADER.order)))
    return UserMessage((yield from objects.take(header.size)))


def _read_push_pull(objects: _Objects, rows: list[NodeState]) -> Reading[PushPull]:
    header = PUSH_PULL_HEADER.read((yield from objects.next_struct(PUSH_PULL_HEADER.order)))
    for _ in range(header.nodes):
        row = read_node_state((yield from objects.next_struct(NODE_STATE.order)))
        if row is not None:
            rows.append(row)
    user_state = yield from objects.take(header.user_bytes)
    return PushPull(join=header.join, nodes=tuple(rows), user_state=user_state)


_READERS: dict[bytes, Callable[[_Objects, list[NodeState]], Reading[StreamMessage]]] = {
    PING.head: _read_ping,
    ACK.head: _read_ack,
    PUSH_PULL_HEADER.head: _read_push_pull,
    USER_HEADER.head: _read_user,
    ERROR.head: _read_error,
}
