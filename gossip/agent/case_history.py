"""The recent history of members that were suspected, failed or came back, with the reporters.

An observer of the driver, which only readers use: the agent decides nothing by it. A member that has only
joined has no case, so that a large healthy cluster costs nothing.
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
"""Entries kept per member: three or four suspicions with all that followed."""
MAX_ENTRIES = 4096
"""Entries kept for all members; the case that changed longest ago is dropped first."""

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
"""The names of entries; a member that joins has returned if it has a case."""


class Entry(Struct, frozen=True, gc=False):
    """One event in a member's case, `at` monotonic seconds."""

    kind: str
    at: float
    incarnation: int
    address: Address
    evidence: Evidence | None


class Case:
    """The entries of one member, oldest first, and the number of older ones that were dropped."""

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
    """All cases, by the member's name, least recently changed first."""

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}
        self._count = 0  # number of entries

    def __len__(self) -> int:
        """Return how many entries are kept."""
        return self._count

    def case(self, name: str) -> Case | None:
        """Return the case of a member, None if there is none."""
        return self._cases.get(name)

    def observe(self, effects: Sequence[Effect], now: float) -> None:
        """Process a batch of the node's effects."""
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
