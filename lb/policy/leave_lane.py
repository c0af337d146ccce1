"""The lane of leaves: servers that get no new requests, and servers that may be removed.

A leave is announced by the member itself and needs no second witness, with one exception: leaves can be
forged, for all servers at once. So the last `min_backends` servers of a backend that HAProxy does not call
DOWN are *spared*: they serve on until HAProxy calls them DOWN, until others serve in their place, or until
they return. A server that stops after its leave, as it should, is spared for the second that HAProxy's checks
need.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from lb.policy.candidate import Candidate
from lb.policy.convergence import DetectorView
from lb.policy.failure_lane import serves
from lb.policy.witness import Health, health_of


def spare_last(candidates: Iterable[Candidate], view: DetectorView, min_backends: int, now: float) -> None:
    """Decide again which listed members that are gone are spared."""
    listed = sorted((c for c in candidates if c.listed is not None), key=lambda c: c.home)
    for _, group in groupby(listed, lambda c: c.home):
        servers = list(group)
        gone = [c for c in servers if c.is_gone]
        was_spared = any(c.is_spared for c in gone)
        others = sum(_stays(c, view, is_strict=was_spared) for c in servers if not c.is_gone)
        able = [c for c in gone if health_of(c.member, view.healths) is not Health.DOWN]
        able.sort(key=lambda c: (not c.is_spared, not serves(c, view), -c.changed_at, c.member))
        spared = able[: max(0, min_backends - others)]
        for candidate in servers:
            is_spared = candidate in spared  # false for one that has asked for its place again
            if candidate.is_gone and candidate.is_spared and not is_spared:
                candidate.gone_since = now  # otherwise it would be removed together with another change
            candidate.is_spared = is_spared


def drain(candidates: Iterable[Candidate], view: DetectorView) -> frozenset[str]:
    """Return the servers that get no new requests: of all gone members, and of leavers if others are UP."""
    listed = [c for c in candidates if c.listed is not None]
    leavers = [c for c in listed if c.is_going and not c.is_drained]
    serving = Counter(c.home for c in listed if not (c.is_going or c.is_gone) and serves(c, view))
    serving.update(c.home for c in leavers if serves(c, view))
    for candidate in sorted(leavers, key=lambda c: (c.changed_at, c.member)):
        own = 1 if serves(candidate, view) else 0
        if serving[candidate.home] > own:
            candidate.is_drained = True
            serving[candidate.home] -= own
    return frozenset(c.member for c in listed if c.is_drained or (c.is_gone and not c.is_spared))


def _stays(candidate: Candidate, view: DetectorView, *, is_strict: bool) -> bool:
    """Return whether the server of a member that is not gone counts as one that remains.

    To end a spell of sparing, it must be known to serve. Before that, a server that HAProxy has not checked
    yet counts as well; otherwise each reload would put drained servers back into service.
    """
    if serves(candidate, view) or is_strict or candidate.is_missing:
        return serves(candidate, view)
    is_unknown = health_of(candidate.member, view.healths) is Health.UNKNOWN
    return is_unknown and candidate.member not in view.suspects
