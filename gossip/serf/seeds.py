"""The seeds of a node, for life: names that it once joined through, and where they were last found.

A seed counts as here while every address of its name belongs to a member that is alive, or has answered since
somebody was last lost: behind NAT, and under a second family, a member answers where no member is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gossip.wire.address import Address

MAX_SEEDS = 64
"""Seeds remembered; at the limit the one that was given first makes room."""


class Seeds:
    """Seeds by name, each with its last known addresses."""

    __slots__ = ("_answered", "_places")

    def __init__(self) -> None:
        self._places: dict[str, tuple[Address, ...]] = {}  # empty: never resolved, or without an address
        self._answered: dict[Address, None] = {}

    def __len__(self) -> int:
        """Return how many seeds there are."""
        return len(self._places)

    def remember(self, names: Iterable[str]) -> None:
        """Go on asking `names` from now on."""
        for name in names:
            if name not in self._places and len(self._places) >= MAX_SEEDS:
                del self._places[next(iter(self._places))]
            self._places.setdefault(name, ())

    def resolved(self, places: Mapping[str, tuple[Address, ...]]) -> None:
        """Take note of where seeds are now; names that are no seeds are ignored."""
        for name, addresses in places.items():
            if name in self._places:
                self._places[name] = addresses
        known = {address for addresses in self._places.values() for address in addresses}
        self._answered = {address: None for address in self._answered if address in known}

    def answered(self, address: Address) -> None:
        """Whoever is at `address` has our state, and we have theirs."""
        if any(address in addresses for addresses in self._places.values()):
            self._answered[address] = None

    def member_gone(self) -> None:
        """Somebody was lost: those who answered at other addresses than members' may be among them."""
        self._answered.clear()

    def names(self) -> tuple[str, ...]:
        """Return all seeds."""
        return tuple(self._places)

    def unseen(self, alive: Iterable[Address]) -> tuple[str, ...]:
        """Return the seeds that are not known to be here, `alive` being the addresses of members."""
        if not self._places:
            return ()
        here = {*alive, *self._answered}
        return tuple(name for name, found in self._places.items() if not found or not here.issuperset(found))
