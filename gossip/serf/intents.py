"""Join and leave intents, sent and received (serf-wire 5.5; Serf `serf.go`, `delegate.go`).

The roster decides what an intent changes. `Intents` decides when this node sends one, and which received
intents it refutes or passes on. Our own are stamped with the roster's Lamport clock, applied locally, then
broadcast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import JoinIntent, LeaveIntent

if TYPE_CHECKING:
    from gossip.serf.broadcasts import Broadcasts
    from gossip.serf.roster import Roster


class Intents:
    """The intents of one node, called `name`."""

    __slots__ = ("_broadcasts", "_name", "_roster", "has_announced_leave")

    def __init__(self, name: str, roster: Roster, broadcasts: Broadcasts) -> None:
        self._name = name
        self._roster = roster
        self._broadcasts = broadcasts
        self.has_announced_leave = False  # from then on, do not refute leave intents about this node

    # --- our own ------------------------------------------------------------------------------------------

    def announce_join(self, now: float) -> None:
        """Broadcast a join intent; do nothing while leaving.

        A join that completes late must not cancel the leave.
        """
        if self.has_announced_leave:
            return
        intent = JoinIntent(self._roster.clock.increment(), self._name)
        self._roster.join_intent(intent, now)
        self._queue(intent)

    def announce_leave(self, token: int, now: float) -> None:
        """Broadcast a leave intent of this node; `token` is 0 if no other member is alive."""
        self.has_announced_leave = True
        intent = LeaveIntent(self._roster.clock.increment(), self._name)
        self._roster.leave_intent(intent, now)
        if token:
            self._queue(intent, token)

    def force_leave(self, name: str, token: int, *, prune: bool, now: float) -> None:
        """Declare that a failed member has left; `token` is 0 if no other member is alive."""
        intent = LeaveIntent(self._roster.clock.increment(), name, prune)
        self._apply_leave(intent, now)
        if token:
            self._queue(intent, token)

    def repeat_leave(self, now: float) -> None:
        """Repeat the leave intent: members that join through a Serf agent see this node as alive."""
        self._queue(self._roster.doubtful_leave(self._name, now))

    def question_leave(self, name: str, now: float) -> bytes:
        """Return the leave intent to re-send to a member stuck in `leaving`, so that it can refute it.

        The member may not know of the leave: it was a force-leave, or happened in an earlier life, or at the
        time of the member's join.
        """
        return encode_serf(self._roster.doubtful_leave(name, now))

    # --- received -----------------------------------------------------------------------------------------

    def receive_join(self, intent: JoinIntent, now: float) -> bool:
        """Apply a join intent; return whether to pass it on.

        Raises:
            RemoteProtocolError: its Lamport time is out of range.
        """
        self._roster.clock.witness(intent.ltime)
        return self._roster.join_intent(intent, now)

    def receive_leave(self, intent: LeaveIntent, now: float) -> bool:
        """Apply a leave intent, or refute it if it is about this node; return whether to pass it on.

        Raises:
            RemoteProtocolError: its Lamport time is out of range.
        """
        clock = self._roster.clock
        is_highest = intent.ltime >= clock.latest
        clock.witness(intent.ltime)
        is_news = self._apply_leave(intent, now)
        if is_highest and self._refutes(intent):
            # Members that have not heard the leave refuse a join after it, unless they get there first.
            self._queue(JoinIntent(intent.ltime, self._name))
        return is_news

    # --- parts of the above -------------------------------------------------------------------------------

    def _apply_leave(self, intent: LeaveIntent, now: float) -> bool:
        if self._refutes(intent):
            # We are not leaving. At a tie, others may have received the leave before our join intent.
            if intent.ltime >= self._roster.members[self._name].status_ltime:
                self.announce_join(now)
            return False
        return self._roster.leave_intent(intent, now)

    def _refutes(self, intent: LeaveIntent) -> bool:
        return intent.node == self._name and not self.has_announced_leave

    def _queue(self, intent: JoinIntent | LeaveIntent, token: int = 0) -> None:
        self._broadcasts.send(self._broadcasts.intents, encode_serf(intent), token)
