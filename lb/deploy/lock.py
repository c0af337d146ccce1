"""One writer per configuration directory: a lock held for the life of the agent.

Two agents that write the same haproxy.cfg would overwrite each other's work forever, so the second one must
stop at once and name the process in its way. The kernel drops the lock when the holder dies, for any reason.
"""

import fcntl
import os
from pathlib import Path

from gossip.errors import ConfigError

LOCK_NAME = ".lb.lock"
MAX_PID_DIGITS = 20


class LockedError(ConfigError):
    """Another gossip-lb uses the directory; `holder` is its process id, or "unknown"."""

    def __init__(self, reason: str, holder: str) -> None:
        super().__init__(reason)
        self.holder = holder


class DirectoryLock:
    """An exclusive `flock` on ``<directory>/.lb.lock``; the file holds the holder's process id."""

    __slots__ = ("_fd", "path")

    def __init__(self, directory: Path) -> None:
        self.path = directory / LOCK_NAME
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock without waiting.

        Raises:
            LockedError: another process holds it.
            ConfigError: the file cannot be created.
        """
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"cannot create the lock {self.path}: {error.strerror} (the directory must be writable)"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(fd, MAX_PID_DIGITS, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise LockedError(
                f"cannot lock {self.path}: process {holder} holds it (one gossip-lb per directory; "
                "stop it or choose another --config-path)",
                holder,
            ) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Release the lock. The file stays: removing it would let two holders lock two files."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
