"""Streams of msgpack rows, the content of recordings, written and read within limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import msgpack

from gossip.errors import GossipError

MAX_STREAM_BYTES = 64 * 1024 * 1024
"""Length of the longest state, or window of inputs, that is read; the state of 16,384 members takes 7 MB."""
MAX_ITEMS = 2**18
"""Most items in one row or value: twice the names that a push/pull may have."""


class RecordingError(GossipError):
    """A recording cannot be read or replayed; the text is one line for a person."""


@contextmanager
def hostile(what: str) -> Iterator[None]:
    """Turn every exception caused by the content of a file into one error.

    Raises:
        RecordingError: there was an exception; `what` precedes the reason.
    """
    try:
        yield
    except GossipError:
        raise
    except Exception as error:
        raise RecordingError(f"{what}: {type(error).__name__}: {error}") from error


def pack_row(row: object) -> bytes:
    """Return one row of a stream."""
    return cast(bytes, _packer.pack(row))


def unpack_rows(stream: bytes) -> Iterator[object]:
    """Yield the rows of a stream.

    Raises:
        RecordingError: it is broken or too long.
    """
    if len(stream) > MAX_STREAM_BYTES:
        raise RecordingError(f"{len(stream)} bytes are more than the {MAX_STREAM_BYTES} that are read")
    unpacker = msgpack.Unpacker(
        raw=False,
        unicode_errors="surrogateescape",
        max_buffer_size=max(1, len(stream)),
        max_array_len=MAX_ITEMS,
        max_map_len=MAX_ITEMS,
        max_ext_len=0,
    )
    unpacker.feed(stream)
    done = 0
    try:
        for row in unpacker:
            done = unpacker.tell()
            yield row
    except (ValueError, TypeError, RecursionError) as error:
        raise RecordingError(f"broken after byte {done}: {error or type(error).__name__}") from None
    if done != len(stream):
        raise RecordingError(f"cut off after byte {done}")


_packer = msgpack.Packer(unicode_errors="surrogateescape")
