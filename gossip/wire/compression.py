"""The compress message: another message inside, compressed (memberlist `util.go`; serf-wire 1.3, 4.1)."""

from gossip.errors import RemoteProtocolError
from gossip.wire.dialect import MAX_U8, Fields, pack_struct, read_bytes, read_uint
from gossip.wire.lzw import compress, decompress

LZW = 0
"""The only algorithm there is."""

COMPRESS_FIELDS = (b"Algo", b"Buf")


def pack_compressed(message: bytes) -> bytes:
    """Return `message` inside a compress message, which may be longer."""
    return b"\x09" + pack_struct({"Algo": LZW, "Buf": compress(message)})


def read_compressed(fields: Fields, limit: int) -> bytes:
    """Return the message inside the compress message with `fields`.

    Raises:
        RemoteProtocolError: the algorithm is unknown, the data is broken or means more than `limit` bytes.
    """
    algorithm = read_uint(fields, b"Algo", MAX_U8)
    if algorithm != LZW:
        raise RemoteProtocolError(f"unknown compression algorithm {algorithm}")
    return decompress(read_bytes(fields, b"Buf"), limit)
