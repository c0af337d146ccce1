"""How fast incarnations may rise (SWIM section 4.2; memberlist `state.go`, nextIncarnation, skipIncarnation).

Only a member itself raises its incarnation, by one for each refutation and each change of metadata. 32 bits
last as long as nobody can use them up with a forged claim, so the rise of each member is limited over time,
and so is the incarnation at which a member may be seen first.
"""

from gossip.errors import RemoteProtocolError
from gossip.swim.member import Member
from gossip.wire.messages import MAX_U32

MAX_INCARNATION_RISE = 2**16
"""How far a known member's incarnation may rise within `RISE_WINDOW`.

A member would have to refute a thousand times a second to need it. To walk a member from the first
incarnation to the last takes 45 days of claims.
"""

RISE_WINDOW = 60.0
"""Seconds over which `MAX_INCARNATION_RISE` is counted."""

MAX_STEP = 4
"""How far an incarnation may rise at any time, so that a refutation is never refused."""

LAST_INCARNATION = MAX_U32 - 1
"""The last incarnation that is accepted: the number after it could not be refuted."""

MAX_FIRST_INCARNATION = 2**32 - 2**24
"""The highest incarnation of a member that is not known yet, and of this node's own earlier life.

Seconds since 1970, at which lives begin, fit until the year 2105. What is above is
room for refutations.
"""


def first_incarnation(seconds: float) -> int:
    """Return where a life begins that starts `seconds` after 1970: above every earlier life of the member.

    Clocks that are wrong give something that is accepted, too; such a member refutes what is said of its
    earlier life, as all members did before.
    """
    return max(1, min(int(seconds), MAX_FIRST_INCARNATION))


def verify_first(name: str, incarnation: int) -> None:
    """Check the incarnation of a member of which no other is known.

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
    """Check that `member` may be at `incarnation`.

    Lives begin at the seconds since 1970: a member that restarts rises by the time since its last start. The
    core has no such clock; `present` is where this node would begin now, counted from its own beginning.

    Raises:
        RemoteProtocolError: it would rise by more than `MAX_STEP`, and by more than `MAX_INCARNATION_RISE`
            within `RISE_WINDOW` or above `present`; or above `LAST_INCARNATION`.
    """
    if now - member.rise_since >= RISE_WINDOW:
        member.rise_from, member.rise_since = member.incarnation, now
    limit = max(max(member.rise_from, present) + MAX_INCARNATION_RISE, member.incarnation + MAX_STEP)
    limit = min(limit, LAST_INCARNATION)
    if incarnation > limit:
        raise RemoteProtocolError(
            f"incarnation of {member.name!r} would rise from {member.incarnation} to {incarnation}: "
            f"expected at most {limit}"
        )
