"""Choosing the row to drop from a full member table; memberlist has neither a limit nor such a rule.

Forged announcements fill a table long before real members do. Members that this node has never heard from are
the most expendable.
"""

from collections.abc import Iterable

from gossip.swim.member import Member

EVICTION_INTERVAL = 0.1
"""Seconds between two evictions, so that a flood of announcements does not become a flood of events."""


def least_missed(others: Iterable[Member], forget_before: float) -> Member | None:
    """Return the member to drop, None if all are needed.

    Rows that should have been forgotten by `forget_before` go first, then members that were never heard,
    longest-known first, so that a newcomer is never dropped before older forgeries.
    """
    silent: Member | None = None
    for member in others:  # in the order of their admission
        if member.is_gone and member.since < forget_before:
            return member
        if silent is None and not member.is_heard:
            silent = member
    return silent
