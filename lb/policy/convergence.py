"""Has the failure detector converged? The conditions under which a failed server may be taken out.

C1: no member of any backend is suspect. C2: the set of pending failures has been the same for a quiet
period. C3: this node is not isolated and not slow. C5: after `settle_max` neither C1 nor slowness counts, and
C2 counts for each member by itself: neither a stream of failures nor a stream of forged suspicions about this
node can starve the first failure. Isolation always counts.
A condition that has to be asked for (agreement of peers) would stand behind these.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from lb.policy.witness import Healths

MIN_QUIET_PERIOD = 0.5
ISOLATION_PROBES = 4
"""Silence of so many probe intervals is isolation: shorter gaps occur when one of two peers dies."""
MAX_LOCAL_HEALTH = 3
"""One crash raises the survivors' score to 2 in a small cluster; above 3 it is this node that is slow."""


class Condition(StrEnum):
    """What a removal waits for."""

    NOT_ISOLATED = "isolated"
    HEALTHY = "health"
    NO_SUSPECT = "suspect"
    QUIET = "quiet"
    HAPROXY = "haproxy"


class DetectorView(Struct, frozen=True, kw_only=True):
    """What the node knows at the moment of a poll; times in seconds of the caller's monotonic clock."""

    suspects: frozenset[str]  # names of all suspect members
    retransmit_limit: int
    gossip_interval: float
    probe_interval: float
    last_heard: float  # last valid message from a known member that is not suspect; -inf: never
    local_health: int  # 0 is best
    others_alive: int  # members beside this node that are alive or suspect
    healths: Healths | None = None  # HAProxy's word by member; None: it was not asked
    answering: frozenset[tuple[str, int]] = frozenset()  # hosts and ports that took a connection just now

    @property
    def quiet_period(self) -> float:
        """The time in which a rumour reaches everybody, at least half a second."""
        return max(MIN_QUIET_PERIOD, self.retransmit_limit * self.gossip_interval)

    def is_isolated(self, now: float) -> bool:
        """Return whether nobody trustworthy has been heard for too long."""
        return now > self.last_heard + ISOLATION_PROBES * self.probe_interval


class Failure(Struct, frozen=True):
    """A failed member that is still in the file."""

    member: str
    since: float  # when it failed, or when it began to count
    is_held: bool  # the guard keeps it: its waiting is not starvation


class Convergence(Struct, frozen=True):
    """Which failures the detector is sure of, or what it waits for."""

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
