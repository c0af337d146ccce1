"""Merging Serf's part of a peer's push/pull (serf-wire 5.4, Serf `delegate.go`).

State received by push/pull is not gossiped further. A Lamport time too far ahead invalidates only its own
entry: peers repeat what they were told, so one liar must not cut this node off from all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.errors import RemoteProtocolError
from gossip.wire.messages import MemberState
from gossip.wire.serf_codec import decode_serf
from gossip.wire.serf_messages import LeaveIntent, SerfPushPull, UserEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gossip.serf.events import UserEvents
    from gossip.serf.intents import Intents
    from gossip.serf.lamport import LamportClock
    from gossip.serf.queries import Queries
    from gossip.serf.roster import Roster
    from gossip.swim.node import SwimNode
    from gossip.wire.messages import NodeState
    from gossip.wire.serf_messages import PastEvents


def read_state(user_state: bytes) -> SerfPushPull | None:
    """Decode a peer's part before anything is merged; None if the peer sent none.

    Raises:
        RemoteProtocolError: the part is malformed or of another type.
    """
    if not user_state:
        return None
    state = decode_serf(user_state)
    if not isinstance(state, SerfPushPull):
        raise RemoteProtocolError(f"push/pull carries a {type(state).__name__} as Serf's state")
    return state


def leaving_members(state: SerfPushPull, rows: Iterable[NodeState]) -> frozenset[str]:
    """Return the members that are leaving: the peer lists them as left, but its rows say they are alive."""
    if not state.left_members:
        return frozenset()
    return frozenset(state.left_members) & {row.name for row in rows if row.state < MemberState.DEAD}


class AntiEntropy:
    """Merges into the roster, the events and the clocks of one node."""

    __slots__ = ("_events", "_intents", "_me", "_queries", "_roster", "_swim")

    def __init__(
        self, swim: SwimNode, roster: Roster, intents: Intents, events: UserEvents, queries: Queries
    ) -> None:
        self._swim = swim  # counts refused entries
        self._me = swim.table.me.name
        self._roster = roster
        self._intents = intents
        self._events = events
        self._queries = queries

    def merge(
        self,
        state: SerfPushPull,
        leaving: frozenset[str],
        *,
        joining: bool,
        ignore_old: bool,
        now: float,
    ) -> None:
        """Merge a peer's part; `leaving` are the members that the peer considers leaving.

        `joining`: this node asked to join the peer's cluster, whose clocks may be far ahead. With
        `ignore_old`, events from before now are not delivered.
        """
        latest = self._merge_clock("join and leave", self._roster.clock, state.ltime, joining=joining)
        latest_event = self._merge_clock("event", self._events.clock, state.event_ltime, joining=joining)
        self._merge_clock("query", self._queries.clock, state.query_ltime, joining=joining)
        self._merge_statuses(state, leaving, latest, now)
        if ignore_old and state.event_ltime <= self._events.clock.time:
            self._events.recent.minimum = max(self._events.recent.minimum, state.event_ltime)
        self._merge_events(state.events, latest_event)

    def _merge_events(self, history: Iterable[PastEvents], latest: int) -> None:
        skipped = 0
        for past in history:
            if past.ltime > latest:
                skipped += 1
                continue
            try:
                for event in past.events:
                    self._events.deliver(UserEvent(past.ltime, event.name, event.payload))
            except RemoteProtocolError as error:  # the buffer is full of events that are no older
                self._swim.reject("push/pull", error)
        self._report_skipped(skipped, "events", latest)

    def _merge_clock(self, kind: str, clock: LamportClock, time: int, *, joining: bool) -> int:
        """Follow a peer's clock if its time is acceptable; return the latest time to take from its state.

        That is the latest before this push/pull: otherwise the clock and a time in the state could each take
        us as far as a message may, and other members would refuse the messages that we send from then on.
        """
        latest = clock.latest_overheard
        try:
            if time and joining:
                clock.join(time - 1)
            elif time:
                clock.overhear(time - 1)
        except RemoteProtocolError as error:
            self._swim.reject("push/pull", RemoteProtocolError(f"{kind} clock: {error}"))
        return max(latest, clock.time - 1)

    def _merge_statuses(self, state: SerfPushPull, leaving: frozenset[str], limit: int, now: float) -> None:
        left = frozenset(state.left_members)
        clock, skipped = self._roster.clock, 0
        for name in state.left_members:
            if name not in self._roster.members:
                self._roster.lost.forget(name)  # it left while this node was down
            ltime = state.status_ltimes.get(name, 0)
            if ltime >= limit:
                skipped += 1
            elif name in leaving or name == self._me:
                self._intents.receive_leave(LeaveIntent(ltime + 1, name), now)
            else:
                clock.witness(ltime)
                self._roster.has_left(name, ltime, now)
        members, latest = self._roster.members, 0
        for name, ltime in state.status_ltimes.items():
            if ltime > limit or name in left:
                skipped += name not in left
                continue
            latest = max(latest, ltime)
            member = members.get(name)
            if member is not None and ltime <= member.status_ltime:
                continue  # most entries are already known
            clock.witness(latest)
            if name == self._me:
                # It may be a leave that only the peer has heard of: unless we refute it, it keeps listing us
                # as leaving.
                self._intents.receive_leave(LeaveIntent(ltime, name), now)
            else:
                self._roster.status_time(name, ltime, now)
        clock.witness(latest)
        self._report_skipped(skipped, "members", limit)

    def _report_skipped(self, count: int, what: str, latest: int) -> None:
        if count:
            error = RemoteProtocolError(f"lamport times of {count} {what}: expected at most {latest}")
            self._swim.reject("push/pull", error)
