"""Keeps one HAProxy running: starts or adopts it, and restarts it, after growing delays, when it exits.

HAProxy outlasts its supervisor. Only `Supervisor.stop` stops it, and only if it was started here or by an
earlier gossip-lb; a supervisor that is cancelled or killed leaves it serving for the next one to adopt.
"""

import logging
import re
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from gossip.settings.duration import Seconds
from lb.haproxy import process
from lb.haproxy.cli_socket import AbsentError, HAProxyError, UnreachableError
from lb.haproxy.incumbent import Incumbent, Record, identify
from lb.haproxy.master import Master
from lb.haproxy.process import Process

log = logging.getLogger(__name__)
haproxy_log = logging.getLogger("haproxy")

RESTART_DELAY = 0.5
MAX_RESTART_DELAY = 30.0
STABLE_AFTER = 60.0
"""Seconds after which a running HAProxy counts as stable; its restart delay is then reset."""
DEFAULT_STOP_TIMEOUT = 5.0
LAST_RESORT_TIMEOUT = 2.0
STRANGER_GRACE = 10.0
"""Seconds that a HAProxy which we did not start has to come back, before we start one."""
FIRST_LOOK = 3.0
"""Seconds that a master may be away when we start: a predecessor may have died in the middle of a reload."""
_ROUTINE = re.compile(r" : (Proxy .* stopped|Former worker .* exited with code 0)")


class StrangerError(HAProxyError):
    """Another HAProxy has our sockets: a person must decide which one is right."""


class Supervisor:
    """Runs `command`, which reads `config`, for as long as `run` runs.

    `record` is the record of the HAProxy that was started; `stop_timeout` is in seconds, for requests in
    flight; `prepare` is called before each start.
    """

    __slots__ = (
        "_alerting",
        "_command",
        "_config",
        "_has_looked",
        "_master",
        "_prepare",
        "_process",
        "_record",
        "_stop_timeout",
        "is_adopted",
        "last_alert",
        "on_exit",
        "starts",
    )

    def __init__(
        self,
        command: Sequence[str],
        config: Path,
        master: Master,
        record: Record,
        stop_timeout: float = DEFAULT_STOP_TIMEOUT,
        prepare: Callable[[], object] = bool,
    ) -> None:
        self._command = list(command)
        self._config = config
        self._master = master
        self._record = record
        self._stop_timeout = stop_timeout
        self._prepare = prepare
        self._process: Process | None = None
        self._has_looked = False
        self.last_alert = ""  # the first of the master's newest alerts: later ones are summaries
        self._alerting = False
        self.is_adopted = False
        self.on_exit: Callable[[], object] = bool  # called when the watched process is gone
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The master being watched, None if there is none right now."""
        return None if self._process is None else self._process.pid

    async def check(self) -> None:
        """Check whether `run` could begin, without changing anything.

        Raises:
            StrangerError: another HAProxy has our sockets.
            HAProxyError: the program does not exist.
        """
        try:
            found = await self._find()
        except StrangerError:
            raise
        except HAProxyError:
            return  # it may be temporary: `run` tries again
        if found is not None:
            found.close()
        elif shutil.which(self._command[0]) is None:
            raise HAProxyError(f"cannot start {self._command[0]}: no such program (see --haproxy-binary)")

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep HAProxy running until cancelled; it then continues to serve.

        Reports through `task_status` after the first attempt, whether or not there is a process.
        """
        delay = RESTART_DELAY
        while True:
            began = trio.current_time()
            try:
                watched = await self._find_or_start()
            except HAProxyError as error:
                reason = {"reason": str(error), "delay": Seconds(delay)}
                log.error("cannot start haproxy: retrying", extra=reason)  # noqa: TRY400 - no bug
                task_status.started()
            else:
                task_status.started()
                status = await self._watch(watched)
                if trio.current_time() - began >= STABLE_AFTER:
                    delay = RESTART_DELAY
                await self._mourn(watched, status, delay)
            task_status = trio.TASK_STATUS_IGNORED
            await trio.sleep(delay)
            delay = min(2 * delay, MAX_RESTART_DELAY)

    async def stop(self) -> int | None:
        """End HAProxy if it is ours; return the process that was ended, None if there was none.

        Requests in flight may finish first: SIGUSR1, SIGTERM, SIGKILL, each with its own time limit.
        """
        found = self._process
        if found is None and (recorded := self._record.find()) is not None:
            found = process.find(recorded, is_ours=True)
        if found is None or not found.is_ours:
            return None
        for number, patience in (
            (signal.SIGUSR1, self._stop_timeout),
            (signal.SIGTERM, LAST_RESORT_TIMEOUT),
            (signal.SIGKILL, LAST_RESORT_TIMEOUT),
        ):
            found.send_signal(number)
            with trio.move_on_after(patience):
                await found.wait()
                break
        found.end_group()
        self._let_go(found)
        self._record.forget()
        return found.pid

    async def _find_or_start(self) -> Process:
        if self._process is None:
            found = await self._find()
            self.is_adopted = found is not None
            if found is None:
                found = await self._start()
            else:
                log.info(
                    "adopted the running haproxy", extra={"pid": found.pid, "started_here": found.is_ours}
                )
                if found.is_ours and not found.has_log:
                    log.warning("cannot read the log of the adopted haproxy", extra={"pid": found.pid})
            self._process = found
        return self._process

    async def _start(self) -> Process:
        self._prepare()
        started = await process.start(self._command)
        self.starts += 1
        try:
            self._record.write(started.pid)
        except OSError as error:
            log.warning(
                "cannot record the started haproxy: the next gossip-lb will not stop it",
                extra={"file": self._record.path, "reason": error.strerror or str(error)},
            )
        return started

    async def _find(self) -> Process | None:
        """Return the running HAProxy to adopt, None if there is none.

        Raises:
            StrangerError: there is one that must not be adopted.
            HAProxyError: it cannot be determined whether there is one.
        """
        if (recorded := self._record.find()) is not None:
            # It is alive, whether or not it answers right now: a second one would share its ports.
            self._check_files(recorded)
            return process.find(recorded, is_ours=True)
        patience, self._has_looked = self._patience(), True
        try:
            await self._master.wait_answer(trio.current_time() + patience)
            peer = await self._master.peer()
            answered = (await self._master.processes()).master
        except AbsentError:
            return None
        except UnreachableError as error:
            raise HAProxyError(f"cannot tell whether haproxy is already running: {error}") from error
        found = identify(peer) if peer == answered else None
        if found is None:
            raise StrangerError(
                f"the haproxy that answers on {self._master.path} belongs to another container or user: "
                "attach to it (without --start-haproxy), or give this one different sockets"
            )
        self._check_files(found)
        return process.find(found, is_ours=False)

    def _patience(self) -> float:
        """Return how long a master may be away: only at our start, and only if there may be one."""
        is_unknown = not self._has_looked and not self._record.path.exists()
        return FIRST_LOOK if is_unknown and self._master.path.exists() else 0.0

    def _check_files(self, found: Incumbent) -> None:
        config = self._config.resolve()
        if found.files != (config,):
            reads = ", ".join(map(str, found.files)) or "no file"
            raise StrangerError(
                f"haproxy process {found.pid} on {self._master.path} reads {reads}, not {config}: stop it, "
                "or give this one different sockets (--master-socket, --admin-socket)"
            )

    async def _watch(self, watched: Process) -> int | None:
        """Relay its log until it exits; return its status."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._relay_log, watched)
            status = await watched.wait()
            watched.end_group()
            nursery.cancel_scope.cancel()
        for line in watched.last_lines():
            self._log_line(line, watched.pid)
        self._let_go(watched)
        return status

    async def _mourn(self, dead: Process, status: int | None, delay: float) -> None:
        """Log that it exited; if we did not start it, leave it to its own supervisor for a while."""
        self.on_exit()
        if dead.is_ours:
            self._record.forget()
            extra = {"status": status, "delay": Seconds(delay), "reason": self.last_alert}
            log.error("haproxy exited: restarting it", extra=extra)
            return
        log.error(
            "foreign haproxy exited: waiting for it to come back",
            extra={"pid": dead.pid, "patience": Seconds(STRANGER_GRACE)},
        )
        deadline = trio.current_time() + STRANGER_GRACE
        while trio.current_time() < deadline:
            try:
                await self._master.peer()
            except AbsentError:
                await trio.sleep(RESTART_DELAY)
            except UnreachableError:
                return
            else:
                return

    def _let_go(self, ended: Process) -> None:
        ended.close()
        self._process = None

    async def _relay_log(self, source: Process) -> None:
        async for line in source.lines():
            self._log_line(line, source.pid)

    def _log_line(self, line: str, master: int) -> None:
        is_alert = line.startswith("[ALERT]")
        haproxy_log.log(_level(line), "%s", line)
        # Workers' alerts are about traffic; the master's say why something does not start or load.
        if f"({master})" in line:
            if is_alert and not self._alerting:
                self.last_alert = line.partition(" : ")[2]
            self._alerting = is_alert


def _level(line: str) -> int:
    """Return the log level: alerts are warnings, as one server may cause them; reload messages are debug."""
    if line.startswith("[ALERT]"):
        return logging.WARNING
    return logging.DEBUG if line.startswith("[NOTICE]") or _ROUTINE.search(line) else logging.INFO
