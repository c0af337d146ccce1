"""Whose row makes room in a full table; memberlist has no limit, and no such rule.

A table is filled by forged announcements long before it is filled by members. Those who never let this node
hear from them can be missed most.
"""

from collections.abc import Iterable

from gossip.swim.member import Member

EVICTION_INTERVAL = 0.1
"""Seconds between two evictions, so that a flood of announcements does not become a flood of events."""


def least_missed(others: Iterable[Member], forget_before: float) -> Member | None:
    """Return whose row to drop, None if all are needed.

    Rows that were due to be forgotten since `forget_before` go first, then members that were never heard; of
    these the one that has had the longest time to speak, and so never a newcomer before the forged ones.
    """
    silent: Member | None = None
    for member in others:  # in the order of their admission
        if member.is_gone and member.since < forget_before:
            return member
        if silent is None and not member.is_heard:
            silent = member
    return silent
