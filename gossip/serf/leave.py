"""The graceful leave (Serf `serf.go`, Leave; serf-wire 5.10).

Intent first, so that others know that the silence to come is meant; then, when the driver says so,
memberlist's own farewell; then a moment of still answering. A stage that waits for gossip has a time-out,
which never aborts the leave.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from gossip.serf.effects import Effect, LeaveAnnounced, LeaveFinished
from gossip.swim.deadlines import Timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.serf.config import SerfConfig
    from gossip.serf.intents import Intents
    from gossip.swim.deadlines import Deadlines


class LeaveStageLate(Timer, frozen=True, gc=False):
    """The present stage of the leave has waited long enough."""


LEAVE = LeaveStageLate()

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

    __slots__ = ("_config", "_deadlines", "_emit", "_intents", "stage")

    def __init__(
        self, config: SerfConfig, intents: Intents, deadlines: Deadlines, emit: Callable[[Effect], None]
    ) -> None:
        self._config = config
        self._intents = intents
        self._deadlines = deadlines
        self._emit = emit
        self.stage = LeaveStage.IN

    def begin(self, now: float, *, has_company: bool) -> None:
        """Announce the leave, unless there is nobody to tell; does nothing if it has begun."""
        if self.stage is not LeaveStage.IN:
            return
        self.stage = LeaveStage.ANNOUNCING
        self._intents.announce_leave(INTENT_TOKEN if has_company else 0, now)
        if has_company:
            self._wait(self._config.broadcast_timeout, now)
        else:
            self.advance(now)

    def depart(self, now: float, *, has_company: bool) -> bool:
        """Enter the stage of the farewell; return whether the caller must say it now, under `FAREWELL_TOKEN`.

        Without company nothing spreads: then the caller calls `end` after the farewell.
        """
        if self.stage not in (LeaveStage.ANNOUNCING, LeaveStage.ANNOUNCED):
            return False
        self.stage = LeaveStage.DEPARTING
        if has_company:
            self._wait(self._config.broadcast_timeout, now)
        else:
            self._deadlines.cancel(LEAVE)
        return True

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
        self._deadlines.cancel(LEAVE)
        if self.stage is LeaveStage.ANNOUNCING:
            self.stage = LeaveStage.ANNOUNCED
            self._emit(LeaveAnnounced())
        elif self.stage is LeaveStage.DEPARTING:
            self.stage = LeaveStage.LINGERING
            self._wait(self._config.leave_propagate_delay, now)
        else:
            assert self.stage is LeaveStage.LINGERING
            self.end()

    def end(self) -> None:
        """The leave is complete."""
        self.stage = LeaveStage.OUT
        self._emit(LeaveFinished())

    def _wait(self, seconds: float, now: float) -> None:
        self._deadlines.set(LEAVE, now + seconds)
