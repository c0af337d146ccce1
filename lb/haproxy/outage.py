"""Watches HAProxy's socket: an outage is logged within a second, counted, and logged when it ends.

The worker's admin socket decides: a running worker listens there without a gap, even during a reload. The
master's socket would not do: it is away briefly in each reload.
"""

import errno
import logging
from collections.abc import Callable

import trio

from gossip.settings.duration import Seconds
from lb.haproxy.cli_socket import UnreachableError
from lb.haproxy.runtime import Runtime

log = logging.getLogger(__name__)

LOOK_INTERVAL = 0.25
"""Seconds between two checks."""
CONFIRM_DELAY = 0.05
"""Seconds until the second check, which confirms an outage."""
_OUR_OWN = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM))
"""Errors of a check that say nothing about HAProxy."""


class OutageWatch:
    """Checks `runtime` again and again; `on_return` is called when HAProxy answers again."""

    __slots__ = ("_on_return", "_runtime", "_since", "count")

    def __init__(self, runtime: Runtime, on_return: Callable[[], None]) -> None:
        self.count = 0
        """Outages so far, the present one included."""
        self._runtime = runtime
        self._on_return = on_return
        self._since: float | None = None

    @property
    def since(self) -> float | None:
        """When the current outage was noticed (Trio's time), None if there is none."""
        return self._since

    def note_exit(self) -> None:
        """Record an exit seen elsewhere: HAProxy may be restarted before the next check."""
        if self._since is None:
            self._note("its process has exited")

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            problem = await self._look()
            if problem and self._since is None:
                await trio.sleep(CONFIRM_DELAY)
                problem = await self._look()
            if problem is not None:
                self._note(problem)
            await trio.sleep(LOOK_INTERVAL)

    async def _look(self) -> str | None:
        """Return why HAProxy does not answer, "" if it does, None if the check was impossible."""
        try:
            await self._runtime.digest()
        except UnreachableError as error:
            is_ours = isinstance(error.__cause__, OSError) and error.__cause__.errno in _OUR_OWN
            return None if is_ours else str(error)
        return ""

    def _note(self, problem: str) -> None:
        now = trio.current_time()
        if problem and self._since is None:
            self._since = now
            self.count += 1
            extra = {"event": "lb.outage", "reason": problem, "outages": self.count}
            log.error("outage: haproxy does not answer", extra=extra)
        elif not problem and self._since is not None:
            duration = Seconds(now - self._since)
            self._since = None
            extra = {"event": "lb.outage_over", "duration": duration, "outages": self.count}
            log.warning("outage over: haproxy answers again", extra=extra)
            self._on_return()
