"""One member per address: which member gets a place in a backend when several ask for it.

Containers reuse addresses, so an alive newcomer takes the place of a member that is gone, in one change. Of
two alive claimants, the current one stays until it is no longer alive.
"""

from collections.abc import Iterable

from msgspec import Struct

from lb.policy.plan import Claim


class Wish(Struct, frozen=True):
    """One member's place in the file and the place it may have next; at least one is there."""

    member: str
    present: Claim | None
    wanted: Claim | None
    is_alive: bool


class Allocation(Struct, frozen=True):
    """The result: a member that is not in `claims` gets no server."""

    claims: dict[str, Claim]
    replaced: dict[str, str]  # a member that is gone -> the newcomer at its address
    disputed: dict[str, str]  # a claimant -> the alive member that has the place


def allocate(wishes: Iterable[Wish]) -> Allocation:
    """Return the places of all members; the order of `wishes` does not matter."""
    allocation = Allocation({}, {}, {})
    holders: dict[tuple[str, str, int], Wish] = {}
    movers: list[tuple[Wish, Claim]] = []
    for wish in sorted(wishes, key=lambda wish: wish.member):
        present, wanted = wish.present, wish.wanted
        if wanted is not None and (present is None or present.place != wanted.place):
            movers.append((wish, wanted))
            continue
        claim = wanted or present
        assert claim is not None, "a wish without a claim"
        holders[claim.place] = wish
        allocation.claims[wish.member] = claim
    for wish, wanted in movers:  # a place given up in this change is free for all movers
        holder = holders.get(wanted.place)
        if holder is not None and holder.is_alive:
            allocation.disputed[wish.member] = holder.member
            _stay(wish, holders, allocation)
            continue
        if holder is not None:
            allocation.replaced[holder.member] = wish.member
            del allocation.claims[holder.member]
        holders[wanted.place] = wish
        allocation.claims[wish.member] = wanted
    return allocation


def _stay(wish: Wish, holders: dict[tuple[str, str, int], Wish], allocation: Allocation) -> None:
    """Leave a member that cannot move where it is, unless another has moved in there meanwhile."""
    if wish.present is not None and wish.present.place not in holders:
        holders[wish.present.place] = wish
        allocation.claims[wish.member] = wish.present
