"""Fail-static: reasons to keep a server in the file although its failure is certain.

A held server stays with its checks on, so that HAProxy decides by health.

One member: gossip's word alone removes nobody (`doubt`). While HAProxy calls the server UP it is *disputed*;
while HAProxy's word is unknown it is *unconfirmed*. Both end when HAProxy calls the server DOWN, or when the
member returns or leaves. A server without a check has no second witness: its failure passes after
`UNCHECKED_HOLD`, its mere absence never does.

One backend: `hold_reason` holds *all* failures that are left, so that two load balancers hold the same ones.
Leaves have a rule of their own (`lb.policy.leaves`); arrivals and replacements are never asked about.
"""

from enum import StrEnum

from msgspec import Struct

from lb.policy.witness import Health

SURPRISE = 5.0
"""Seconds for which HAProxy may lag behind gossip before a server counts as disputed: its checks take a
second or two, and one burst of failures should make one change of the file."""
UNCHECKED_HOLD = 60.0
"""Seconds of certain failure after which a server that HAProxy does not check goes on gossip's word."""


class HoldReason(StrEnum):
    """Why a failed server stays in the file."""

    MIN_BACKENDS = "min_backends"
    DISPUTED = "disputed"
    UNCONFIRMED = "unconfirmed"


class Case(Struct, frozen=True):
    """One backend from which failed members would be removed now."""

    failures: frozenset[str]  # members that would be removed
    staying: frozenset[str]  # members in the file that are alive and mean to stay, or are disputed
    up: frozenset[str]  # of the staying ones, those whose server answers
    is_held: bool  # some of `failures` are held already by this rule
    min_backends: int


def hold_reason(case: Case) -> HoldReason | None:
    """Return why the failures of this case are held, or None if they may be removed."""
    # it starts by number and ends by health: a newcomer that nobody has checked yet ends no hold
    others = case.up if case.is_held else case.staying
    return HoldReason.MIN_BACKENDS if len(others) < case.min_backends else None


def doubt(health: Health, *, is_absent: bool, seconds: float) -> HoldReason | None:
    """Return why gossip's word on a failed member is not enough, or None if it is confirmed.

    Args:
        health: HAProxy's word on the member's server.
        is_absent: gossip has never mentioned the member: a weaker word than that it failed.
        seconds: for how long the failure has been pending.
    """
    match health:
        case Health.DOWN:
            return None
        case Health.UP:
            return HoldReason.DISPUTED
        case Health.UNCHECKED if not is_absent and seconds >= UNCHECKED_HOLD:
            return None
        case _:
            return HoldReason.UNCONFIRMED
