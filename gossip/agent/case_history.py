"""What happened to members that were suspected, failed or came back, and who said so: the latest of it.

An observer of the driver, and a reader: nothing in the agent decides by it. A member of which nothing but its
first join is known has no case, so that a large cluster that is well costs nothing.
"""

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from gossip.serf.effects import (
    Effect,
    MemberEvent,
    MemberFailed,
    MemberJoined,
    MemberLeaving,
    MemberLeft,
    MemberReaped,
    MemberSuspected,
    SuspicionConfirmed,
    SuspicionRefuted,
)
from gossip.swim.evidence import Evidence
from gossip.wire.address import Address

MAX_ENTRIES_PER_MEMBER = 32
"""Entries kept of one member: three or four suspicions with all that followed."""
MAX_ENTRIES = 4096
"""Entries kept of all members; the case that changed longest ago makes room."""

KINDS: dict[type, str] = {
    MemberSuspected: "suspected",
    SuspicionConfirmed: "confirmed",
    SuspicionRefuted: "refuted",
    MemberFailed: "failed",
    MemberLeaving: "leaving",
    MemberLeft: "left",
    MemberReaped: "reaped",
    MemberJoined: "returned",
}
"""What an entry is called; a member that joins has returned if it has a case."""


class Entry(Struct, frozen=True, gc=False):
    """One thing that happened to a member, `at` monotonic seconds."""

    kind: str
    at: float
    incarnation: int
    address: Address
    evidence: Evidence | None


class Case:
    """The entries of one member, oldest first, and how many older ones were dropped."""

    __slots__ = ("entries", "forgotten")

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.forgotten = 0

    def add(self, entry: Entry) -> int:
        """Keep `entry`; return by how much the case grew."""
        self.entries.append(entry)
        if len(self.entries) <= MAX_ENTRIES_PER_MEMBER:
            return 1
        self.entries.popleft()
        self.forgotten += 1
        return 0


class CaseHistory:
    """All cases, by the member's name, the one that changed longest ago first."""

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}
        self._count = 0  # of entries

    def __len__(self) -> int:
        """Return how many entries are kept."""
        return self._count

    def case(self, name: str) -> Case | None:
        """Return the case of a member, None if nothing is known."""
        return self._cases.get(name)

    def observe(self, effects: Sequence[Effect], now: float) -> None:
        """Take in a batch of effects of the node."""
        for effect in effects:
            if isinstance(effect, MemberEvent) and type(effect) in KINDS:
                self._add(effect, now)

    def _add(self, effect: MemberEvent, now: float) -> None:
        alive = effect.member.alive
        case = self._cases.pop(alive.node, None)
        if case is None:
            if isinstance(effect, MemberJoined):
                return
            case = Case()
        evidence: Evidence | None = getattr(effect, "evidence", None)
        incarnation = evidence.incarnation if evidence and evidence.incarnation else alive.incarnation
        entry = Entry(KINDS[type(effect)], now, incarnation, effect.member.address, evidence)
        self._count += case.add(entry)
        self._cases[alive.node] = case
        while self._count > MAX_ENTRIES:
            oldest = next(iter(self._cases))
            self._count -= len(self._cases.pop(oldest).entries)
