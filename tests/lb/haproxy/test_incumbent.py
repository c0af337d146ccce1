"""A HAProxy is known by its process id and start time; its command line tells which files it reads."""

import os
from pathlib import Path

import msgspec
import pytest

from lb.haproxy.incumbent import Record, config_files, identify


@pytest.mark.parametrize(
    ("words", "files"),
    [
        ("haproxy -W -db -S /m.sock -f /a.cfg", ("/a.cfg",)),
        ("haproxy -sf 8383 8384 -x sockpair@3 -W -S /m.sock -f /a.cfg", ("/a.cfg",)),
        ("haproxy -f a.cfg -f b.cfg -- c.cfg d.cfg", ("a.cfg", "b.cfg", "c.cfg", "d.cfg")),
        ("haproxy -v", ()),
        ("haproxy -f", ("",)),
    ],
)
def test_files_of_a_command_line(words: str, files: tuple[str, ...]) -> None:
    assert config_files(words.split()) == files


def test_record_finds_the_process_that_was_recorded_and_no_other(tmp_path: Path) -> None:
    record = Record(tmp_path / "record")
    assert record.find() is None
    record.write(os.getpid())
    assert record.find() == identify(os.getpid())
    line = msgspec.json.decode(record.path.read_bytes())
    for key, other in (("start_time", line["start_time"] - 1), ("boot_id", "another"), ("pid", 2**22 + 1)):
        record.path.write_bytes(msgspec.json.encode(line | {key: other}))
        assert record.find() is None, key
    for length, found in ((1024, identify(os.getpid())), (1025, None)):
        record.path.write_bytes(msgspec.json.encode(line).rjust(length))
        assert record.find() == found, length
    record.path.write_bytes(b"{")
    assert record.find() is None
    record.forget()
    record.forget()
    assert list(tmp_path.iterdir()) == []


def test_record_replaces_a_link_instead_of_following_it(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    record = Record(tmp_path / "record")
    record.path.symlink_to(tmp_path / "victim")
    record.write(os.getpid())
    assert (tmp_path / "victim").read_text() == "precious"
    assert record.find() is not None


def test_process_that_is_gone_cannot_be_identified_or_recorded(tmp_path: Path) -> None:
    gone = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, gone, os.WEXITED | os.WNOWAIT)  # a zombie
    assert identify(gone) is None
    record = Record(tmp_path / "record")
    with pytest.raises(ProcessLookupError):
        record.write(gone)
    os.waitpid(gone, 0)
    assert identify(gone) is None
    with pytest.raises(OSError, match="No such"):
        record.write(gone)
    assert list(tmp_path.iterdir()) == []
