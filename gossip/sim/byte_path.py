"""The full byte path: everything the agent does to messages between core and socket, in both directions.

Without it, parts and states pass from node to node by reference, which is fast. With it, each datagram is
sealed and unsealed (compound, compression, checksum, encryption), and each stream is encoded, cut into chunks
and read incrementally. Nonces and chunk sizes come from a separate generator, so that the run itself draws
the same numbers either way.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from gossip.errors import RemoteProtocolError
from gossip.wire.codec import encode, encode_push_pull
from gossip.wire.keyring import NONCE_BYTES, Keyring
from gossip.wire.messages import PushPull
from gossip.wire.packet import seal, unseal
from gossip.wire.stream import StreamReader, seal_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.wire.messages import Ack, Ping, StreamMessage

KEY_BYTES = 16
MAX_CHUNK_BYTES = 4096


class BytePath:
    """Turns messages into bytes and back, as an agent with these settings does."""

    __slots__ = ("_compress", "_keyring", "_rng", "bytes_sealed", "datagrams", "streams")

    def __init__(self, seed: int, *, compress: bool, encrypt: bool) -> None:
        self._rng = Random(f"bytes/{seed}")
        self._compress = compress
        self._keyring = Keyring([self._rng.randbytes(KEY_BYTES)]) if encrypt else None
        self.datagrams = 0
        self.streams = 0
        self.bytes_sealed = 0

    def seal(self, parts: Sequence[bytes], *, crc: bool) -> bytes:
        """Return the datagram that carries `parts`."""
        datagram = seal(
            parts, compress=self._compress, crc=crc, encryption=self._keyring, nonce=self._nonce()
        )
        self.datagrams += 1
        self.bytes_sealed += len(datagram)
        return datagram

    def unseal(self, datagram: bytes) -> list[bytes]:
        """Return the parts of a datagram."""
        return unseal(datagram, encryption=self._keyring)

    def write(self, message: PushPull | Ping | Ack) -> bytes:
        """Return the bytes of `message` on a stream."""
        encoded = encode_push_pull(message) if isinstance(message, PushPull) else encode(message)
        self.streams += 1
        return seal_stream(encoded, compress=self._compress, encryption=self._keyring, nonce=self._nonce())

    def read(self, stream: bytes) -> StreamMessage:
        """Return the message in the bytes of a stream, read in chunks of random sizes.

        Raises:
            RemoteProtocolError: it is broken or cut off.
        """
        reader = StreamReader(encryption=self._keyring)
        start = 0
        while start < len(stream):
            size = 1 + int(self._rng.random() * MAX_CHUNK_BYTES)
            reader.receive_data(stream[start : start + size])
            start += size
            message = reader.next_event()
            if message is not None:
                return message
        reader.receive_eof()
        if (message := reader.next_event()) is not None:
            return message
        raise RemoteProtocolError(f"stream of {len(stream)} bytes ends without a message")

    def _nonce(self) -> bytes:
        return self._rng.randbytes(NONCE_BYTES) if self._keyring is not None else b""
