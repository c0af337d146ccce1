"""The member table and the probe ring (SWIM section 4.3, memberlist `state.go`, nextNode and resetNodes).

The ring is a list that is walked in order and shuffled at each end, so that every member is probed once per
round; a newcomer enters at a random place. Gossip walks the same ring at its own place, many times in a round
of probes: successive targets differ. Choices draw from the ring, never from a set or dict order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from gossip.swim.member import Member

TRIES_PER_CHOICE = 4
"""Random draws per wanted member before the whole ring is searched; most choices need one."""


class Membership:
    """All members, this node included, by name and as a ring."""

    __slots__ = ("_cursor", "_gossip_cursor", "_ring", "_rng", "by_name")

    def __init__(self, rng: Random) -> None:
        self.by_name: dict[str, Member] = {}
        self._ring: list[Member] = []
        self._cursor = 0
        self._gossip_cursor = 0
        self._rng = rng

    def __len__(self) -> int:
        """Return the number of rows in any state."""
        return len(self._ring)

    def add(self, member: Member) -> None:
        """Insert `member` at a random place of the ring."""
        ring = self._ring
        ring.append(member)
        self.by_name[member.name] = member
        place = int(self._rng.random() * len(ring))
        ring[place], ring[-1] = ring[-1], ring[place]

    def drop(self, member: Member) -> None:
        """Take `member` out, wherever the round is."""
        place = self._ring.index(member)
        del self._ring[place]
        del self.by_name[member.name]
        self._cursor -= place < self._cursor
        self._gossip_cursor -= place < self._gossip_cursor

    def next_target(self, me: Member) -> Member | None:
        """Return the next member to probe, or None at the end of the round.

        After None the caller reaps and shuffles with `start_round`.
        """
        ring = self._ring
        while self._cursor < len(ring):
            member = ring[self._cursor]
            self._cursor += 1
            if member is not me and not member.is_gone:
                return member
        return None

    def start_round(self, me: Member, forget_before: float) -> list[Member]:
        """Drop and return rows dead or left since before `forget_before`, never `me`; shuffle the rest."""
        dropped = [m for m in self._ring if m.is_gone and m.since < forget_before and m is not me]
        for member in dropped:
            del self.by_name[member.name]
        if dropped:
            self._ring = [m for m in self._ring if m.name in self.by_name]
        self._rng.shuffle(self._ring)
        self._cursor = 0
        return dropped

    def next_listeners(self, k: int, eligible: Callable[[Member], bool]) -> Iterator[Member]:
        """Yield the next up to `k` different eligible members of the ring; one not taken stays next."""
        for _ in range(len(self._ring)):
            if k <= 0:
                return
            if self._gossip_cursor >= len(self._ring):
                self._gossip_cursor = 0
            member = self._ring[self._gossip_cursor]
            self._gossip_cursor += 1
            if eligible(member):
                k -= 1
                yield member

    def choose(self, k: int, eligible: Callable[[Member], bool]) -> list[Member]:
        """Return up to `k` different eligible members, uniformly at random."""
        ring, random = self._ring, self._rng.random
        chosen: list[Member] = []
        for _ in range(TRIES_PER_CHOICE * k if ring else 0):
            member = ring[int(random() * len(ring))]
            if member not in chosen and eligible(member):
                chosen.append(member)
                if len(chosen) == k:
                    return chosen
        rest = [m for m in ring if m not in chosen and eligible(m)]
        while rest and len(chosen) < k:
            chosen.append(rest.pop(int(random() * len(rest))))
        return chosen

    def any_other_alive(self, me: Member) -> bool:
        """Tell whether somebody else would still answer, as far as we know."""
        return any(m is not me and not m.is_gone for m in self._ring)
