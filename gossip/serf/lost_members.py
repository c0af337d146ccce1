"""Members that are no longer in the roster but are not known to have left: this node looks for them (ADR 28).

They were erased because they had failed long ago, or were known to an earlier life of this node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from gossip.wire.address import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_LOST = 256
"""Lost members remembered; at the limit the longest-lost is forgotten."""


class LostMember(Struct, frozen=True, gc=False):
    """A missing member and its last address."""

    name: str
    address: Address
    since: float
    """When it was found missing, monotonic seconds."""


class LostMembers:
    """Lost members by name, each for `timeout` seconds."""

    __slots__ = ("_by_name", "_timeout")

    def __init__(self, timeout: float) -> None:
        self._by_name: dict[str, LostMember] = {}
        self._timeout = timeout

    def __len__(self) -> int:
        """Return the number of lost members."""
        return len(self._by_name)

    def __iter__(self) -> Iterator[LostMember]:
        """Iterate over the lost members, oldest loss first."""
        return iter(self._by_name.values())

    def add(self, name: str, address: Address, now: float) -> None:
        """Look for a member from now on."""
        self._by_name.pop(name, None)
        if len(self._by_name) >= MAX_LOST:
            del self._by_name[next(iter(self._by_name))]
        self._by_name[name] = LostMember(name, address, now)

    def forget(self, name: str) -> None:
        """Stop looking: the member is back, or has left; unknown names are ignored."""
        self._by_name.pop(name, None)

    def missing(self, alive: Iterable[Address], now: float) -> list[LostMember]:
        """Return the members to look for; drop those whose address another member has taken."""
        if not self._by_name:
            return []
        taken = frozenset(alive)
        self._by_name = {
            name: member
            for name, member in self._by_name.items()
            if member.address not in taken and now - member.since <= self._timeout
        }
        return list(self._by_name.values())
