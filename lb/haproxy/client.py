"""The running HAProxy: give it a configuration, and find out whether it runs it.

Combines the master (which reloads) and the worker (which knows what it runs). A reload counts only once the
worker shows the digest and the servers of the file.
"""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import trio
from msgspec import Struct

from gossip.whole_file import replace_file
from lb.haproxy.cli_socket import CommandSocket, HAProxyError, UnreachableError, first_present
from lb.haproxy.config_text import ServerName, configured_servers, embedded_digest
from lb.haproxy.master import POLL_INTERVAL, Master, Processes, ReloadError
from lb.haproxy.runtime import Drains, Runtime
from lb.haproxy.server_state import (
    EMPTY_STATE,
    difference,
    filter_state,
)

DEFAULT_RELOAD_TIMEOUT = 5.0
"""More than the 2.2 s that a master needs to find out that a listener cannot be bound."""
MAX_DRAIN_PASSES = 5
STATE_MODE = 0o644
"""HAProxy may run as a different user."""


class Sockets(Struct, frozen=True):
    """HAProxy's command sockets, and the file through which workers hand over their state.

    `other_masters` are used if `master` does not exist.
    """

    master: Path
    admin: Path
    state_file: Path
    other_masters: tuple[Path, ...] = ()

    def present_master(self) -> Path:
        """Return the master's socket: the first that exists, otherwise `master`."""
        return first_present(self.master, self.other_masters)


class HAProxy:
    """One HAProxy in master-worker mode; times in seconds."""

    __slots__ = ("_reload_timeout", "_state_file", "made_worker", "master", "runtime")

    def __init__(
        self,
        sockets: Sockets,
        *,
        runtime_timeout: float = 1.0,
        reload_timeout: float = DEFAULT_RELOAD_TIMEOUT,
    ) -> None:
        self.master = Master(CommandSocket(sockets.master, runtime_timeout, sockets.other_masters))
        self.runtime = Runtime(CommandSocket(sockets.admin, runtime_timeout))
        self._state_file = sockets.state_file
        self._reload_timeout = reload_timeout
        self.made_worker: int | None = None  # the process made by our last reload, according to the master

    async def processes(self) -> Processes | None:
        """Return HAProxy's processes, None if its master does not answer."""
        try:
            return await self.master.processes()
        except HAProxyError:  # also for an empty answer: the master is re-executing itself
            return None

    async def digest(self) -> str | None:
        """Return the digest that the worker runs, None if it has none or does not answer."""
        try:
            return await self.runtime.digest()
        except UnreachableError:
            return None

    async def wait_ready(self) -> bool:
        """Wait until a HAProxy that was just started answers; False if it does not in the reload timeout."""
        deadline = trio.current_time() + self._reload_timeout
        while trio.current_time() < deadline:
            with suppress(UnreachableError):
                await self.master.processes()
                await self.runtime.digest()
                return True
            await trio.sleep(POLL_INTERVAL)
        return False

    def forget_state(self) -> None:
        """Write an empty state file: a cold start must not restore an old state.

        Raises:
            HAProxyError: it cannot be written.
        """
        self._write_state(EMPTY_STATE)

    async def take(self, content: bytes, *, must_reload: bool = False) -> float:
        """Reload, and return the seconds until the worker was seen to run `content`.

        The file that HAProxy reads must already have `content`. A HAProxy started meanwhile has read it by
        itself, which needs no reload, unless `must_reload` is set.

        Raises:
            UnreachableError: the master does not answer; nothing was done.
            ReloadError: the reload failed, or the new worker does not run `content`.
            HAProxyError: the state file cannot be written, or an answer is invalid.
        """
        start = trio.current_time()
        deadline = start + self._reload_timeout
        self.made_worker = None
        await self.master.wait_answer(deadline)
        if not must_reload and not await self.find_problem(content):
            return trio.current_time() - start
        self._write_state(await self._known_state(content))
        self.made_worker = (await self.master.reload(deadline)).worker
        await self.confirm(content, deadline)
        return trio.current_time() - start

    async def confirm(self, content: bytes, deadline: float) -> None:
        """Wait until the worker shows the digest and the servers of `content`.

        Raises:
            ReloadError: at `deadline` (Trio's time) it still differs; the text says how.
        """
        while problem := await self.find_problem(content):
            if trio.current_time() >= deadline:
                raise ReloadError(f"the running haproxy does not have the new configuration: {problem}")
            await trio.sleep(POLL_INTERVAL)

    async def find_problem(self, content: bytes) -> str:
        """Return the difference between the worker and `content` in words, "" if there is none.

        Content without a digest (a file that we did not write) is compared only by its servers.
        """
        expected = embedded_digest(content)
        try:
            running = await self.runtime.digest()
            if expected is not None and running != expected:
                return f"it shows digest {_short(running)} instead of {_short(expected)}"
            return difference(configured_servers(content), await self.runtime.servers())
        except HAProxyError as error:
            return str(error)

    async def drain_exactly(self, drained: Collection[ServerName], ours: Collection[ServerName]) -> Drains:
        """Drain `drained` and make the rest of `ours` ready, in this worker; return what was done.

        Repeats until a check finds nothing to do: during a reload the old worker may answer once more.
        Servers that somebody else drained (those not in `ours`) stay drained.

        Raises:
            HAProxyError: the worker does not answer, refuses, or never reaches this state.
        """
        to_drain: dict[ServerName, None] = {}
        to_ready: dict[ServerName, None] = {}
        for _ in range(MAX_DRAIN_PASSES):
            step = await self.runtime.drain_exactly(drained, {*ours, *to_drain})
            if not step.drained and not step.readied:
                return Drains(tuple(to_drain), tuple(to_ready), step.present)
            to_drain |= dict.fromkeys(step.drained)
            to_ready |= dict.fromkeys(step.readied)
        name = next(iter({**to_drain, **to_ready}))
        raise HAProxyError(f"haproxy does not keep the state of {name}: somebody else is changing it")

    async def _known_state(self, content: bytes) -> bytes:
        with suppress(UnreachableError):
            return filter_state(await self.runtime.servers_table(), configured_servers(content))
        return EMPTY_STATE

    def _write_state(self, state: bytes) -> None:
        try:
            replace_file(self._state_file, state, prefix=".lb.", mode=STATE_MODE)
        except OSError as error:
            raise HAProxyError(
                f"cannot write the state file {self._state_file}: {error.strerror} (see --state-file)"
            ) from error


def _short(digest: str | None) -> str:
    return "none" if digest is None else digest[:12]
