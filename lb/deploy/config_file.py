"""Replaces one configuration file so that no reader ever sees half of it.

A candidate is written beside the target, validated by HAProxy itself, and renamed over it: after a crash or
on a full disk, readers find the old file or the new one. If a rename cannot work (the target is a mount
point, the directory is read-only), `open` reports it at the start, not at the first change. This module does
not know members, templates or the running HAProxy.
"""

import hashlib
import os
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from time import gmtime, perf_counter, strftime

from msgspec import Struct

from gossip.errors import ConfigError, os_reason
from lb.deploy.directory import Directory, SwapError
from lb.haproxy.config_check import Validator

MAX_CONFIG_BYTES = 4 * 1024 * 1024
"""Far above a thousand servers (100 kB); a larger file means a broken template."""
NEW_FILE_MODE = 0o640
TEMP_PREFIX = ".lb."
TEMP_SUFFIX = ".tmp"
GOOD_NAME = ".lb.good"
MAX_COPIES = 100
"""Copies of one kind beside the file. None is removed here: at the limit, no file is overwritten any more."""
MOUNTINFO = Path("/proc/self/mountinfo")


class RejectedError(SwapError):
    """HAProxy (or a limit of ours) refuses the candidate; the target was not touched."""

    def __init__(self, reason: str) -> None:
        super().__init__("validate", reason)


class ChangedError(SwapError):
    """Somebody else has just changed the target; it was not touched."""

    def __init__(self, reason: str) -> None:
        super().__init__("replace", reason)


class Swapped(Struct, frozen=True):
    """The result of a swap. Durations in seconds; digests are sha256 of the whole file, in hex."""

    changed: bool
    digest: str
    previous: str | None
    validated_in: float
    took: float


class ConfigFile:
    """The file that HAProxy reads, and the only way to change it.

    `open` it once, `swap` as often as needed, `close` it at the end. All methods block: call them from a
    thread, one swap at a time.
    """

    __slots__ = ("_files", "_validator", "directory", "good_path", "target")

    def __init__(self, target: Path, validator: Validator) -> None:
        # A rename onto a symbolic link would replace the link: use the file that it points to.
        self.target = Path(os.path.realpath(target))
        self.directory = self.target.parent
        self.good_path = self.directory / GOOD_NAME
        self._validator = validator
        self._files = Directory(self.directory)

    def open(self) -> None:
        """Lock the directory, remove the leftovers of a killed writer, verify that a swap can work here.

        Raises:
            ConfigError: another writer is active, or a swap would fail; the text has the reason and the
                remedy.
        """
        if not self.directory.is_dir():
            raise ConfigError(f"cannot write {self.target}: {self.directory} is not a directory (create it)")
        try:
            is_something_else = self.target.exists() and not self.target.is_file()
        except OSError as error:
            raise ConfigError(f"cannot write {self.target}: {os_reason(error)}") from None
        if is_something_else:
            raise ConfigError(f"cannot write {self.target}: it is not a regular file")
        self._files.hold()
        try:
            self._remove_stale_candidates()
            self._probe()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the lock."""
        self._files.release()

    def read(self) -> bytes | None:
        """Return the current content, None if there is no file.

        Raises:
            SwapError: the file cannot be read or is larger than `MAX_CONFIG_BYTES`, or its directory is no
                longer the held one.
        """
        self._files.check()
        return self._read(self.target.name)

    def read_good(self) -> bytes | None:
        """Return the last content that a HAProxy was seen to run, None if there is none yet."""
        return self._read(self.good_path.name)

    def read_beside(self, name: str) -> bytes | None:
        """Return the content of the file `name` in the directory, None if it does not exist.

        Raises:
            SwapError: it cannot be read or is larger than `MAX_CONFIG_BYTES`.
        """
        return self._read(name)

    def validate(self, content: bytes) -> None:
        """Let HAProxy validate `content` without touching the target.

        Raises:
            RejectedError: it is invalid.
            SwapError: the candidate could not be written.
        """
        candidate = self._write_candidate(content)
        try:
            self._validate(candidate)
        finally:
            self._files.unlink(candidate.name)

    def swap(self, content: bytes, *, may_replace: Collection[bytes | None] | None = None) -> Swapped:
        """Make `content` the configuration file; equal content is left alone.

        Args:
            content: the new file.
            may_replace: contents that may be replaced, None for no file; if not given, any content.

        Returns:
            The result; `changed` is False if the file already had exactly these bytes.

        Raises:
            RejectedError: HAProxy reports that it is invalid; nothing changed.
            ChangedError: the file has content that may not be replaced.
            SwapError: a system call failed; `step` names the step.
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
            if may_replace is not None and self.read() not in may_replace:
                raise ChangedError(f"{self.target} was changed by somebody else meanwhile")
            self._replace(candidate)
        finally:
            self._files.unlink(candidate.name)
        self._expect(self.target, digest, "read back")
        return Swapped(True, digest, previous, validated_in, perf_counter() - start)

    def keep_good(self, content: bytes) -> None:
        """Keep `content` as the last known good one; call this once a worker was seen to run it.

        Raises:
            SwapError: it could not be written; the older file stays.
        """
        if self.read_good() == content:
            return
        self.write_beside(self.good_path.name, content)

    def write_beside(self, name: str, content: bytes) -> None:
        """Write the file `name` in the directory, completely or not at all; owner and mode are the target's.

        Raises:
            SwapError: it could not be written; the older file stays.
        """
        candidate = self._write_candidate(content)
        try:
            self._files.rename(candidate.name, name)
        except OSError as error:
            self._files.unlink(candidate.name)
            raise SwapError("keep", f"cannot write {self.directory / name}: {error.strerror}") from error

    def keep_copy(self, content: bytes, kind: str) -> Path:
        """Keep `content` as ``<file>.<kind>-<UTC time>``, with the file's owner and mode; return its path.

        A copy is never overwritten or removed. Content equal to the newest copy is not kept again.

        Raises:
            SwapError: it could not be written, or there are `MAX_COPIES` of this kind.
        """
        prefix = f"{self.target.name}.{kind}-"
        copies = sorted(name for name in self._files.names() if name.startswith(prefix))
        if copies and self._read(copies[-1]) == content:
            return self.directory / copies[-1]
        if len(copies) >= MAX_COPIES:
            raise SwapError(
                "copy",
                f"{self.directory} has {len(copies)} files {prefix}*: delete those no longer needed",
            )
        stamp = strftime("%Y%m%dT%H%M%SZ", gmtime())
        candidate = self._write_candidate(content)
        try:
            for suffix in ("", *(f"-{number}" for number in range(2, MAX_COPIES + 2))):
                path = self.directory / f"{prefix}{stamp}{suffix}"
                with suppress(FileExistsError):  # a link, unlike a rename, never replaces a file
                    self._files.link(candidate.name, path.name)
                    return path
        except OSError as error:
            raise SwapError("copy", f"cannot keep a copy of {self.target}: {error.strerror}") from error
        finally:
            self._files.unlink(candidate.name)
        raise SwapError("copy", f"cannot keep a copy of {self.target}: no name is free")

    def _write_candidate(self, content: bytes) -> Path:
        if len(content) > MAX_CONFIG_BYTES:
            raise RejectedError(
                f"a configuration of {len(content)} bytes exceeds the limit of {MAX_CONFIG_BYTES}"
            )
        self._files.check()
        candidate = self.directory / f"{TEMP_PREFIX}{token_hex(8)}{TEMP_SUFFIX}"
        try:
            fd = self._files.open(candidate.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise SwapError(
                "write", f"cannot create a candidate in {self.directory}: {error.strerror}"
            ) from error
        try:
            with os.fdopen(fd, "wb") as out:
                out.write(content)
                self._adopt_owner(out.fileno())
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            self._files.unlink(candidate.name)
            raise SwapError("write", f"cannot write the candidate {candidate}: {error.strerror}") from error
        return candidate

    def _adopt_owner(self, fd: int) -> None:
        """Give the candidate the owner and the mode of the file that it will replace."""
        try:
            wanted = self._files.stat(self.target.name)
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
            self._files.rename(candidate.name, self.target.name)
        except OSError as error:
            raise SwapError(
                "replace", f"cannot rename {candidate} to {self.target}: {error.strerror}"
            ) from error

    def _read(self, name: str) -> bytes | None:
        return self._files.read(name, MAX_CONFIG_BYTES)

    def _expect(self, path: Path, digest: str, step: str) -> None:
        """Verify that nobody else has written to `path`."""
        found = self._read(path.name)
        if found is None or content_digest(found) != digest:
            raise SwapError(step, f"{path} differs from what was written to it: somebody else is changing it")

    def _remove_stale_candidates(self) -> None:
        """Remove candidates of earlier writers: the lock is ours, so none of them is running."""
        for name in self._files.names():
            if name.startswith(TEMP_PREFIX) and name.endswith(TEMP_SUFFIX):
                self._files.unlink(name)

    def _probe(self) -> None:
        """Do a swap on a small scale, and look for causes that would make the real rename fail."""
        if self.target.exists() and self._is_mounted():
            raise ConfigError(
                f"cannot swap {self.target}: it is a mount point, and a rename over one fails (EBUSY); "
                f"mount the directory {self.directory} instead of the file"
            )
        try:
            candidate = self._write_candidate(b"probe\n")
            renamed = candidate.with_name(f"{TEMP_PREFIX}probe{TEMP_SUFFIX}")
            self._files.rename(candidate.name, renamed.name, sync=False)
            self._files.unlink(renamed.name)
        except SwapError as error:
            raise ConfigError(
                f"{error} (the directory must be writable, and this user must be allowed to give a file "
                f"the owner of {self.target})"
            ) from error
        except OSError as error:
            raise ConfigError(f"cannot rename within {self.directory}: {error.strerror}") from error

    def _is_mounted(self) -> bool:
        elsewhere = self.target.stat().st_dev != self.directory.stat().st_dev
        # A bind mount from the same file system has the same st_dev: only the mount table shows it.
        return elsewhere or str(self.target) in _mount_points()


def content_digest(content: bytes) -> str:
    """Return the sha256 of the whole content, in hex."""
    return hashlib.sha256(content).hexdigest()


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
