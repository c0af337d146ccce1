"""HAProxy's master process: its list of processes, and a reload whose success is known.

In HAProxy 2.6 ``reload`` has no answer: the connection closes, the master re-executes itself and its socket
is away for up to 150 ms (2.2 s if a listener cannot be bound). Only the counters of ``show proc`` show
afterwards whether the reload succeeded.
"""

import re
from contextlib import suppress
from pathlib import Path

import trio
from msgspec import Struct

from lb.haproxy.cli_socket import CommandSocket, HAProxyError, UnreachableError

POLL_INTERVAL = 0.02
POLL_TIMEOUT = 0.5
FIRST_ANSWER_TIMEOUT = 3.0
"""Longer than a master is ever away (2.2 s while it tries to bind)."""
_MASTER = re.compile(r"(\d+)\s+master\s+(\d+)(?:\s+\[failed:\s*(\d+)\])?")
_WORKER = re.compile(r"(\d+)\s+worker\s")


class ReloadError(HAProxyError):
    """A reload was requested and failed; the old worker continues."""


class Processes(Struct, frozen=True):
    """The answer to ``show proc``; `failed` counts the failed reloads since the last good one."""

    master: int
    reloads: int
    failed: int
    worker: int | None
    old_workers: tuple[int, ...]


class Master:
    """The master behind its command socket."""

    __slots__ = ("_socket",)

    def __init__(self, socket: CommandSocket) -> None:
        self._socket = socket

    @property
    def path(self) -> Path:
        """The path of the socket."""
        return self._socket.path

    async def peer(self) -> int:
        """Return the id of the process behind the socket, 0 if it is in another process namespace.

        Raises:
            AbsentError: nothing listens.
            UnreachableError: the connection failed for another reason.
        """
        return await self._socket.peer()

    async def processes(self) -> Processes:
        """Return the current processes.

        Raises:
            UnreachableError: the master does not answer.
            HAProxyError: its answer is not a list of processes.
        """
        return parse_processes(await self._socket.ask("show proc"))

    async def wait_answer(self, deadline: float) -> Processes:
        """Repeat the request until the master answers: it is away briefly after a start or a reload.

        Raises:
            UnreachableError: it stays away for longer, or until `deadline` (Trio's time).
        """
        patience = min(deadline, trio.current_time() + FIRST_ANSWER_TIMEOUT)
        while True:
            try:
                return await self.processes()
            except UnreachableError:
                if trio.current_time() >= patience:
                    raise
            await trio.sleep(POLL_INTERVAL)

    async def reload(self, deadline: float) -> Processes:
        """Reload and return the processes once a new worker is there; `deadline` in Trio's time.

        The new worker may not serve yet, and may have read any file: check its digest.

        Raises:
            ReloadError: the master refused the configuration, or there was no new worker by `deadline`.
            UnreachableError: the master did not answer in the first place.
        """
        before = await self.wait_answer(deadline)
        try:
            answer = await self._socket.ask("reload")
        except UnreachableError:
            answer = ""  # it may already be re-executing itself: its later answers count
        if answer.startswith("Success=0"):  # HAProxy 2.7 and later
            raise ReloadError(f"haproxy refused to reload: {_last_alert(answer)}")
        while trio.current_time() < deadline:
            await trio.sleep(POLL_INTERVAL)
            with suppress(UnreachableError):
                now = await self._poll(before)
                if now is not None:
                    return now
        raise ReloadError("haproxy did not start a new worker in time")

    async def _poll(self, before: Processes) -> Processes | None:
        """Return the processes if the reload succeeded, None while that is open."""
        now = parse_processes(await self._socket.ask("show proc", POLL_TIMEOUT))
        if now.master != before.master:
            raise ReloadError(f"haproxy was restarted during the reload (process {before.master} is gone)")
        if now.reloads <= before.reloads:
            return None
        if now.failed:
            raise ReloadError("haproxy could not start a worker with it (its log says why)")
        return None if now.worker in (None, before.worker) else now


def parse_processes(text: str) -> Processes:
    """Read the answer to ``show proc``.

    Raises:
        UnreachableError: it is empty, because the master is re-executing itself.
        HAProxyError: it does not list a master.
    """
    if not text:
        raise UnreachableError("haproxy's master closed the connection without an answer")
    master = _MASTER.search(text)
    if master is None:
        raise HAProxyError(f"haproxy's answer to 'show proc' lists no master: {text[:80]!r}")
    present, _, old = text.partition("# old workers")
    workers = [int(match[1]) for match in _WORKER.finditer(present)]
    old_workers = tuple(int(match[1]) for match in _WORKER.finditer(old))
    reloads, failed = int(master[2]), int(master[3] or 0)
    return Processes(int(master[1]), reloads, failed, workers[0] if workers else None, old_workers)


def _last_alert(answer: str) -> str:
    alerts = [line for line in answer.splitlines() if "[ALERT]" in line]
    return (alerts or ["no reason given"])[0].strip()
