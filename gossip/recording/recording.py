"""The file of a flight recording: one msgpack map that identifies itself, then states and inputs as bytes.

A recording holds a node's state and everything that peers and people sent it: names, addresses, tags,
payloads of user events and queries. It holds no keys and no tokens: a node never receives them, except in
Serf's internal queries, whose contents are left out (`redaction`). Only the owner can read a file.
"""

from __future__ import annotations

import platform
from pathlib import Path

import msgspec
from msgspec import Struct

from gossip import __version__
from gossip.recording.graph import digest
from gossip.recording.recorder import Snapshot
from gossip.recording.rows import RecordingError
from gossip.toml_file import read_bounded
from gossip.whole_file import replace_file

FORMAT = 1
MAX_RECORDING_BYTES = 256 * 1024 * 1024
"""Length of the longest file that is read."""
MAX_WINDOWS = 16
SUFFIX = ".recording"


class Stretch(Struct, frozen=True):
    """The inputs of one window, and the expected digest of the state at its end."""

    inputs: bytes
    digest: bytes


class Recording(Struct, frozen=True, kw_only=True, tag_field="kind", tag="gossip-recording"):
    """All of a recording; it was dumped `at` this wall-clock time (ISO 8601), `now` on the node's clock."""

    format: int = FORMAT
    gossip: str
    python: str
    node: str
    at: str
    now: float
    state: bytes
    stretches: tuple[Stretch, ...]


class _Preface(Struct):
    format: int


def encode_recording(snapshot: Snapshot, at: str, now: float) -> bytes:
    """Return the file's content; `at` and `now` are as in `Recording`.

    Hashes all states: for a large cluster, do this in a thread.
    """
    digests = map(digest, snapshot.later_states)
    return msgspec.msgpack.encode(
        Recording(
            gossip=__version__,
            python=platform.python_version(),
            node=snapshot.node.encode("utf-8", "backslashreplace").decode(),
            at=at,
            now=now,
            state=snapshot.state,
            stretches=tuple(map(Stretch, snapshot.inputs, digests)),
        )
    )


def decode_recording(data: bytes) -> Recording:
    """Read a file's content.

    Raises:
        RecordingError: it is not a recording, broken, too long, or of another format.
    """
    if len(data) > MAX_RECORDING_BYTES:
        raise RecordingError(f"it is longer than {MAX_RECORDING_BYTES} bytes")
    try:
        preface = msgspec.msgpack.decode(data, type=_Preface)
        if preface.format != FORMAT:
            raise RecordingError(f"it has format {preface.format}: this version reads format {FORMAT}")
        recording = msgspec.msgpack.decode(data, type=Recording)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordingError(f"it is not a flight recording: {error}") from None
    if not 1 <= len(recording.stretches) <= MAX_WINDOWS:
        raise RecordingError(f"it has {len(recording.stretches)} windows: expected 1 to {MAX_WINDOWS}")
    return recording


def read_recording(path: Path) -> bytes:
    """Return the content of the file at `path`.

    Raises:
        ConfigError: it cannot be read, is too long, or is not a regular file.
    """
    return read_bounded(path, "recording", MAX_RECORDING_BYTES)


def write_recording(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, completely or not at all.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    replace_file(path, data, prefix=f".{path.name}.", durable=True)


def recording_name(node: str, at: str) -> str:
    """Return a file name for a dump of `node` at that time, safe in a shell and as part of a path."""
    safe = "".join(char if char.isalnum() or char in "-_." else "_" for char in node) or "node"
    stamp = "".join(char for char in at if char.isalnum())
    return f"gossip-{safe}-{stamp}{SUFFIX}"
