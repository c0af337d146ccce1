"""Serf's implementation of SWIM's delegate (Serf `delegate.go`, `event_delegate.go`).

The delegate passes SWIM's calls on to the roster, the broadcast queues, the local state and the graceful
leave. It never calls SWIM, so that it can be constructed first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.swim.effects import BroadcastFinished
from gossip.wire.messages import MemberState

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.serf.broadcasts import Broadcasts
    from gossip.serf.effects import Effect
    from gossip.serf.leave import GracefulLeave
    from gossip.serf.local_state import LocalState
    from gossip.serf.ping_delegate import CoordinatePings
    from gossip.serf.rejoin import Rejoin
    from gossip.serf.roster import Roster
    from gossip.swim.evidence import Evidence
    from gossip.swim.member import Member


class SerfDelegate:
    """Implements `gossip.swim.delegate.Delegate` for `SerfNode`."""

    __slots__ = ("_broadcasts", "_emit", "_leave", "_pings", "_rejoin", "_roster", "_state")

    def __init__(  # noqa: PLR0913, PLR0917 - one for each of memberlist's delegates
        self,
        roster: Roster,
        broadcasts: Broadcasts,
        state: LocalState,
        leave: GracefulLeave,
        rejoin: Rejoin,
        pings: CoordinatePings | None,
        emit: Callable[[Effect], None],
    ) -> None:
        self._roster = roster
        self._broadcasts = broadcasts
        self._state = state
        self._leave = leave
        self._rejoin = rejoin
        self._pings = pings
        self._emit = emit

    def member_joined(self, member: Member, now: float) -> None:
        """See `Delegate`."""
        self._roster.joined(member.alive, now)

    def member_updated(self, member: Member, now: float) -> None:
        """See `Delegate`."""
        self._roster.updated(member.alive)

    def member_gone(self, member: Member, evidence: Evidence, now: float) -> None:
        """See `Delegate`."""
        self._roster.gone(member.name, evidence, now, has_left=member.state is MemberState.LEFT)
        self._rejoin.member_gone(now)

    def member_suspected(self, member: Member, evidence: Evidence, now: float) -> None:
        """See `Delegate`."""
        self._roster.suspected(member.name, evidence)

    def suspicion_confirmed(self, member: Member, evidence: Evidence, now: float) -> None:
        """See `Delegate`."""
        self._roster.confirmed(member.name, evidence)

    def suspicion_refuted(self, member: Member, evidence: Evidence, now: float) -> None:
        """See `Delegate`."""
        self._roster.refuted(member.name, evidence)

    def pending_broadcasts(self) -> int:
        """See `Delegate`."""
        return self._broadcasts.pending()

    def take_broadcasts(self, budget: int, room: int) -> list[bytes]:
        """See `Delegate`."""
        # As in Serf, members that SWIM has forgotten still count.
        return self._broadcasts.take(budget, room, len(self._roster.members))

    def broadcast_finished(self, token: int, now: float) -> None:
        """See `Delegate`."""
        if not self._leave.broadcast_finished(token, now):
            self._emit(BroadcastFinished(token))

    def ack_payload(self) -> bytes | None:
        """See `Delegate`."""
        return self._pings.ack_payload() if self._pings else None

    def ping_completed(self, name: str, rtt: float, payload: bytes) -> None:
        """See `Delegate`."""
        if self._pings:
            self._pings.ping_completed(name, rtt, payload)

    def local_user_state(self) -> bytes:
        """See `Delegate`."""
        return self._state.encoded()
