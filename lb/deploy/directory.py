"""The directory of the configuration, locked and held by its descriptor: all operations happen in it.

A path can be redirected while a program runs; a descriptor cannot. Every file is named relative to it, no
symbolic link at the end of a name is followed, and `check` compares the path with the held directory before
anything is written.
"""

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

from gossip.errors import ConfigError, GossipError
from lb.deploy.lock import DirectoryLock


class SwapError(GossipError):
    """The swap stopped at `step`; the target is the old file, or the complete new one after ``replace``."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(reason)
        self.step = step


class Directory:
    """One directory. Until it is held, and after `release`, names are resolved by its path."""

    __slots__ = ("_checking", "_fd", "_lock", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = DirectoryLock(path)
        self._fd: int | None = None
        self._checking = threading.Lock()

    def hold(self) -> None:
        """Lock the directory and open it.

        Raises:
            ConfigError: another process holds it, or it cannot be opened.
        """
        self._lock.acquire()
        try:
            self._fd = self._open_itself()
        except ConfigError:
            self._lock.release()
            raise

    def release(self) -> None:
        """Release the lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        self._lock.release()

    def check(self) -> None:
        """Verify that the path still leads to the held directory.

        One that was removed and created again is locked in turn. One behind a symbolic link is not: the
        author of the link has chosen which file HAProxy reads.

        Raises:
            SwapError: it leads to another directory, or to none.
        """
        with self._checking:
            if self._fd is None:
                return
            held = os.fstat(self._fd)
            try:
                found = self.path.lstat()
            except OSError as error:
                raise SwapError("directory", f"cannot use {self.path}: {error.strerror}") from error
            if (held.st_dev, held.st_ino) == (found.st_dev, found.st_ino):
                return
            if Path(os.path.realpath(self.path)) != self.path:
                reason = f"{self.path} was replaced by a symbolic link: nothing is written"
                raise SwapError("directory", reason)
            self._hold_successor(self._fd)

    def open(self, name: str, flags: int, mode: int = 0) -> int:
        """Open a file as `os.open` does, but follow no symbolic link."""
        return os.open(self._at(name), flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=self._fd)

    def read(self, name: str, limit: int) -> bytes | None:
        """Return the content of a file, None if it does not exist.

        Raises:
            SwapError: it cannot be read or has more than `limit` bytes.
        """
        path = self.path / name
        try:
            # Non-blocking: it may be a pipe.
            with os.fdopen(self.open(name, os.O_RDONLY | os.O_NONBLOCK), "rb") as source:
                if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                    raise SwapError("read", f"cannot read {path}: it is not a regular file")
                content = source.read(limit + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SwapError("read", f"cannot read {path}: {error.strerror}") from error
        if len(content) > limit:
            raise SwapError("read", f"{path} is larger than the limit of {limit} bytes")
        return content

    def stat(self, name: str) -> os.stat_result:
        """Return the status of the file that `name` leads to, as `os.stat` does."""
        return os.stat(self._at(name), dir_fd=self._fd)

    def rename(self, source: str, target: str, *, sync: bool = True) -> None:
        """Rename a file over another, so that a power cut cannot undo it."""
        os.replace(self._at(source), self._at(target), src_dir_fd=self._fd, dst_dir_fd=self._fd)
        if sync:
            self._sync()

    def link(self, source: str, target: str) -> None:
        """Give a file a second name; unlike `rename`, this never replaces a file."""
        os.link(self._at(source), self._at(target), src_dir_fd=self._fd, dst_dir_fd=self._fd)
        self._sync()

    def unlink(self, name: str) -> None:
        """Remove a file, if it exists and can be removed."""
        with suppress(OSError):
            os.unlink(self._at(name), dir_fd=self._fd)

    def names(self) -> list[str]:
        """Return the names of all files in the directory."""
        with os.scandir(self.path if self._fd is None else self._fd) as entries:
            return [entry.name for entry in entries]

    def _hold_successor(self, descriptor: int) -> None:
        """Lock the directory that is now at the path, and put it behind the same descriptor."""
        lock = DirectoryLock(self.path)
        try:
            lock.acquire()
            fd = self._open_itself()
        except ConfigError as error:
            lock.release()
            raise SwapError("directory", str(error)) from error
        os.dup2(fd, descriptor, inheritable=False)
        os.close(fd)
        self._lock.release()
        self._lock = lock

    def _open_itself(self) -> int:
        try:
            return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise ConfigError(f"cannot open the directory {self.path}: {error.strerror}") from error

    def _at(self, name: str) -> str:
        return str(self.path / name) if self._fd is None else name

    def _sync(self) -> None:
        if self._fd is not None:
            os.fsync(self._fd)
