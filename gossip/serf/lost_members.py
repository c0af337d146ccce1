"""Members that the roster no longer has, but that nobody knows to have left: they are looked for (ADR 28).

They failed so long ago that they were erased, or an earlier life of this node knew them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from gossip.wire.address import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_LOST = 256
"""Lost members remembered; at the limit the one that was lost first makes room."""


class LostMember(Struct, frozen=True, gc=False):
    """A member that is missing, and where it was."""

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
        """Return how many are remembered."""
        return len(self._by_name)

    def __iter__(self) -> Iterator[LostMember]:
        """Go through all of them, the one that was lost first at the front."""
        return iter(self._by_name.values())

    def add(self, name: str, address: Address, now: float) -> None:
        """Look for a member from now on."""
        self._by_name.pop(name, None)
        if len(self._by_name) >= MAX_LOST:
            del self._by_name[next(iter(self._by_name))]
        self._by_name[name] = LostMember(name, address, now)

    def forget(self, name: str) -> None:
        """Stop looking: the member is back, or has left; names that are not lost are fine."""
        self._by_name.pop(name, None)

    def missing(self, alive: Iterable[Address], now: float) -> list[LostMember]:
        """Return those to look for; one whose address a member has now is lost for good."""
        taken = frozenset(alive)
        self._by_name = {
            name: member
            for name, member in self._by_name.items()
            if member.address not in taken and now - member.since <= self._timeout
        }
        return list(self._by_name.values())
