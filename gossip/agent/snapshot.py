"""The snapshot file of a running agent: the state for its next life (serf-wire 5.13).

A thread appends lines twice a second: a slow or full disk does not delay gossip. A file that has grown is
replaced as a whole. An unusable file is refused at the start in one line; a later error is logged, and the
operation repeated.

After a crash, the file may end in an incomplete line, which is cut off. A line may also be missing: appended
lines are not forced to the disk, except those of a leave, of the agent's end and of a replacement.
"""

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import trio

from gossip.agent.snapshot_text import (
    LEAVE,
    Clocks,
    NotASnapshotError,
    Snapshot,
    clock_records,
    gone_record,
    member_record,
    read_snapshot,
    whole_snapshot,
)
from gossip.agent.transport import StartError
from gossip.agent.wrong_path import path_error
from gossip.errors import ConfigError, os_reason
from gossip.serf.effects import (
    Effect,
    MemberFailed,
    MemberJoined,
    MemberLeaving,
    MemberLeft,
    MemberReaped,
    MemberUpdated,
)
from gossip.serf.node import SerfNode
from gossip.serf.saved_state import KnownPeer
from gossip.settings.duration import Seconds
from gossip.whole_file import replace_file

if TYPE_CHECKING:
    from gossip.agent.service import Agent

FLUSH_INTERVAL = 0.5
"""Seconds between two checks for changes to write."""
MIN_REPLACED_BYTES = 128 * 1024
"""A shorter file is not replaced (Serf's figure)."""
BYTES_PER_MEMBER = 256
"""Bytes that a file may have per member in it, twice the size of a record (Serf's figure)."""
MAX_SNAPSHOT_BYTES = 16 * 1024 * 1024
"""Length of the longest file that is read; that of a full table is replaced when it exceeds 8 MiB."""
REWRITE_INTERVAL = 30.0
"""Seconds until the next attempt to replace a file that could not be written."""
LAST_FLUSH_TIMEOUT = 2.0
"""Seconds that the agent waits for the disk when it stops."""
FILE_MODE = 0o644

_Writer = Callable[[bytes], None]
_TOLD = MemberJoined | MemberUpdated | MemberFailed | MemberLeft
log = logging.getLogger("gossip.agent")


class SnapshotFile:
    """One agent's snapshot; locked, so that no second agent writes into it."""

    def __init__(self, path: Path, fd: int, snapshot: Snapshot, me: str) -> None:
        self.snapshot = snapshot
        self._path = path
        self._fd = fd
        self._me = me
        self._size = snapshot.length
        self._mode = stat.S_IMODE(os.fstat(fd).st_mode)
        self._clocks: Clocks = snapshot.clocks
        self._changes: dict[str, bytes] = {}  # by member: its latest record
        self._is_leaving = False
        self._leave_is_told = False
        self._unheard: tuple[KnownPeer, ...] = snapshot.alive + snapshot.failed
        self._must_rewrite = False
        self._rewrite_at = 0.0
        self._is_broken = False
        self._writing = Lock()  # an abandoned thread may still write

    def observe(self, effects: Sequence[Effect], _now: float) -> None:
        """Record the changes of members; see `gossip.agent.driver.Observer`."""
        for effect in effects:
            if self._is_leaving:
                return  # the other members seem to leave then, one after the other
            if isinstance(effect, MemberLeaving):
                self._is_leaving |= effect.member.name == self._me
            elif isinstance(effect, _TOLD):
                self._changes[effect.member.name] = member_record(effect.member)
            elif isinstance(effect, MemberReaped):
                self._changes[effect.member.name] = gone_record(effect.member.name)

    async def run(self, agent: "Agent") -> None:
        """Write changes until cancelled, and then the rest."""
        node = agent.driver.node
        try:
            while True:
                await self._flush(node)
                await trio.sleep(FLUSH_INTERVAL)
        finally:
            with trio.move_on_after(LAST_FLUSH_TIMEOUT, shield=True) as scope:
                await self._flush(node, last=True)
            if scope.cancelled_caught:
                log.error("snapshot incomplete: the disk is too slow", extra={"file": self._path})

    def close(self) -> None:
        """Release the file for another agent."""
        os.close(self._fd)

    # --- writing ------------------------------------------------------------------------------------------

    async def _flush(self, node: SerfNode, *, last: bool = False) -> None:
        """Append the changes; replace the file if it is too long, or broken."""
        lines = self._take_lines(node)
        leaves = lines.endswith(LEAVE + b"\n")
        if not lines and not (last or self._must_rewrite):
            return
        members = node.members()
        self._unheard = self._still_sought(node)
        most = max(MIN_REPLACED_BYTES, BYTES_PER_MEMBER * (len(members) + len(self._unheard)))
        if self._must_rewrite or self._size + len(lines) > most:
            if trio.current_time() < self._rewrite_at and not last:
                return
            lines = whole_snapshot(members, self._unheard, self._clocks)
            await self._write(self._replace, lines + (LEAVE + b"\n" if self._is_leaving else b""))
        else:
            await self._write(lambda text: self._append(text, durable=last or leaves), lines)

    def _still_sought(self, node: SerfNode) -> tuple[KnownPeer, ...]:
        """Return the members of the last life that no record of this one names, and that may come back.

        The node looks for a limited number of them. Until one of them answers, the file keeps all of them.
        """
        unheard = tuple(peer for peer in self._unheard if node.member(peer.name) is None)
        if not unheard or node.count_alive() == 1:
            return unheard
        sought = {peer.name for peer in node.saved_state().failed}
        return tuple(peer for peer in unheard if peer.name in sought)

    def _take_lines(self, node: SerfNode) -> bytes:
        clocks = node.clocks
        lines = [*self._changes.values(), clock_records(self._clocks, clocks)]
        if self._is_leaving and not self._leave_is_told:
            self._leave_is_told = True
            lines.append(LEAVE + b"\n")
        self._changes.clear()
        self._clocks = clocks
        return b"".join(lines)

    async def _write(self, how: _Writer, text: bytes) -> None:
        """Write in a thread; a failure is logged once, and leads to a new file later."""
        try:
            await trio.to_thread.run_sync(self._locked, how, text, abandon_on_cancel=True)
        except OSError as error:
            self._must_rewrite = True
            self._rewrite_at = trio.current_time() + REWRITE_INTERVAL
            if not self._is_broken:
                log.warning(
                    "cannot write the snapshot: retrying",
                    extra={"file": self._path, "reason": _reason(error), "after": Seconds(REWRITE_INTERVAL)},
                )
            self._is_broken = True
            return
        if self._is_broken:
            log.info("snapshot written again", extra={"file": self._path})
        self._is_broken = False

    def _locked(self, how: _Writer, text: bytes) -> None:
        with self._writing:
            how(text)

    def _append(self, text: bytes, *, durable: bool) -> None:
        if not _is_at(self._fd, self._path):
            raise OSError(errno.ESTALE, "it was moved, or removed")
        written = os.write(self._fd, text) if text else 0
        self._size += written
        if written < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if durable:
            os.fsync(self._fd)

    def _replace(self, text: bytes) -> None:
        replace_file(self._path, text, prefix=f".{self._path.name}.", mode=self._mode, durable=True)
        fd = _open_locked(self._path)
        os.close(self._fd)
        self._fd, self._size = fd, len(text)
        self._must_rewrite = False


def open_snapshot(path: Path, me: str, *, rejoin: bool) -> SnapshotFile:
    """Open, lock and read the snapshot of `me`, or create one; an incomplete line at its end is cut off.

    Raises:
        ConfigError: it is not a snapshot, or the path cannot be used.
        StartError: it is in use, too long, or cannot be written.
    """
    try:
        fd = _open_locked(path)
    except BlockingIOError:
        raise StartError(f"cannot use snapshot {path}: another agent writes to it") from None
    except OSError as error:
        raise path_error(f"cannot use snapshot {path}: {_reason(error)}", error) from None
    try:
        snapshot = read_snapshot(_read(fd), rejoin=rejoin)
        _try_to_write(fd, path, snapshot.length)
    except NotASnapshotError as error:
        os.close(fd)
        raise ConfigError(f"cannot use snapshot {path}: not a snapshot of Serf or gossip, {error}") from None
    except OSError as error:
        os.close(fd)
        raise path_error(f"cannot use snapshot {path}: {_reason(error)}", error) from None
    if snapshot.skipped:
        log.warning("snapshot has invalid lines", extra={"file": path, "lines": snapshot.skipped})
    return SnapshotFile(path, fd, snapshot, me)


def _open_locked(path: Path) -> int:
    """Open a regular file for appending, and lock it; links are not followed."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, FILE_MODE)
    try:
        _verify_regular(fd)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _verify_regular(fd: int) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise OSError(errno.EINVAL, "not a regular file")


def _read(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    if size > MAX_SNAPSHOT_BYTES:
        raise OSError(errno.EFBIG, f"{size} bytes are more than the limit of {MAX_SNAPSHOT_BYTES}")
    return os.pread(fd, size, 0)


def _try_to_write(fd: int, path: Path, length: int) -> None:
    """Cut the file to `length` and check whether it can grow, by adding a comment and cutting it off."""
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, "the directory cannot be written")
    os.ftruncate(fd, length)
    probe = b"# gossip\n"
    written = os.write(fd, probe)
    os.ftruncate(fd, length)
    if written < len(probe):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _is_at(fd: int, path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    ours = os.fstat(fd)
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link: name the file itself"
    return os_reason(error)
