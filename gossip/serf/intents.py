"""Join and leave intents of this node, and those it hears (serf-wire 5.5; Serf `serf.go`, `delegate.go`).

The roster says what an intent changes. This part says when this node sends one, which ones it refutes and
which it passes on. Our own are stamped with the roster's Lamport clock, applied here, then broadcast.
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
        self.has_announced_leave = False  # from then on, leaves of this node are true and joins are not

    # --- our own ------------------------------------------------------------------------------------------

    def announce_join(self, now: float) -> None:
        """Tell everybody that this node is in on purpose; nothing happens while it is leaving.

        A join that ends late must not take the leave back.
        """
        if self.has_announced_leave:
            return
        intent = JoinIntent(self._roster.clock.increment(), self._name)
        self._roster.join_intent(intent, now)
        self._queue(intent)

    def announce_leave(self, token: int, now: float) -> None:
        """Tell everybody that this node is about to leave; without a `token` there is nobody to tell."""
        self.has_announced_leave = True
        intent = LeaveIntent(self._roster.clock.increment(), self._name)
        self._roster.leave_intent(intent, now)
        if token:
            self._queue(intent, token)

    def force_leave(self, name: str, token: int, *, prune: bool, now: float) -> None:
        """Declare that a failed member has left; without a `token` there is nobody to tell."""
        intent = LeaveIntent(self._roster.clock.increment(), name, prune)
        self._apply_leave(intent, now)
        if token:
            self._queue(intent, token)

    def repeat_leave(self, now: float) -> None:
        """Tell everybody again that this node leaves: a newcomer whose peers are Serf's holds it alive."""
        self._queue(self._roster.doubtful_leave(self._name, now))

    def question_leave(self, name: str, now: float) -> bytes:
        """Return the message that asks a member, which has been leaving for long, whether that is so.

        It may never have heard of the leave: somebody else's, of an earlier life, or at the time of its join.
        """
        return encode_serf(self._roster.doubtful_leave(name, now))

    # --- those of others ----------------------------------------------------------------------------------

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
        self._roster.clock.witness(intent.ltime)
        return self._apply_leave(intent, now)

    # --- parts of the above -------------------------------------------------------------------------------

    def _apply_leave(self, intent: LeaveIntent, now: float) -> bool:
        if intent.node == self._name and not self.has_announced_leave:
            # Not true: we are here. At a tie others may have heard of the leave before our join intent.
            if intent.ltime >= self._roster.members[self._name].status_ltime:
                self.announce_join(now)
            return False
        return self._roster.leave_intent(intent, now)

    def _queue(self, intent: JoinIntent | LeaveIntent, token: int = 0) -> None:
        self._broadcasts.send(self._broadcasts.intents, encode_serf(intent), token)
