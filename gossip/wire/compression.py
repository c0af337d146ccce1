"""The compress message: another message inside, compressed (memberlist `util.go`; serf-wire 1.3, 4.1)."""

from gossip.errors import RemoteProtocolError
from gossip.wire.layout import Layout
from gossip.wire.lzw import compress, decompress
from gossip.wire.messages import Compressed

LZW = 0
"""The only algorithm."""

COMPRESSED = Layout(Compressed)


def pack_compressed(message: bytes) -> bytes:
    """Return `message` inside a compress message, which may be longer."""
    return COMPRESSED.pack(Compressed(LZW, compress(message)))


def expand(message: Compressed, limit: int) -> bytes:
    """Return the message inside `message`.

    Raises:
        RemoteProtocolError: the algorithm is unknown, the data is broken or expands to more than `limit`
            bytes.
    """
    if message.algorithm != LZW:
        raise RemoteProtocolError(f"unknown compression algorithm {message.algorithm}")
    return decompress(message.data, limit)
