"""The HAProxy that is already running: its process, its files, and whether we started it.

A process is identified by its id together with its start time, because ids are reused. The record of the
HAProxy that was started outlasts the process that started it: the next life may restart and stop the recorded
process, and no other.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from gossip.whole_file import replace_file

RECORD_NAME = ".lb.haproxy"
MAX_RECORD_BYTES = 1024
_START_TIME = 19
"""Index after the program's name: field 22 of proc(5)'s stat, in clock ticks since the boot."""


class Incumbent(Struct, frozen=True):
    """A HAProxy master; `files` are its ``-f`` arguments as absolute paths."""

    pid: int
    start_time: int
    files: tuple[Path, ...]


def identify(pid: int) -> Incumbent | None:
    """Return the HAProxy with process id `pid`, None if there is none, or it cannot be inspected."""
    try:
        start_time = _start_time(pid)
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        directory = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None
    if start_time is None:
        return None
    files = config_files([os.fsdecode(word) for word in words])
    return Incumbent(pid, start_time, tuple((directory / file).resolve() for file in files))


def config_files(command: Sequence[str]) -> tuple[str, ...]:
    """Return the files that HAProxy reads with this command line: each ``-f``, and all after ``--``."""
    files: list[str] = []
    words = iter(command[1:])
    for word in words:
        if word == "--":
            files += [rest for rest in words if rest]
        elif word == "-f":
            files += [next(words, "")]
    return tuple(files)


class Record:
    """The file that records the HAProxy that was started."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, pid: int) -> None:
        """Record process `pid` as started by us.

        Raises:
            OSError: the file cannot be written, or the process is gone.
        """
        start_time = _start_time(pid)
        if start_time is None:
            raise ProcessLookupError(f"process {pid} is gone")
        line = msgspec.json.encode(_Line(pid, start_time, _boot_id()))
        replace_file(self.path, line, prefix=".lb.haproxy.")

    def find(self) -> Incumbent | None:
        """Return the recorded HAProxy if it is still running."""
        try:
            with self.path.open("rb") as file:
                line = msgspec.json.decode(file.read(MAX_RECORD_BYTES), type=_Line)
        except (OSError, msgspec.DecodeError):
            return None
        found = identify(line.pid)
        if found is None or found.start_time != line.start_time or line.boot_id != _boot_id():
            return None
        return found

    def forget(self) -> None:
        """Remove the record; an error does no harm, because a process that is gone is never found again."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


class _Line(Struct, frozen=True):
    pid: int
    start_time: int
    boot_id: str


def _start_time(pid: int) -> int | None:
    """Return when `pid` started, None if it has exited and waits to be reaped."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[_START_TIME])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
