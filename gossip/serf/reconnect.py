"""Trying failed members again (Serf `serf.go`, reconnect).

Now and then one failed member is asked for a push/pull; the more have failed, the likelier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.serf.members import MemberStatus
from gossip.swim.effects import OpenPushPull

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.serf.config import SerfConfig
    from gossip.serf.effects import Effect
    from gossip.serf.roster import Roster
    from gossip.swim.runtime import Runtime

RECONNECT = "reconnect"
"""Timer key: try to reach a failed member again; set only while there is one."""


class Reconnect:
    """The attempts at failed members."""

    __slots__ = ("_config", "_emit", "_roster", "_runtime")

    def __init__(
        self, config: SerfConfig, roster: Roster, runtime: Runtime, emit: Callable[[Effect], None]
    ) -> None:
        self._config = config
        self._roster = roster
        self._runtime = runtime
        self._emit = emit

    def member_gone(self, now: float) -> None:
        """A member failed or left: try to reach the failed ones from now on."""
        if (RECONNECT, "") not in self._runtime.deadlines:
            self._wait(now)

    def attempt(self, now: float) -> None:
        """The timer is due: perhaps try a failed member."""
        failed = self._roster.with_status(MemberStatus.FAILED)
        if not failed:
            return
        self._wait(now)
        draw = self._runtime.rng.random
        if draw() <= len(failed) / max(1, self._roster.count_alive()):
            member = failed[int(draw() * len(failed))]
            # No join: after a partition, the events of the other side are news and not to be ignored.
            self._emit(OpenPushPull(member.address, member.name, join=False))

    def _wait(self, now: float) -> None:
        self._runtime.deadlines.set((RECONNECT, ""), now + self._config.reconnect_interval)
