"""Fail-static: reasons to keep a server in the file although its failure is certain.

A held server keeps its checks, so that HAProxy decides by its health.

One member: gossip alone removes no server (`doubt`). While HAProxy calls the server UP it is *disputed*;
while HAProxy's verdict is unknown it is *unconfirmed*. Both end when HAProxy calls the server DOWN, or when
the member returns or leaves. A server without a check has no second witness: its failure passes after
`UNCHECKED_HOLD`, its mere absence never does.

One backend: `hold_reason` holds *all* remaining failures, so that two load balancers hold the same ones.
Leaves have a rule of their own (`lb.policy.leave_lane`); arrivals and replacements are not subject to this.
"""

from enum import StrEnum

from msgspec import Struct

from lb.policy.witness import Health

SURPRISE = 5.0
"""How long HAProxy may lag behind gossip, in seconds, before a server counts as disputed: its checks take a
second or two, and one burst of failures should make one change of the file."""
UNCHECKED_HOLD = 60.0
"""Seconds of certain failure after which gossip alone removes a server that HAProxy does not check."""


class HoldReason(StrEnum):
    """The reason why a failed server stays in the file."""

    MIN_BACKENDS = "min_backends"
    DISPUTED = "disputed"
    UNCONFIRMED = "unconfirmed"


class Case(Struct, frozen=True):
    """One backend from which failed members would be removed now."""

    failures: frozenset[str]  # members that would be removed
    staying: frozenset[str]  # members in the file that are alive and mean to stay, or are disputed
    up: frozenset[str]  # of the staying ones, those whose server answers
    is_held: bool  # whether this rule already holds some of `failures`
    min_backends: int


def hold_reason(case: Case) -> HoldReason | None:
    """Return why the failures of this case are held, None if they may be removed."""
    # it starts by number and ends by health: a newcomer that was not checked yet ends no hold
    others = case.up if case.is_held else case.staying
    return HoldReason.MIN_BACKENDS if len(others) < case.min_backends else None


def doubt(health: Health, *, is_absent: bool, seconds: float) -> HoldReason | None:
    """Return why gossip alone does not suffice for a failed member, None if the failure is confirmed.

    Args:
        health: HAProxy's verdict on the member's server.
        is_absent: gossip has never mentioned the member, which is weaker evidence than a failure.
        seconds: how long the failure has been pending.
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
