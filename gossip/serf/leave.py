"""The graceful leave (Serf `serf.go`, Leave; serf-wire 5.10).

Intent first, so that others know that the silence to come is meant; then, when the driver says so,
memberlist's own farewell; then a moment of still answering. A stage that waits for gossip has a time-out,
which never aborts the leave.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from gossip.serf.effects import Effect, LeaveAnnounced, LeaveFinished
from gossip.wire.serf_messages import LeaveIntent

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.serf.config import SerfConfig
    from gossip.serf.roster import Roster
    from gossip.swim.node import SwimNode

LEAVE = "leave"
"""Timer key: the present stage of the leave has waited long enough."""

INTENT_TOKEN = -1
"""Token of the broadcast that announces the leave; those of commands are positive."""
FAREWELL_TOKEN = -2
"""Token of the broadcast that says farewell."""


class LeaveStage(Enum):
    """How far a leave has come."""

    IN = auto()
    """Not leaving."""
    ANNOUNCING = auto()
    """The intent spreads."""
    ANNOUNCED = auto()
    """The intent has spread; the driver may still drain."""
    DEPARTING = auto()
    """The farewell spreads."""
    LINGERING = auto()
    """Everybody should know; still answering for those who do not."""
    OUT = auto()
    """Left."""


class GracefulLeave:
    """One node's leave, from the first word to the last."""

    __slots__ = ("_broadcast", "_config", "_emit", "_roster", "_swim", "stage")

    def __init__(
        self,
        config: SerfConfig,
        swim: SwimNode,
        roster: Roster,
        broadcast: Callable[[LeaveIntent, int, float], None],
        emit: Callable[[Effect], None],
    ) -> None:
        self._config = config
        self._swim = swim
        self._roster = roster
        self._broadcast = broadcast  # queue an intent under a token
        self._emit = emit
        self.stage = LeaveStage.IN

    def begin(self, now: float) -> None:
        """Announce the leave; does nothing if it has begun."""
        if self.stage is not LeaveStage.IN:
            return
        self.stage = LeaveStage.ANNOUNCING
        intent = LeaveIntent(self._roster.clock.increment(), self._swim.view.me.name)
        self._roster.leave_intent(intent, now)
        if self._swim.any_other_alive():
            self._wait(self._config.broadcast_timeout, now)
            self._broadcast(intent, INTENT_TOKEN, now)
        else:
            self.advance(now)

    def finish(self, now: float) -> None:
        """Say farewell, after an announcement if there was none; does nothing if that is done."""
        self.begin(now)
        if self.stage not in (LeaveStage.ANNOUNCING, LeaveStage.ANNOUNCED):
            return
        self.stage = LeaveStage.DEPARTING
        has_company = self._swim.any_other_alive()
        if has_company:
            self._wait(self._config.broadcast_timeout, now)
        self._swim.leave(now, FAREWELL_TOKEN if has_company else 0)
        if not has_company:
            self._swim.deadlines.cancel((LEAVE, ""))
            self._depart()

    def broadcast_finished(self, token: int, now: float) -> bool:
        """Take note of a finished broadcast; return whether it was one of the leave's own."""
        if (token, self.stage) in (
            (INTENT_TOKEN, LeaveStage.ANNOUNCING),
            (FAREWELL_TOKEN, LeaveStage.DEPARTING),
        ):
            self.advance(now)
        return token in (INTENT_TOKEN, FAREWELL_TOKEN)

    def advance(self, now: float) -> None:
        """The present stage is over, by gossip or by time."""
        self._swim.deadlines.cancel((LEAVE, ""))
        if self.stage is LeaveStage.ANNOUNCING:
            self.stage = LeaveStage.ANNOUNCED
            self._emit(LeaveAnnounced())
        elif self.stage is LeaveStage.DEPARTING:
            self.stage = LeaveStage.LINGERING
            self._wait(self._config.leave_propagate_delay, now)
        else:
            assert self.stage is LeaveStage.LINGERING
            self._depart()

    def _wait(self, seconds: float, now: float) -> None:
        self._swim.deadlines.set((LEAVE, ""), now + seconds)

    def _depart(self) -> None:
        self.stage = LeaveStage.OUT
        self._emit(LeaveFinished())
