"""The seeds of a node, for its whole life: the names it once joined through, and their latest addresses.

A seed counts as present if each address of its name either belongs to a live member or has answered since the
last member was lost: behind NAT, or with a second address family, a member answers at an address that no
member announces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gossip.wire.address import Address

MAX_SEEDS = 64
"""Seeds remembered; at the limit the oldest one is dropped."""


class Seeds:
    """Seeds by name, each with its last known addresses."""

    __slots__ = ("_answered", "_places")

    def __init__(self) -> None:
        self._places: dict[str, tuple[Address, ...]] = {}  # empty: not resolved yet, or without an address
        self._answered: dict[Address, None] = {}

    def __len__(self) -> int:
        """Return how many seeds there are."""
        return len(self._places)

    def remember(self, names: Iterable[str]) -> None:
        """Ask `names` from now on."""
        for name in names:
            if name not in self._places and len(self._places) >= MAX_SEEDS:
                del self._places[next(iter(self._places))]
            self._places.setdefault(name, ())

    def resolved(self, places: Mapping[str, tuple[Address, ...]]) -> None:
        """Store the current addresses of seeds; names that are not seeds are ignored."""
        for name, addresses in places.items():
            if name in self._places:
                self._places[name] = addresses
        known = {address for addresses in self._places.values() for address in addresses}
        self._answered = {address: None for address in self._answered if address in known}

    def answered(self, address: Address) -> None:
        """The node at `address` has our state, and we have its state."""
        if any(address in addresses for addresses in self._places.values()):
            self._answered[address] = None

    def member_gone(self) -> None:
        """A member was lost: it may have been the one that answered at an address no member announces."""
        self._answered.clear()

    def names(self) -> tuple[str, ...]:
        """Return all seeds."""
        return tuple(self._places)

    def unseen(self, alive: Iterable[Address]) -> tuple[str, ...]:
        """Return the seeds that are not known to be present; `alive` are the addresses of members."""
        if not self._places:
            return ()
        here = {*alive, *self._answered}
        return tuple(name for name, found in self._places.items() if not found or not here.issuperset(found))
