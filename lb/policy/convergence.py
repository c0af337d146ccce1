"""Has the failure detector converged? The conditions under which a failed server may be removed.

C1: no member of any backend is suspect. C2: the set of pending failures has been the same for a quiet
period. C3: this node is neither isolated nor slow. C5: after `settle_max`, C1 and slowness no longer count,
and C2 counts for each member on its own: neither a stream of failures nor a stream of forged suspicions about
this node can starve the first failure. Isolation always counts. A condition that needs a request (agreement
of peers) would come after these.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from lb.policy.witness import Healths

MIN_QUIET_PERIOD = 0.5
ISOLATION_PROBES = 4
"""Silence of this many probe intervals is isolation: shorter gaps occur when one of two peers dies."""
MAX_LOCAL_HEALTH = 3
"""One crash raises the survivors' score to 2 in a small cluster; above 3, this node itself is slow."""


class Condition(StrEnum):
    """A condition that a removal waits for."""

    NOT_ISOLATED = "isolated"
    HEALTHY = "health"
    NO_SUSPECT = "suspect"
    QUIET = "quiet"
    HAPROXY = "haproxy"


class DetectorView(Struct, frozen=True, kw_only=True):
    """The node's knowledge at the time of a poll; times in seconds of the caller's monotonic clock."""

    suspects: frozenset[str]  # names of all suspect members
    retransmit_limit: int
    gossip_interval: float
    probe_interval: float
    last_heard: float  # last valid message from a known member that is not suspect; -inf: never
    local_health: int  # 0 is best
    others_alive: int  # other members that are alive or suspect
    healths: Healths | None = None  # HAProxy's verdict by member; None: it was not asked
    answering: frozenset[tuple[str, int]] = frozenset()  # hosts and ports that just accepted a connection

    @property
    def quiet_period(self) -> float:
        """The time in which a rumour reaches all members, at least half a second."""
        return max(MIN_QUIET_PERIOD, self.retransmit_limit * self.gossip_interval)

    def is_isolated(self, now: float) -> bool:
        """Return whether no trusted member has been heard for too long."""
        return now > self.last_heard + ISOLATION_PROBES * self.probe_interval


class Failure(Struct, frozen=True):
    """A failed member that is still in the file."""

    member: str
    since: float  # when it failed, or when it began to count
    is_held: bool  # held by the guard: its wait is not starvation


class Convergence(Struct, frozen=True):
    """The failures that the detector is sure of, or the condition it waits for."""

    members: tuple[str, ...]
    waits_for: Condition | None


def judge(
    view: DetectorView,
    failures: Sequence[Failure],
    *,
    has_suspects: bool,
    unchanged_since: float,
    settle_max: float,
    now: float,
) -> Convergence:
    """Judge the pending `failures` (at least one) at `now`.

    Args:
        view: the detector at `now`.
        failures: members whose failure is pending.
        has_suspects: whether a member of a backend is suspect.
        unchanged_since: when the set of pending failures last changed.
        settle_max: seconds after which a failure that is not held counts as starved.
        now: monotonic seconds.
    """
    if view.is_isolated(now):
        return Convergence((), Condition.NOT_ISOLATED)
    if any(not failure.is_held and now >= failure.since + settle_max for failure in failures):
        members = tuple(f.member for f in failures if now >= f.since + view.quiet_period)
        return Convergence(members, None if members else Condition.QUIET)
    if view.local_health > MAX_LOCAL_HEALTH:
        return Convergence((), Condition.HEALTHY)
    if has_suspects:
        return Convergence((), Condition.NO_SUSPECT)
    if now < unchanged_since + view.quiet_period:
        return Convergence((), Condition.QUIET)
    return Convergence(tuple(failure.member for failure in failures), None)
