"""The file: says what it is, is read within bounds, is whole or not there, and belongs to its owner."""

import os
import stat
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip import __version__
from gossip.errors import ConfigError
from gossip.recording import recording as module
from gossip.recording.recording import (
    FORMAT,
    MAX_WINDOWS,
    decode_recording,
    encode_recording,
    read_recording,
    recording_name,
    write_recording,
)
from gossip.recording.rows import RecordingError
from tests.recording.rig import START, Recorded


def data_of(node: Recorded | None = None) -> bytes:
    recorded = node or Recorded()
    recorded.node.handle_timeout(START)
    return encode_recording(recorded.recorder.snapshot(), "2024-11-22T17:45:00Z", START)


def with_field(name: str, value: object) -> bytes:
    return msgspec.msgpack.encode(msgspec.msgpack.decode(data_of()) | {name: value})


def refusal(data: bytes) -> str:
    with pytest.raises(RecordingError) as caught:
        decode_recording(data)
    return str(caught.value)


def test_a_recording_says_what_it_is():
    said = msgspec.msgpack.decode(data_of())
    assert said["kind"] == "gossip-recording"
    assert (said["format"], said["gossip"], said["node"]) == (FORMAT, __version__, "me")
    assert said["python"].startswith("3.")
    assert said["at"] == "2024-11-22T17:45:00Z"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "not a flight recording"),
        (b"\x80", "not a flight recording"),
        (b"\x00" * 100, "not a flight recording"),
        (b"\x91" * 5000, "not a flight recording"),
        (with_field("kind", "pickle"), "not a flight recording"),
        (with_field("state", [1]), "not a flight recording"),
        (with_field("stretches", [{"inputs": 1}]), "not a flight recording"),
        (with_field("format", FORMAT + 1), f"it has format {FORMAT + 1}: this version reads format {FORMAT}"),
        (with_field("stretches", []), "it has 0 windows: expected 1 to"),
        (with_field("stretches", [{"inputs": b"", "digest": b""}] * (MAX_WINDOWS + 1)), "windows: expected"),
    ],
)
def test_what_is_no_recording_is_refused(data, complaint):
    assert complaint in refusal(data)


def test_as_many_windows_as_allowed_are_read():
    decode_recording(with_field("stretches", [{"inputs": b"", "digest": b""}] * MAX_WINDOWS))


@given(st.data())
def test_no_change_of_a_byte_does_more_than_be_refused(data):
    changed = bytearray(data_of())
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with suppress(RecordingError):
        decode_recording(bytes(changed))


def test_files_are_read_up_to_their_limit(tmp_path, monkeypatch):
    data = data_of()
    path = tmp_path / "x"
    path.write_bytes(data)
    monkeypatch.setattr(module, "MAX_RECORDING_BYTES", len(data))
    assert decode_recording(read_recording(path)).node == "me"
    path.write_bytes(data + b"\0")
    assert "longer than" in refusal(path.read_bytes())
    with pytest.raises(ConfigError, match="longer than"):
        read_recording(path)


def test_a_file_belongs_to_its_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        write_recording(tmp_path / "x", b"data")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600
    assert (tmp_path / "x").read_bytes() == b"data"


def test_a_file_that_is_there_is_replaced_in_one_go(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_recording(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_is_replaced_and_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "x").symlink_to(victim)
    write_recording(tmp_path / "x", b"new")
    assert victim.read_bytes() == b"precious"


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_recording(tmp_path / "x", b"data")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_recording(tmp_path / "none" / "x", b"data")


@pytest.mark.parametrize(
    ("node", "name"),
    [
        ("web-1.example_x", "gossip-web-1.example_x-T.recording"),
        ("../etc/passwd", "gossip-.._etc_passwd-T.recording"),
        ("a b;c\udcff", "gossip-a_b_c_-T.recording"),
        ("", "gossip-node-T.recording"),
    ],
)
def test_a_name_of_a_node_makes_a_harmless_name_of_a_file(node, name):
    assert recording_name(node, "T") == name
    assert Path(recording_name(node, "T")).name == recording_name(node, "T")
