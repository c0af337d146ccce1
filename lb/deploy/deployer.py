"""From a finished file to a worker that runs it: swap, reload, verify, and roll back if it does not work.

One task, one take-over at a time; a newer goal replaces one that waits. There are three reasons to wait: a
recent reload (`min_reload_interval`), too many old workers that are still busy, or an earlier refusal of the
same content. Drained servers do not wait: they are set at once, and again whenever a new worker appears.
"""

import logging
import math
from collections.abc import Callable, Collection

import trio
from msgspec import Struct
from msgspec.structs import replace

from gossip.settings.duration import Seconds
from lb.deploy.config_file import ChangedError, ConfigFile, RejectedError, Swapped
from lb.deploy.custody import Custody
from lb.deploy.directory import SwapError
from lb.deploy.foreign_edit import OnForeignEdit
from lb.haproxy.cli_socket import HAProxyError, UnreachableError
from lb.haproxy.client import HAProxy
from lb.haproxy.config_text import ServerName, configured_servers, embedded_digest
from lb.haproxy.port_check import find_unbindable

log = logging.getLogger(__name__)

MAX_REASON_LENGTH = 500
WATCH_INTERVAL = 1.0
"""Seconds until a new worker, from any reload, gets its drained servers back."""
OLD_WORKERS_POLL = 0.5


class DeploymentConfig(Struct, frozen=True, kw_only=True):
    """The limits of waiting. Times in seconds."""

    min_reload_interval: float = 5.0
    max_old_workers: int = 4
    max_old_workers_wait: float = 30.0
    reconcile_interval: float = 30.0
    retry_delay: float = 60.0
    max_retry_delay: float = 600.0
    on_foreign_edit: OnForeignEdit = OnForeignEdit.RESTORE


class Goal(Struct, frozen=True):
    """A file that HAProxy should run, and the reason."""

    content: bytes
    reason: str
    settled_in: float = 0.0


class Refusal(Struct, frozen=True):
    """Content that did not work: not tried again before `retry_at`, unless it changes."""

    content: bytes
    reason: str
    attempts: int
    retry_at: float


class Deployment:
    """Brings the newest goal into effect. Keep `run` running; call `want` and `want_drained` at any time."""

    def __init__(
        self,
        file: ConfigFile,
        haproxy: HAProxy,
        config: DeploymentConfig,
        explain: Callable[[], str] = str,
    ) -> None:
        """Use `file` and `haproxy`; `explain` returns the newest error in HAProxy's log, if known."""
        self.swaps = 0  # files replaced since the start, including rollbacks
        self.refusal: Refusal | None = None
        self.problem = ""  # why file and worker are not in the desired state, for a person
        self._file = file
        self._haproxy = haproxy
        self._config = config
        self._explain = explain
        self._goal: Goal | None = None
        self._is_waiting = False  # for its turn: work on the goal has not begun
        self._drained: frozenset[ServerName] = frozenset()
        self._wake = trio.Event()
        self._wake_drains = trio.Event()
        self._reloaded_at = -math.inf
        self._is_degraded = False
        self._holds = False  # whether somebody else's change holds the deployment
        self._crowded_since: float | None = None
        self._custody = Custody(file, haproxy)
        self._achieved: Goal | None = None  # the goal that file and worker last agreed with

    def want(self, goal: Goal) -> None:
        """Replace the previous goal; if work on it has not begun, its reason is kept as well."""
        if self._goal is not None and self._is_waiting:
            reasons = f"{self._goal.reason}; {goal.reason}"[:MAX_REASON_LENGTH]
            goal = replace(goal, reason=reasons, settled_in=max(goal.settled_in, self._goal.settled_in))
        self._goal = goal
        self._is_waiting = True
        self._wake.set()

    def reconfigure(self, config: DeploymentConfig) -> None:
        """Use other limits from now on."""
        self._config = config
        self._wake.set()

    def want_drained(self, servers: Collection[ServerName]) -> None:
        """Replace the set of servers that get no new requests."""
        if self._drained != frozenset(servers):
            self._drained = frozenset(servers)
            self._wake_drains.set()

    def look_again(self) -> None:
        """Compare goal, file and worker now, because HAProxy was started or restarted."""
        self._wake.set()
        self._wake_drains.set()

    async def run(self) -> None:
        """Work until cancelled; the system calls of a take-over in progress are finished."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_drained)
            while True:
                self._wake = trio.Event()
                pause = await self._advance()
                with trio.move_on_after(pause):
                    await self._wake.wait()

    async def _advance(self) -> float:
        """Do what can be done now; return the seconds until the next check."""
        goal = self._goal
        if goal is None or await self._is_held(goal):
            return self._config.reconcile_interval
        if await self._is_fulfilled(goal):
            self._is_waiting = self._is_waiting and self._goal is not goal
            return self._config.reconcile_interval
        now = trio.current_time()
        if self.refusal is not None and self.refusal.content == goal.content and now < self.refusal.retry_at:
            return min(self.refusal.retry_at - now, self._config.reconcile_interval)
        wait = self._reloaded_at + self._config.min_reload_interval - now
        if wait > 0:
            return wait
        if await self._is_crowded():
            return OLD_WORKERS_POLL
        await self._take_over(goal)
        return 0.0 if self._goal is not goal else self._config.reconcile_interval

    async def _is_fulfilled(self, goal: Goal) -> bool:
        if self._custody.is_verified:  # verified just now: a table of a thousand servers takes a second
            await self._accept(goal)
            return True
        try:
            present = await trio.to_thread.run_sync(self._file.read)
        except SwapError as error:
            problem = str(error)
        else:
            if present == goal.content:
                problem = await self._haproxy.find_problem(goal.content)
                problem = problem or await self._custody.doubt(goal.content)
            else:
                problem = "the file is not the desired one"
        if not problem:
            await self._accept(goal)
            return True
        if self.refusal is None:
            self.problem = problem
        return False

    async def _is_crowded(self) -> bool:
        """Tell whether to let old workers finish first, for at most `max_old_workers_wait`."""
        processes = await self._haproxy.processes()
        if processes is None or len(processes.old_workers) < self._config.max_old_workers:
            self._crowded_since = None
            return False
        now = trio.current_time()
        if self._crowded_since is None:
            self._crowded_since = now
            log.warning("reload waits for old workers", extra={"old_workers": len(processes.old_workers)})
        return now - self._crowded_since < self._config.max_old_workers_wait

    async def _take_over(self, goal: Goal) -> None:
        start = trio.current_time()
        self._is_waiting = False
        reason = await self._reason(goal)
        try:
            before = await trio.to_thread.run_sync(self._file.read)
            if problem := find_unbindable(before, goal.content):
                self._refuse(goal, problem)
                return
            done = await self._swap(goal.content)
            took = await self._reload(goal.content)
        except ChangedError:
            self._wake.set()  # handle the edit first, at once
            return
        except UnreachableError as error:
            # The file is right: HAProxy reads it when it comes back. There is nothing to undo.
            self._degrade(str(error))
            return
        except RejectedError as error:
            self._refuse(goal, f"configuration rejected: {error}")
            return
        except SwapError as error:
            self._refuse(goal, f"swap failed: {error}")
            return
        except HAProxyError as error:
            said = f"; haproxy says: {alert}" if (alert := self._explain()) else ""
            self._refuse(goal, f"{error}{said}")
            await self._roll_back(goal.content, before)
            return
        await self._accept(goal)
        changes = _changes(before, goal.content)
        extra = {"event": "lb.swap", "id": self.swaps, "path": "reload", **changes}
        extra |= {"digest": embedded_digest(goal.content) or done.digest, "settle": Seconds(goal.settled_in)}
        extra |= {"reload": Seconds(took), "took": Seconds(trio.current_time() - start)}
        log.info("configuration deployed", extra={**extra, "reason": reason})

    async def _reason(self, goal: Goal) -> str:
        """Return the reason to act now; a goal that was reached and then lost was undone by another cause."""
        cause = self._custody.cause or (self.problem if self._achieved is goal else "")
        if self._achieved is goal:
            return f"restored: {cause}"
        return f"{goal.reason}; {cause}" if cause else goal.reason

    async def _is_held(self, goal: Goal) -> bool:
        """Keep a copy of somebody else's change to file or worker; tell whether it holds the deployment."""
        try:
            edit = await self._custody.inspect(goal.content)
        except SwapError as error:
            if self.problem != str(error):
                self.problem = str(error)
                extra = {"event": "lb.refused", "reason": self.problem}
                log.error("cannot inspect the configuration file: replacing nothing", extra=extra)  # noqa: TRY400
            return True
        if not edit or self._config.on_foreign_edit is OnForeignEdit.RESTORE:
            self._holds = False
            return False
        self.problem = f"held: {edit}; {self._custody.way_out}"
        if not self._holds:
            log.error(
                "held: keeping somebody else's change", extra={"event": "lb.held", "reason": self.problem}
            )
        self._holds = True
        return True

    async def _swap(self, content: bytes) -> Swapped:
        done = await self._custody.swap(content)
        self.swaps += done.changed
        return done

    async def _reload(self, content: bytes) -> float:
        self._reloaded_at = trio.current_time()
        try:
            # Limited by the reload timeout; if cancelled here, it would continue in HAProxy anyway.
            with trio.CancelScope(shield=True):
                took = await self._custody.take(content)
        finally:
            self._wake_drains.set()
        return took

    async def _accept(self, goal: Goal) -> None:
        """Record that this goal works."""
        content = goal.content
        if self._is_degraded or self.refusal is not None:
            extra = {"digest": embedded_digest(content)}
            log.info("haproxy is running the desired configuration", extra=extra)
        self._achieved = goal
        self._custody.settle()
        self.problem = ""
        self.refusal = None
        self._is_degraded = False
        try:
            await trio.to_thread.run_sync(self._file.keep_good, content)
        except SwapError as error:
            log.warning("cannot save the last known good configuration", extra={"reason": str(error)})

    def _degrade(self, reason: str) -> None:
        if not self._is_degraded:
            log.warning("degraded: the file is correct but haproxy does not answer", extra={"reason": reason})
        self._is_degraded = True
        self.problem = reason

    def _refuse(self, goal: Goal, reason: str) -> None:
        same = self.refusal is not None and self.refusal.content == goal.content
        attempts = 1 + (self.refusal.attempts if same and self.refusal is not None else 0)
        delay = min(self._config.retry_delay * 2.0 ** (attempts - 1), self._config.max_retry_delay)
        self.refusal = Refusal(goal.content, reason, attempts, trio.current_time() + delay)
        self.problem = reason
        digest = embedded_digest(goal.content)
        extra = {"event": "lb.refused", "reason": reason, "digest": digest, "retry_in": Seconds(delay)}
        log.error("configuration rejected", extra={**extra, "attempt": attempts})

    async def _roll_back(self, failed: bytes, before: bytes | None) -> None:
        """Return to the last known good configuration, by the same procedure."""
        try:
            good = await trio.to_thread.run_sync(self._file.read_good) or before
            if good is None or good == failed:
                log.error("nothing to roll back to", extra={"event": "lb.alarm"})
                return
            await self._swap(good)
            if await self._haproxy.find_problem(good):
                await self._reload(good)
        except (SwapError, HAProxyError) as error:
            log.error("rollback failed", extra={"event": "lb.alarm", "reason": str(error)})  # noqa: TRY400
            return
        extra = {"event": "lb.rollback", "id": self.swaps, "digest": embedded_digest(good)}
        log.warning("rolled back to the last known good configuration", extra=extra)

    async def _keep_drained(self) -> None:
        """Apply `_drained` to the worker: on every change, on every new worker, and again after an error."""
        worker: int | None = None
        settled_for: tuple[int, frozenset[ServerName]] | None = None
        while True:
            self._wake_drains = trio.Event()
            processes = await self._haproxy.processes()
            before, worker = worker, processes.worker if processes else None
            if worker is not None:
                if worker != before:
                    self._wake.set()  # HAProxy was reloaded or restarted: does it run our goal?
                situation = (worker, self._drained)
                if situation != settled_for:
                    settled_for = situation if await self._drain(situation[1]) else None
            with trio.move_on_after(WATCH_INTERVAL):
                await self._wake_drains.wait()

    async def _drain(self, wanted: frozenset[ServerName]) -> bool:
        try:
            done = await self._custody.drain_exactly(wanted)
        except HAProxyError as error:
            log.warning("cannot set drained servers", extra={"reason": str(error)})
            return False
        for state, names in (("drain", done.drained), ("ready", done.readied)):
            for name in names:
                log.info(
                    "server state set", extra={"event": "lb.server", "server": str(name), "state": state}
                )
        return True


def _changes(before: bytes | None, after: bytes) -> dict[str, int]:
    """Count the servers that were added, removed and moved."""
    old = {place.name: place for place in configured_servers(before or b"")}
    new = {place.name: place for place in configured_servers(after)}
    moved = sum(new[name] != old[name] for name in new.keys() & old.keys())
    return {"added": len(new.keys() - old.keys()), "removed": len(old.keys() - new.keys()), "changed": moved}
