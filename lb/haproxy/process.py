"""Start HAProxy, keep it running, stop it gently; or adopt the one that is already there.

An adopted HAProxy is the child of an agent that was killed: it went on serving, and the new agent is
responsible for it now. Everything here is bounded: restarts back off, a stop ends in SIGKILL.
"""

import logging
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import trio

from gossip.agent.duration import Seconds
from lb.haproxy.cli_socket import HAProxyError, UnreachableError
from lb.haproxy.master import Master

log = logging.getLogger(__name__)
haproxy_log = logging.getLogger("haproxy")

RESTART_DELAY = 0.5
MAX_RESTART_DELAY = 30.0
STABLE_AFTER = 60.0
"""An HAProxy that ran for so long starts its back-off anew."""
DEFAULT_STOP_TIMEOUT = 5.0
LAST_RESORT_TIMEOUT = 2.0
_ROUTINE = re.compile(r" : (Proxy .* stopped|Former worker .* exited with code 0)")
MAX_LINE_BYTES = 4096
"""A longer line of HAProxy's log is cut into pieces of this size."""


def haproxy_command(binary: str, config: Path, master_socket: Path) -> tuple[str, ...]:
    """Return how HAProxy is started in master-worker mode, in the foreground."""
    return (binary, "-W", "-S", f"{master_socket},mode,600", "-f", str(config))


class Supervisor:
    """Runs `command` for as long as `run` runs; `stop_timeout` in seconds for requests in flight."""

    __slots__ = ("_alerting", "_command", "_master", "_stop_timeout", "last_alert", "starts")

    def __init__(
        self, command: Sequence[str], master: Master, stop_timeout: float = DEFAULT_STOP_TIMEOUT
    ) -> None:
        self._command = list(command)
        self._master = master
        self._stop_timeout = stop_timeout
        self.last_alert = ""  # the first of the master's newest alerts: the ones behind it are summaries
        self._alerting = False
        self.starts = 0

    async def run(self, task_status: trio.TaskStatus[bool] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep HAProxy running until cancelled, then stop it.

        Reports through `task_status` whether it adopted a running one, as soon as there is a process.

        Raises:
            HAProxyError: the command cannot be executed at all.
        """
        adopted = await self._adopt()
        if adopted is not None:
            task_status.started(True)
            try:
                await _exit_of(adopted)
            except trio.Cancelled:
                with trio.CancelScope(shield=True):
                    await self._stop(_Adopted(adopted))
                raise
            finally:
                os.close(adopted)
            log.warning("adopted haproxy exited: starting it")
            await self._keep_running(trio.TASK_STATUS_IGNORED)
        else:
            await self._keep_running(task_status)

    async def _adopt(self) -> int | None:
        """Return a pid file descriptor of the master that answers, None if there is none."""
        try:
            found = (await self._master.processes()).master
        except UnreachableError:
            return None
        try:
            handle = os.pidfd_open(found)
        except OSError as error:
            raise HAProxyError(
                f"haproxy process {found} answers on the master socket but cannot be supervised: "
                f"{error.strerror} (run without --start-haproxy to attach to it)"
            ) from error
        log.info("adopted the running haproxy", extra={"pid": found})
        return handle

    async def _keep_running(self, task_status: trio.TaskStatus[bool]) -> None:
        delay = RESTART_DELAY
        while True:
            began = trio.current_time()
            status = await self._run_once(task_status)
            task_status = trio.TASK_STATUS_IGNORED
            if trio.current_time() - began >= STABLE_AFTER:
                delay = RESTART_DELAY
            log.error(
                "haproxy exited: starting it again",
                extra={"status": status, "delay": Seconds(delay), "reason": self.last_alert},
            )
            await trio.sleep(delay)
            delay = min(2 * delay, MAX_RESTART_DELAY)

    async def _run_once(self, task_status: trio.TaskStatus[bool]) -> int:
        try:
            process = await trio.lowlevel.open_process(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # Its own session: a Ctrl-C in the terminal is ours to translate into a gentle stop.
                start_new_session=True,
            )
        except OSError as error:
            raise HAProxyError(
                f"cannot start {self._command[0]}: {error.strerror} (see --haproxy-binary)"
            ) from error
        self.starts += 1
        task_status.started(False)
        assert process.stdout is not None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._relay_log, process.stdout, process.pid)
                status = await process.wait()
                # A worker that outlives its master would hold the pipe, and the ports, for ever.
                _kill_group(process.pid)
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._stop(process)
            raise
        return status

    async def _relay_log(self, stream: trio.abc.ReceiveStream, master: int) -> None:
        pending = b""
        async with stream:
            async for chunk in stream:
                *lines, pending = (pending + chunk).split(b"\n")
                if len(pending) > MAX_LINE_BYTES:
                    lines.append(pending)
                    pending = b""
                for line in lines:
                    for start in range(0, len(line), MAX_LINE_BYTES):
                        piece = line[start : start + MAX_LINE_BYTES]
                        self._log_line(piece.decode("utf-8", "replace").strip(), master)

    def _log_line(self, line: str, master: int) -> None:
        if not line:
            return
        is_alert = line.startswith("[ALERT]")
        haproxy_log.log(_level(line), "%s", line)
        # Workers' alerts are about traffic; why something does not start or load, the master says.
        if f"({master})" in line:
            if is_alert and not self._alerting:
                self.last_alert = line.partition(" : ")[2]
            self._alerting = is_alert

    async def _stop(self, process: "trio.Process | _Adopted") -> None:
        """Let requests in flight finish, then insist: SIGUSR1, SIGTERM, SIGKILL, each with its time."""
        for number, patience in (
            (signal.SIGUSR1, self._stop_timeout),
            (signal.SIGTERM, LAST_RESORT_TIMEOUT),
            (signal.SIGKILL, LAST_RESORT_TIMEOUT),
        ):
            with suppress(ProcessLookupError):
                process.send_signal(number)
            with trio.move_on_after(patience):
                await process.wait()
                break
        if isinstance(process, trio.Process):
            _kill_group(process.pid)


def _level(line: str) -> int:
    """Alerts are warnings here: they may be about one server. What every reload prints is for debugging."""
    if line.startswith("[ALERT]"):
        return logging.WARNING
    return logging.DEBUG if line.startswith("[NOTICE]") or _ROUTINE.search(line) else logging.INFO


class _Adopted:
    """A process that is not our child, by its pid file descriptor."""

    __slots__ = ("_handle",)

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def send_signal(self, number: signal.Signals) -> None:
        signal.pidfd_send_signal(self._handle, number)

    async def wait(self) -> None:
        await _exit_of(self._handle)


async def _exit_of(handle: int) -> None:
    await trio.lowlevel.wait_readable(handle)


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
