"""Limits on the rise of incarnations (SWIM section 4.2; memberlist `state.go`, nextIncarnation).

Only a member itself raises its incarnation, by one for each refutation and each change of metadata. A forged
claim must not use up the 32 bits, so the rise of each member is limited over time, and so is the incarnation
at which a member may first appear.
"""

from gossip.errors import RemoteProtocolError
from gossip.swim.member import Member
from gossip.wire.messages import MAX_U32

MAX_INCARNATION_RISE = 2**16
"""How far a known member's incarnation may rise within `RISE_WINDOW`.

A real member would need it only if it refuted a thousand times a second. Forged claims need 45 days to raise
a member from the first incarnation to the last.
"""

RISE_WINDOW = 60.0
"""Seconds over which `MAX_INCARNATION_RISE` is counted."""

MAX_STEP = 4
"""How far an incarnation may rise at any time; a refutation is therefore never refused."""

LAST_INCARNATION = MAX_U32 - 1
"""The last incarnation that is accepted: the number after it could not be refuted."""

MAX_FIRST_INCARNATION = 2**32 - 2**24
"""The highest incarnation of a member that is not known yet, and of this node's own earlier life.

Lives begin at the seconds since 1970, which fit until the year 2105. The room above it is
for refutations.
"""


def first_incarnation(seconds: float) -> int:
    """Return the first incarnation of a life that starts `seconds` after 1970, above all earlier lives.

    A wrong clock gives a valid incarnation too; the member then refutes messages about its earlier life.
    """
    return max(1, min(int(seconds), MAX_FIRST_INCARNATION))


def verify_first(name: str, incarnation: int) -> None:
    """Check the incarnation of a member that is not known yet.

    Raises:
        RemoteProtocolError: it is above `MAX_FIRST_INCARNATION`.
    """
    if incarnation > MAX_FIRST_INCARNATION:
        raise RemoteProtocolError(
            f"member {name!r} begins at incarnation {incarnation}: expected at most {MAX_FIRST_INCARNATION}"
        )


def verify_accusation(member: Member, incarnation: int, now: float, present: int = 0) -> None:
    """Check that `member` may be accused at `incarnation`: it must be able to refute.

    Raises:
        RemoteProtocolError: see `verify_rise`.
    """
    if incarnation > member.incarnation:
        verify_rise(member, incarnation + 1, now, present)


def verify_rise(member: Member, incarnation: int, now: float, present: int = 0) -> None:
    """Check that `member` may be at `incarnation`, which `highest_incarnation` limits.

    Raises:
        RemoteProtocolError: it would rise too far.
    """
    limit = highest_incarnation(member, now, present)
    if incarnation > limit:
        raise RemoteProtocolError(
            f"incarnation of {member.name!r} would rise from {member.incarnation} to {incarnation}: "
            f"expected at most {limit}"
        )


def highest_incarnation(member: Member, now: float, present: int = 0) -> int:
    """Return the highest incarnation that `member` may have now.

    It may rise by `MAX_STEP`, or by `MAX_INCARNATION_RISE` within `RISE_WINDOW` or above `present`, but never
    past `LAST_INCARNATION`. Lives begin at the seconds since 1970: a member that restarts rises by the time
    since its last start. The core has no such clock; `present` is the incarnation at which this node would
    begin now.
    """
    if now - member.rise_since >= RISE_WINDOW:
        member.rise_from, member.rise_since = member.incarnation, now
    limit = max(max(member.rise_from, present) + MAX_INCARNATION_RISE, member.incarnation + MAX_STEP)
    return min(limit, LAST_INCARNATION)
