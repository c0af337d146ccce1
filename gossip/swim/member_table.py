"""The member table and its ring (SWIM section 4.3, memberlist `state.go`, nextNode and resetNodes).

A `Member` is a row, the `MemberTable` holds all rows, and the `View` applies messages about members to them.
Serf's table, which also keeps members that SWIM has forgotten, is the `Roster`.

The ring is a list that probes walk in order, shuffled at each end, so that every member is probed once per
round; newcomers enter at a random place. Gossip walks the same ring from a position of its own, many times
per round of probes, so that successive targets differ. Choices draw from the ring, never from a set or in
dict order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from gossip.swim.member import Member
    from gossip.wire.address import Address

TRIES_PER_CHOICE = 4
"""Random draws per wanted member before the whole ring is searched; most choices need one."""


class MemberTable:
    """All members by name, by address and as a ring; `me` is this node's own row."""

    __slots__ = ("_gossip_place", "_probe_place", "_ring", "_rng", "by_name", "me", "name_at")

    def __init__(self, me: Member, rng: Random) -> None:
        self.me = me
        self.by_name: dict[str, Member] = {}
        self.name_at: dict[Address, str] = {}  # names of other members by gossip address
        self._ring: list[Member] = []
        self._probe_place = 0
        self._gossip_place = 0
        self._rng = rng
        self._insert(me)

    def __len__(self) -> int:
        """Return the number of rows in any state."""
        return len(self._ring)

    def add(self, member: Member) -> None:
        """Insert another member at a random place of the ring."""
        self._insert(member)
        self.list_address(member)

    def drop(self, member: Member) -> None:
        """Remove `member`, at any point of the round."""
        place = self._ring.index(member)
        del self._ring[place]
        del self.by_name[member.name]
        self.unlist_address(member)
        self._probe_place -= place < self._probe_place
        self._gossip_place -= place < self._gossip_place

    def list_address(self, member: Member) -> None:
        """Map the announced address to `member`; the latest member to announce an address gets it."""
        self.name_at[member.address] = member.name

    def unlist_address(self, member: Member) -> None:
        """Remove the address of `member` before it changes.

        By then another member may have the address, as containers reuse addresses.
        """
        if self.name_at.get(member.address) == member.name:
            del self.name_at[member.address]

    def next_target(self) -> Member | None:
        """Return the next member to probe, or None at the end of the round.

        After None the caller reaps and shuffles by calling `start_round`.
        """
        ring = self._ring
        while self._probe_place < len(ring):
            member = ring[self._probe_place]
            self._probe_place += 1
            if member is not self.me and not member.is_gone:
                return member
        return None

    def start_round(self, forget_before: float) -> list[Member]:
        """Drop and return other members dead or left since before `forget_before`; shuffle the rest."""
        dropped = [m for m in self._ring if m.is_gone and m.since < forget_before and m is not self.me]
        for member in dropped:
            del self.by_name[member.name]
            self.unlist_address(member)
        if dropped:
            self._ring = [m for m in self._ring if m.name in self.by_name]
        self._rng.shuffle(self._ring)
        self._probe_place = 0
        return dropped

    def next_listeners(self, k: int, eligible: Callable[[Member], bool]) -> Iterator[Member]:
        """Yield up to `k` different eligible members from the ring; any not consumed stay next in line."""
        for _ in range(len(self._ring)):
            if k <= 0:
                return
            if self._gossip_place >= len(self._ring):
                self._gossip_place = 0
            member = self._ring[self._gossip_place]
            self._gossip_place += 1
            if eligible(member):
                k -= 1
                yield member

    def choose(self, k: int, eligible: Callable[[Member], bool]) -> list[Member]:
        """Return up to `k` different eligible members, uniformly at random."""
        ring, random = self._ring, self._rng.random
        chosen: list[Member] = []
        for _ in range(TRIES_PER_CHOICE * k):
            member = ring[int(random() * len(ring))]
            if member not in chosen and eligible(member):
                chosen.append(member)
                if len(chosen) == k:
                    return chosen
        rest = [m for m in ring if m not in chosen and eligible(m)]
        while rest and len(chosen) < k:
            chosen.append(rest.pop(int(random() * len(rest))))
        return chosen

    def any_other_alive(self) -> bool:
        """Tell whether any other member is alive or suspected, as far as we know."""
        return any(m is not self.me and not m.is_gone for m in self._ring)

    def _insert(self, member: Member) -> None:
        ring = self._ring
        ring.append(member)
        self.by_name[member.name] = member
        place = int(self._rng.random() * len(ring))
        ring[place], ring[-1] = ring[-1], ring[place]
