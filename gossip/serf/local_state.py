"""Serf's part of a push/pull as sent by this node (serf-wire 5.4; Serf `delegate.go`, LocalState)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.serf.members import MemberStatus
from gossip.serf.saved_state import SavedState
from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import SerfPushPull

if TYPE_CHECKING:
    from gossip.serf.events import UserEvents
    from gossip.serf.queries import Queries
    from gossip.serf.roster import Roster


class LocalState:
    """Reads the roster, the events and the queries of one node."""

    __slots__ = ("_events", "_queries", "_roster")

    def __init__(self, roster: Roster, events: UserEvents, queries: Queries) -> None:
        self._roster = roster
        self._events = events
        self._queries = queries

    @property
    def last_times(self) -> tuple[int, int, int]:
        """The last Lamport times of members' intents, of events and of queries."""
        return self._roster.clock.time - 1, self._events.clock.time - 1, self._queries.clock.time - 1

    def saved(self) -> SavedState:
        """Return the state to keep for the next start of this member."""
        member_time, event_time, query_time = self.last_times
        return SavedState(
            member_time=member_time,
            event_time=event_time,
            query_time=query_time,
            peers=self._roster.peers(),
            failed=self._roster.missing_peers(),
        )

    def encoded(self) -> bytes:
        """Return this node's part, encoded for a push/pull.

        A leaving member is listed among those that left, at one less than the time of its leave, because
        receivers (Serf's and ours) add one. A status time alone would be mistaken for a join.
        """
        roster = self._roster
        times = {name: member.status_ltime for name, member in roster.members.items()}
        leaving = roster.leave_times()
        times |= {name: max(0, ltime - 1) for name, ltime in leaving.items()}
        return encode_serf(
            SerfPushPull(
                ltime=roster.clock.time,
                status_ltimes=times,
                left_members=(*(m.name for m in roster.with_status(MemberStatus.LEFT)), *leaving),
                event_ltime=self._events.clock.time,
                events=self._events.history(),
                query_ltime=self._queries.clock.time,
            )
        )
