"""Coalescing, as in Serf: many changes become one event (serf-wire 5.12; Serf `coalesce.go`).

The first change starts a period, each change a shorter quiet time; the flush happens at the end of either. It
has one event per kind with all its members, each member under the kind of its last change. Pure: the time is
passed in, and the owner calls `flush` when `next_deadline` has passed.
"""

import math

from msgspec import Struct

from gossip.ipc.bodies import Member
from gossip.wire.serf_messages import UserEvent

PERIOD = 3.0
"""Most seconds from the first change to the flush (Serf agent's CoalescePeriod)."""
QUIET = 1.0
"""Seconds without a change after which the flush comes earlier (Serf agent's QuiescentPeriod)."""
MAX_HELD_EVENTS = 512
"""User events held back at once; one more flushes them all."""
MEMBER_UPDATE = "member-update"
MEMBER_REAP = "member-reap"


class MemberChanges(Struct, frozen=True):
    """One event about members, all of the same kind, such as ``member-join``."""

    kind: str
    members: tuple[Member, ...]


class Coalescence:
    """Member changes and user events that are held back to be reported together."""

    __slots__ = ("_events", "_held", "_latest", "_period_ends", "_quiet_ends", "_told")

    def __init__(self) -> None:
        self._latest: dict[str, tuple[str, Member]] = {}  # by member: the kind of its last change
        self._told: dict[str, str] = {}  # by member: the kind that was reported last
        self._events: dict[str, list[UserEvent]] = {}  # by name: those of the highest Lamport time
        self._held = 0
        self._period_ends = math.inf
        self._quiet_ends = math.inf

    def add_member(self, kind: str, member: Member, now: float) -> None:
        """Hold back a change of a member until the next flush."""
        self._latest[member.name] = (kind, member)
        self._wait(now)

    def add_event(self, event: UserEvent, now: float) -> None:
        """Hold back a user event; of each name only the events of the highest Lamport time are kept."""
        held = self._events.setdefault(event.name, [])
        if held and event.ltime < held[0].ltime:
            return
        if held and event.ltime > held[0].ltime:
            self._held -= len(held)
            held.clear()
        held.append(event)
        self._held += 1
        self._wait(now)
        if self._held > MAX_HELD_EVENTS:
            self._quiet_ends = now

    def next_deadline(self) -> float:
        """Return when to call `flush`, infinity if nothing is held back."""
        return min(self._period_ends, self._quiet_ends)

    def flush(self) -> tuple[list[MemberChanges], list[UserEvent]]:
        """Return the events held back: member changes by kind, then user events in order of arrival."""
        by_kind: dict[str, list[Member]] = {}
        for name, (kind, member) in self._latest.items():
            if self._told.get(name) == kind and kind != MEMBER_UPDATE:
                continue
            by_kind.setdefault(kind, []).append(member)
            if kind == MEMBER_REAP:
                self._told.pop(name, None)  # forgotten with the member, so that this table cannot grow
            else:
                self._told[name] = kind
        events = [event for held in self._events.values() for event in held]
        self._latest.clear()
        self._events.clear()
        self._held = 0
        self._period_ends = self._quiet_ends = math.inf
        return [MemberChanges(kind, tuple(members)) for kind, members in by_kind.items()], events

    def _wait(self, now: float) -> None:
        if self._period_ends == math.inf:
            self._period_ends = now + PERIOD
        self._quiet_ends = now + QUIET
