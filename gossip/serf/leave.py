"""The graceful leave (Serf `serf.go`, Leave; serf-wire 5.10).

The leave intent is broadcast first, so that peers expect this node to stop answering. When the driver is
ready, memberlist's leave broadcast follows, and the node keeps answering for a moment. Each stage that waits
for gossip has a time-out, which moves on to the next stage and never aborts the leave.
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
    """The time-out of the current stage of the leave has expired."""


LEAVE = LeaveStageLate()

INTENT_TOKEN = -1
"""Token of the leave intent; tokens of commands are positive."""
LEAVE_BROADCAST_TOKEN = -2
"""Token of the leave broadcast."""


class LeaveStage(Enum):
    """How far a leave has come."""

    IN = auto()
    """Not leaving."""
    ANNOUNCING = auto()
    """The intent is being broadcast."""
    ANNOUNCED = auto()
    """The intent has been broadcast; the driver may still drain."""
    DEPARTING = auto()
    """The leave broadcast is being sent."""
    LINGERING = auto()
    """The leave broadcast has been sent; peers that have not heard it yet are still answered."""
    OUT = auto()
    """Left."""


class GracefulLeave:
    """The graceful leave of this node, from the leave intent to the end."""

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
        """Broadcast the leave intent if any other member is alive; do nothing if the leave has begun."""
        if self.stage is not LeaveStage.IN:
            return
        self.stage = LeaveStage.ANNOUNCING
        self._intents.announce_leave(INTENT_TOKEN if has_company else 0, now)
        if has_company:
            self._wait(self._config.broadcast_timeout, now)
        else:
            self.advance(now)

    def depart(self, now: float, *, has_company: bool) -> bool:
        """Enter `DEPARTING`; return whether the caller must send the leave broadcast.

        It is sent with `LEAVE_BROADCAST_TOKEN`. If no other member is alive, the broadcast never finishes, so
        the caller must call `end` itself.
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
        """Advance if this stage waited for the broadcast; return whether it is one of the leave's."""
        if (token, self.stage) in (
            (INTENT_TOKEN, LeaveStage.ANNOUNCING),
            (LEAVE_BROADCAST_TOKEN, LeaveStage.DEPARTING),
        ):
            self.advance(now)
        return token in (INTENT_TOKEN, LEAVE_BROADCAST_TOKEN)

    def advance(self, now: float) -> None:
        """End the current stage, because its broadcast finished or its time-out expired."""
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
        """Complete the leave."""
        self.stage = LeaveStage.OUT
        self._emit(LeaveFinished())

    def _wait(self, seconds: float, now: float) -> None:
        self._deadlines.set(LEAVE, now + seconds)
