"""One HAProxy master as a process: started so that it outlives us, or found again; watched and signalled.

It is known by a pid file descriptor, which never points to anybody else. Its standard output and error are a
pipe that it holds open for reading, too, and that never makes it wait: when nobody reads, what does not fit
is lost, and HAProxy goes on. The next gossip-lb that adopts it reads the same pipe.
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
"""What HAProxy's log may hold while nobody reads it; the kernel may grant less, 64 KiB at least."""
_CHUNK = 65536
_spawning = trio.CapacityLimiter(1)
"""Not the common one: look-ups of names that hang must not hold up a restart."""


def haproxy_command(binary: str, config: Path, master_socket: Path) -> tuple[str, ...]:
    """Return how HAProxy is started: in master-worker mode, in the foreground whatever its file says.

    ``-db`` overrules ``daemon`` in the file: a master that forks away would be nobody's child.
    """
    return (binary, "-W", "-db", "-S", f"{master_socket},mode,600", "-f", str(config))


class Process:
    """A running master. `is_ours` says whether we, or an earlier gossip-lb, started it."""

    __slots__ = ("_handle", "_log", "_pending", "is_ours", "pid")

    def __init__(self, pid: int, handle: int, log: int | None, *, is_ours: bool) -> None:
        """Take over the pid file descriptor `handle` and the end of the log's pipe that is read."""
        self.pid = pid
        self.is_ours = is_ours
        self._handle = handle
        self._log = log
        self._pending = bytearray()  # of the log: a line that is not complete yet

    @property
    def has_log(self) -> bool:
        """Whether its log can be read."""
        return self._log is not None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; a process that is gone does not mind."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    async def wait(self) -> int | None:
        """Wait until it has exited; return its status (negative: the signal), None if it is not our child."""
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
        """Kill what is left of it: a worker that outlives its master would hold the ports."""
        if self.is_ours:  # started in a session of its own: the group is nobody else's
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def lines(self) -> AsyncIterator[str]:
        """Yield its log, line by line, until every process that writes it is gone."""
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
        """Yield what the log still holds after the exit, without waiting for more."""
        with suppress(BlockingIOError):
            while self._log is not None and (chunk := os.read(self._log, _CHUNK)):
                yield from _cut(self._pending, chunk)
        yield from _cut(self._pending, b"\n")

    def close(self) -> None:
        """Let go of it; the process is not touched."""
        for descriptor in (self._handle, self._log):
            if descriptor is not None:
                os.close(descriptor)
        self._log = None


async def start(command: Sequence[str]) -> Process:
    """Start HAProxy in our directory, in a session of its own.

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
        # A description of its own, open for reading as well: no reader but itself, and yet no SIGPIPE.
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
    child.returncode = 0  # the pid file descriptor waits for it: this object must neither do so nor complain
    return Process(child.pid, handle, log, is_ours=True)


def _log_of(pid: int) -> int | None:
    """Open the pipe that a HAProxy of ours writes its log to; None if it has none that we may read."""
    path = Path(f"/proc/{pid}/fd/2")
    try:
        if not path.is_fifo():
            return None
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None


def _cut(pending: bytearray, chunk: bytes) -> Iterator[str]:
    """Add `chunk` to `pending` and yield the lines that are complete, in pieces of `MAX_LINE_BYTES`."""
    *lines, rest = bytes(pending + chunk).split(b"\n")
    pending[:] = rest
    if len(rest) > MAX_LINE_BYTES:
        lines.append(rest)
        pending.clear()
    for line in lines:
        for first in range(0, len(line), MAX_LINE_BYTES):
            if text := line[first : first + MAX_LINE_BYTES].decode("utf-8", "replace").strip():
                yield text
