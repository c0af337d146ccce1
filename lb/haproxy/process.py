"""One HAProxy master as a process that outlasts us: start, find, watch and signal it (ADR 16).

A process is identified by a pid file descriptor, which never comes to refer to another process. HAProxy's
standard output and error are a non-blocking pipe that HAProxy itself also holds open for reading. If the pipe
is not read, lines that do not fit are lost and HAProxy keeps running. The next gossip-lb that adopts the
process reads the same pipe. `lb.haproxy.supervisor` decides when to start, adopt and restart.
"""

import fcntl
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import trio

from lb.haproxy.cli_socket import HAProxyError
from lb.haproxy.incumbent import Incumbent

MAX_LINE_BYTES = 4096
"""A longer line of HAProxy's log is cut into pieces of this size."""
LOG_PIPE_BYTES = 256 * 1024
"""Capacity of the log pipe; the kernel may grant less, but at least 64 KiB."""
_CHUNK = 65536
_spawning = trio.CapacityLimiter(1)
"""A separate limiter: name look-ups that hang in the default one must not delay a restart."""


def haproxy_command(binary: str, config: Path, master_socket: Path) -> tuple[str, ...]:
    """Return the command line that starts HAProxy in master-worker mode and in the foreground.

    ``-db`` overrides ``daemon`` in the file: we could not watch a master that forks away.
    """
    return (binary, "-W", "-db", "-S", f"{master_socket},mode,600", "-f", str(config))


class Process:
    """A running master. `is_ours` is true if this or an earlier gossip-lb started it."""

    __slots__ = ("_handle", "_log", "_pending", "is_ours", "pid")

    def __init__(self, pid: int, handle: int, log: int | None, *, is_ours: bool) -> None:
        """Take ownership of the pid file descriptor `handle` and of `log`, the read end of the log pipe."""
        self.pid = pid
        self.is_ours = is_ours
        self._handle = handle
        self._log = log
        self._pending = bytearray()  # an incomplete line of the log

    @property
    def has_log(self) -> bool:
        """Whether its log can be read."""
        return self._log is not None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; does nothing if the process has exited."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    async def wait(self) -> int | None:
        """Wait for the exit; return the status (negative: a signal), or None if it is not our child."""
        await trio.lowlevel.wait_readable(self._handle)
        try:
            result = os.waitid(  # noqa: ASYNC222 - it has exited: this does not wait
                os.P_PIDFD, self._handle, os.WEXITED | os.WNOHANG
            )
        except ChildProcessError:
            return None
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

    def end_group(self) -> None:
        """Kill the remaining workers: one that outlives its master would keep the ports."""
        if self.is_ours:  # started in its own session, so the group has no other processes
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def lines(self) -> AsyncIterator[str]:
        """Yield the log line by line until every process that writes to it has exited."""
        if self._log is None:
            return
        while True:
            await trio.lowlevel.wait_readable(self._log)
            with suppress(BlockingIOError):
                chunk = os.read(self._log, _CHUNK)
                for line in _cut(self._pending, chunk):
                    yield line
                if not chunk:
                    return

    def last_lines(self) -> Iterator[str]:
        """Yield the lines left in the pipe after the exit, without waiting."""
        with suppress(BlockingIOError):
            while self._log is not None and (chunk := os.read(self._log, _CHUNK)):
                yield from _cut(self._pending, chunk)
        yield from _cut(self._pending, b"\n")

    def close(self) -> None:
        """Close our descriptors; the process keeps running."""
        for descriptor in (self._handle, self._log):
            if descriptor is not None:
                os.close(descriptor)
        self._log = None


async def start(command: Sequence[str]) -> Process:
    """Start HAProxy in our working directory and in a session of its own.

    Raises:
        HAProxyError: it cannot be executed, or there are no descriptors or processes left.
    """
    try:
        return await trio.to_thread.run_sync(_spawn, list(command), limiter=_spawning)
    except OSError as error:
        raise HAProxyError(
            f"cannot start {command[0]}: {error.strerror} (see --haproxy-binary)"
            if isinstance(error, FileNotFoundError | PermissionError)
            else f"cannot start {command[0]}: {error.strerror}"
        ) from error


def find(incumbent: Incumbent, *, is_ours: bool) -> Process | None:
    """Return the running HAProxy `incumbent`, None if it has exited meanwhile.

    Raises:
        HAProxyError: there are no descriptors left.
    """
    try:
        handle = os.pidfd_open(incumbent.pid)
    except ProcessLookupError:
        return None
    except OSError as error:
        raise HAProxyError(f"cannot watch haproxy process {incumbent.pid}: {error.strerror}") from error
    return Process(incumbent.pid, handle, _log_of(incumbent.pid) if is_ours else None, is_ours=is_ours)


def _spawn(command: list[str]) -> Process:
    log, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        with suppress(OSError):
            fcntl.fcntl(log, fcntl.F_SETPIPE_SZ, LOG_PIPE_BYTES)
        # A separate file description, also open for reading: HAProxy gets no SIGPIPE when we are gone.
        both = os.open(f"/proc/self/fd/{writing}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except BaseException:
        os.close(log)
        raise
    finally:
        os.close(writing)
    try:
        child = subprocess.Popen(  # noqa: S603 - the administrator's own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=both,
            stderr=both,
            start_new_session=True,
        )
    except BaseException:
        os.close(log)
        raise
    finally:
        os.close(both)
    try:
        handle = os.pidfd_open(child.pid)
    except BaseException:
        child.kill()
        child.wait()
        os.close(log)
        raise
    child.returncode = 0  # we wait through the pid file descriptor: keep Popen from waiting or warning
    return Process(child.pid, handle, log, is_ours=True)


def _log_of(pid: int) -> int | None:
    """Open the log pipe of a HAProxy that we started; None if there is no pipe or we may not read it."""
    path = Path(f"/proc/{pid}/fd/2")
    try:
        if not path.is_fifo():
            return None
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None


def _cut(pending: bytearray, chunk: bytes) -> Iterator[str]:
    """Add `chunk` to `pending` and yield the complete lines, in pieces of `MAX_LINE_BYTES`."""
    *lines, rest = bytes(pending + chunk).split(b"\n")
    pending[:] = rest
    if len(rest) > MAX_LINE_BYTES:
        lines.append(rest)
        pending.clear()
    for line in lines:
        for first in range(0, len(line), MAX_LINE_BYTES):
            if text := line[first : first + MAX_LINE_BYTES].decode("utf-8", "replace").strip():
                yield text
