"""Replace one configuration file so that nobody ever sees half of it.

A candidate is written beside the target, validated by HAProxy itself, and renamed over it: a reader, a
crash or a full disk meets the old file or the new one. Where a rename cannot work (the target is a mount
point, the directory is read-only) `open` says so at start, not at the first change. This module knows
nothing of members, templates or the running HAProxy.
"""

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from msgspec import Struct

from gossip.errors import ConfigError, GossipError
from lb.deploy.lock import DirectoryLock
from lb.haproxy.config_check import Validator

MAX_CONFIG_BYTES = 4 * 1024 * 1024
"""Far above a thousand servers (100 kB); a larger render is a broken template."""
NEW_FILE_MODE = 0o640
TEMP_PREFIX = ".lb."
TEMP_SUFFIX = ".tmp"
GOOD_NAME = ".lb.good"
MOUNTINFO = Path("/proc/self/mountinfo")


class SwapError(GossipError):
    """The swap stopped at `step`; the target is the old file, or the whole new one after ``replace``."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(reason)
        self.step = step


class RejectedError(SwapError):
    """HAProxy (or a limit of ours) refuses the candidate; the target was not touched."""

    def __init__(self, reason: str) -> None:
        super().__init__("validate", reason)


class Swapped(Struct, frozen=True):
    """What a swap did. Durations in seconds; digests are sha256 of the whole file, in hex."""

    changed: bool
    digest: str
    previous: str | None
    validated_in: float
    took: float


class ConfigFile:
    """The file that HAProxy reads, and the only way to change it.

    `open` it once, `swap` as often as needed, `close` it at the end. All methods block: call them from a
    thread, one at a time.
    """

    __slots__ = ("_lock", "_validator", "directory", "good_path", "target")

    def __init__(self, target: Path, validator: Validator) -> None:
        # A rename onto a symbolic link would replace the link: work on what it points to.
        self.target = Path(os.path.realpath(target))
        self.directory = self.target.parent
        self.good_path = self.directory / GOOD_NAME
        self._validator = validator
        self._lock = DirectoryLock(self.directory)

    def open(self) -> None:
        """Lock the directory, remove what a killed writer left, prove that a swap can work here.

        Raises:
            ConfigError: another writer is active, or a swap would fail; the text says why and what to do.
        """
        if not self.directory.is_dir():
            raise ConfigError(f"cannot write {self.target}: {self.directory} is not a directory (create it)")
        if self.target.exists() and not self.target.is_file():
            raise ConfigError(f"cannot write {self.target}: it is not a regular file")
        self._lock.acquire()
        try:
            self._remove_stale_candidates()
            self._probe()
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Give up the lock."""
        self._lock.release()

    def read(self) -> bytes | None:
        """Return the present content, None if there is no file.

        Raises:
            SwapError: the file cannot be read or is larger than `MAX_CONFIG_BYTES`.
        """
        return _read_bounded(self.target)

    def read_good(self) -> bytes | None:
        """Return the last content that a running HAProxy was seen to have, None if there is none yet."""
        return _read_bounded(self.good_path)

    def validate(self, content: bytes) -> None:
        """Ask HAProxy about `content` without touching the target.

        Raises:
            RejectedError: it is invalid.
            SwapError: the candidate could not be written.
        """
        candidate = self._write_candidate(content)
        try:
            self._validate(candidate)
        finally:
            candidate.unlink(missing_ok=True)

    def swap(self, content: bytes) -> Swapped:
        """Make `content` the configuration file; equal content is left alone.

        Returns:
            What happened; `changed` is False when the file already held exactly these bytes.

        Raises:
            RejectedError: HAProxy says that it is invalid; nothing changed.
            SwapError: a system call failed; `step` says which part.
        """
        start = perf_counter()
        digest = content_digest(content)
        present = self.read()
        previous = None if present is None else content_digest(present)
        if previous == digest:
            return Swapped(False, digest, previous, 0.0, perf_counter() - start)
        candidate = self._write_candidate(content)
        try:
            validating = perf_counter()
            self._validate(candidate)
            validated_in = perf_counter() - validating
            self._expect(candidate, digest, "rehash")
            self._replace(candidate)
        finally:
            with suppress(OSError):
                candidate.unlink(missing_ok=True)
        self._expect(self.target, digest, "read back")
        return Swapped(True, digest, previous, validated_in, perf_counter() - start)

    def keep_good(self, content: bytes) -> None:
        """Remember `content` as the last known good one: call it once a worker was seen to run it.

        Raises:
            SwapError: it could not be written; the older one stays.
        """
        if self.read_good() == content:
            return
        candidate = self._write_candidate(content)
        try:
            candidate.replace(self.good_path)
            _sync_directory(self.directory)
        except OSError as error:
            candidate.unlink(missing_ok=True)
            raise SwapError("keep", f"cannot write {self.good_path}: {error.strerror}") from error

    def _write_candidate(self, content: bytes) -> Path:
        if len(content) > MAX_CONFIG_BYTES:
            raise RejectedError(
                f"a configuration of {len(content)} bytes exceeds the limit of {MAX_CONFIG_BYTES}"
            )
        try:
            fd, name = tempfile.mkstemp(TEMP_SUFFIX, TEMP_PREFIX, self.directory)
        except OSError as error:
            raise SwapError(
                "write", f"cannot create a candidate in {self.directory}: {error.strerror}"
            ) from error
        candidate = Path(name)
        try:
            with os.fdopen(fd, "wb") as out:
                out.write(content)
                self._adopt_owner(out.fileno())
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            candidate.unlink(missing_ok=True)
            raise SwapError("write", f"cannot write the candidate {candidate}: {error.strerror}") from error
        return candidate

    def _adopt_owner(self, fd: int) -> None:
        """Give the candidate the owner and the mode of the file that it will replace."""
        try:
            wanted = self.target.stat()
        except FileNotFoundError:
            os.fchmod(fd, NEW_FILE_MODE)
            return
        mine = os.fstat(fd)
        if (mine.st_uid, mine.st_gid) != (wanted.st_uid, wanted.st_gid):
            os.fchown(fd, wanted.st_uid, wanted.st_gid)
        os.fchmod(fd, stat.S_IMODE(wanted.st_mode))

    def _validate(self, candidate: Path) -> None:
        verdict = self._validator.check(candidate, shown_as=self.target)
        if verdict is not None:
            raise RejectedError(verdict)

    def _replace(self, candidate: Path) -> None:
        try:
            candidate.replace(self.target)
            _sync_directory(self.directory)
        except OSError as error:
            raise SwapError(
                "replace", f"cannot rename {candidate} to {self.target}: {error.strerror}"
            ) from error

    def _expect(self, path: Path, digest: str, step: str) -> None:
        """Make sure that nobody wrote to `path` behind our back."""
        found = _read_bounded(path)
        if found is None or content_digest(found) != digest:
            raise SwapError(step, f"{path} is not what was written to it: somebody else changes it")

    def _remove_stale_candidates(self) -> None:
        for leftover in self.directory.glob(f"{TEMP_PREFIX}*{TEMP_SUFFIX}"):
            with suppress(OSError):
                leftover.unlink()

    def _probe(self) -> None:
        """Do in small what a swap does, and look for what would make the real rename fail."""
        if self.target.exists() and self._is_mounted():
            raise ConfigError(
                f"cannot swap {self.target}: it is a mount point, and a rename over one fails (EBUSY); "
                f"mount the directory {self.directory} instead of the file"
            )
        try:
            candidate = self._write_candidate(b"probe\n")
            renamed = candidate.with_name(f"{TEMP_PREFIX}probe{TEMP_SUFFIX}")
            candidate.replace(renamed)
            renamed.unlink()
        except SwapError as error:
            raise ConfigError(
                f"{error} (the directory must be writable, and this user must be allowed to give a file "
                f"the owner of {self.target})"
            ) from error
        except OSError as error:
            raise ConfigError(f"cannot rename within {self.directory}: {error.strerror}") from error

    def _is_mounted(self) -> bool:
        elsewhere = self.target.stat().st_dev != self.directory.stat().st_dev
        # A bind mount from the same file system has the same st_dev: only the mount table tells.
        return elsewhere or str(self.target) in _mount_points()


def content_digest(content: bytes) -> str:
    """Return the sha256 of the whole content, in hex."""
    return hashlib.sha256(content).hexdigest()


def _read_bounded(path: Path) -> bytes | None:
    try:
        with path.open("rb") as source:
            content = source.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SwapError("read", f"cannot read {path}: {error.strerror}") from error
    if len(content) > MAX_CONFIG_BYTES:
        raise SwapError("read", f"{path} is larger than the limit of {MAX_CONFIG_BYTES} bytes")
    return content


def _sync_directory(directory: Path) -> None:
    """Make the rename survive a power cut."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _mount_points() -> list[str]:
    try:
        mounts = MOUNTINFO.read_text("utf-8", "surrogateescape")
    except OSError:
        return []
    return [_unescape(line.split(" ")[4]) for line in mounts.splitlines()]


def _unescape(field: str) -> str:
    """Undo the kernel's octal escapes of space, tab, newline and backslash."""
    for octal in ("040", "011", "012", "134"):
        field = field.replace(f"\\{octal}", chr(int(octal, 8)))
    return field
