"""The lane of failures: which members have failed, and which of their servers may be removed.

Three questions, in this order: has the failure detector converged (`lb.policy.convergence`), does HAProxy
agree that the server is down, and do enough servers stay in the backend (both `lb.policy.guard`)?
"""

import math
from collections.abc import Collection, Iterable, Mapping

from gossip.serf.members import MemberStatus
from lb.policy.candidate import Candidate
from lb.policy.convergence import Condition, Convergence, DetectorView, Failure, judge
from lb.policy.decision import Note, State, Topic, Word
from lb.policy.guard import SURPRISE, Case, HoldReason, doubt, hold_reason
from lb.policy.witness import Health, health_of

MIN_GAP = 0.5
"""Seconds between two changes of the file, for any reason."""


class FailureLane:
    """The pending failures among `candidates`, which `lb.policy.settle` owns and changes.

    Call `track` after every change, then `removable`; the other methods describe the last calls of these two.
    """

    __slots__ = (
        "_candidates",
        "_changed_at",
        "_min_backends",
        "_settle_max",
        "_waits_for",
        "_was_isolated",
        "pending",
    )

    def __init__(self, candidates: Mapping[str, Candidate], *, settle_max: float, min_backends: int) -> None:
        """Begin without failures."""
        self.pending: frozenset[str] = frozenset()
        self._candidates = candidates
        self._settle_max = settle_max
        self._min_backends = min_backends
        self._changed_at = -math.inf
        self._waits_for: Condition | None = None
        self._was_isolated = False

    def track(self, now: float, join_until: float) -> None:
        """Update the set of pending failures, and the time since it last changed."""
        failures: set[str] = set()
        for member, candidate in self._candidates.items():
            if not candidate.is_missing or now < join_until:
                candidate.failed_since = candidate.hold = None
                continue
            failures.add(member)
            if candidate.failed_since is None or candidate.failed_since < candidate.changed_at:
                candidate.failed_since = self._changed_at = now
        if failures != self.pending:
            self._changed_at = now
        self.pending = frozenset(failures)

    def rename(self, alias: str, member: str) -> None:
        """Use the name `member` for the pending failure of `alias` from now on."""
        self.pending = frozenset(member if name == alias else name for name in self.pending)

    def removable(
        self, view: DetectorView, *, placed: Collection[str], last_change: float, now: float
    ) -> frozenset[str]:
        """Return the members whose failure is certain, confirmed, and may be acted upon.

        Args:
            view: the detector at `now`, and HAProxy's verdicts.
            placed: members that have a place in the file; the others are being replaced.
            last_change: when the file was changed last.
            now: monotonic seconds.
        """
        isolated = view.is_isolated(now)
        if self._was_isolated and not isolated:
            for member in self.pending:  # failures learnt while isolated count from now on
                self._candidates[member].failed_since = now
            self._changed_at = now
        self._was_isolated = isolated
        self._waits_for = None
        if not self.pending:
            return frozenset()
        convergence = self._judge(view, last_change, now)
        self._waits_for = convergence.waits_for
        certain = [self._candidates[member] for member in convergence.members if member in placed]
        confirmed = self._confirmed(certain, view, now)
        return self._leaving_enough(confirmed, [self._candidates[member] for member in placed], view)

    def next_look(self, view: DetectorView) -> float:
        """Return when the pending failures will have been unchanged for long enough."""
        return self._changed_at + view.quiet_period if self.pending else math.inf

    @property
    def state(self) -> State | None:
        """What the pending failures wait for, None if there are none."""
        if not self.pending:
            return None
        if self._waits_for is Condition.NOT_ISOLATED:
            return State(Word.HELD, Condition.NOT_ISOLATED)
        holds = [self._candidates[member].hold for member in self.pending]
        if None in holds:
            return State(Word.WAITING, self._waits_for or Condition.QUIET)
        return State(Word.HELD, ",".join(sorted({str(hold) for hold in holds})))

    @property
    def notes(self) -> list[Note]:
        """The members whose servers are held, with the reasons."""
        notes = []
        for member in self.pending:
            is_alone = self._waits_for is Condition.NOT_ISOLATED
            hold = Condition.NOT_ISOLATED if is_alone else self._candidates[member].hold
            if hold is not None:
                notes.append(Note(member, Topic.HELD, hold))
        return notes

    def _judge(self, view: DetectorView, last_change: float, now: float) -> Convergence:
        failures = []
        for member in sorted(self.pending):
            candidate = self._candidates[member]
            failures.append(Failure(member, _since(candidate), self._is_held(candidate, view, now)))
        if now < last_change + MIN_GAP and not view.is_isolated(now):
            return Convergence((), Condition.QUIET)
        return judge(
            view,
            failures,
            has_suspects=bool(our_suspects(self._candidates, view)),
            unchanged_since=self._changed_at,
            settle_max=self._settle_max,
            now=now,
        )

    def _is_held(self, candidate: Candidate, view: DetectorView, now: float) -> bool:
        if candidate.hold in (HoldReason.DISPUTED, HoldReason.UNCONFIRMED):
            return _doubt(candidate, view, now) is not None  # without doubt, waiting is starvation
        return candidate.hold is not None

    def _confirmed(self, certain: Iterable[Candidate], view: DetectorView, now: float) -> list[Candidate]:
        """Return those of the `certain` failures that HAProxy confirms; mark the others as held.

        In the first moments none is held: HAProxy's checks may be about to agree, and then the servers of one
        burst are removed together.
        """
        confirmed: list[Candidate] = []
        hesitant: set[str] = set()  # backends where HAProxy may be about to agree
        for candidate in certain:
            reason = _doubt(candidate, view, now)
            if reason is None:
                confirmed.append(candidate)
            elif candidate.hold is not None or now >= _since(candidate) + SURPRISE:
                candidate.hold = reason
            else:
                hesitant.add(candidate.home)
        if hesitant:
            self._waits_for = Condition.HAPROXY
        return [c for c in confirmed if c.home not in hesitant or now >= _since(c) + SURPRISE]

    def _leaving_enough(
        self, confirmed: Collection[Candidate], placed: Collection[Candidate], view: DetectorView
    ) -> frozenset[str]:
        """Return the `confirmed` failures that leave enough servers behind; mark the others as held."""
        passed: set[str] = set()
        for backend in sorted({candidate.home for candidate in confirmed}):
            failed = [c for c in confirmed if c.home == backend]
            others = [c for c in placed if c.home == backend and c not in failed]
            case = Case(
                failures=frozenset(c.member for c in failed),
                staying=frozenset(
                    c.member for c in others if c.is_staying or (c.is_missing and serves(c, view))
                ),
                up=frozenset(c.member for c in others if not c.is_going and serves(c, view)),
                is_held=any(c.hold is not None for c in failed),
                min_backends=self._min_backends,
            )
            reason = hold_reason(case)
            for candidate in failed:
                candidate.hold = reason
            if reason is None:
                passed |= case.failures
        return frozenset(passed)


def our_suspects(candidates: Mapping[str, Candidate], view: DetectorView) -> list[str]:
    """Return the suspected members that are servers of ours."""
    return [member for member in view.suspects if member in candidates and candidates[member].is_ours]


def serves(candidate: Candidate, view: DetectorView) -> bool:
    """Return whether its server answers; if HAProxy has not been asked, according to gossip."""
    match health_of(candidate.member, view.healths):
        case Health.UP:
            return True
        case Health.DOWN:
            return False
        case Health.UNKNOWN if view.healths is not None:
            return False
        case _:
            return not candidate.is_missing and candidate.member not in view.suspects


def _doubt(candidate: Candidate, view: DetectorView, now: float) -> HoldReason | None:
    return doubt(
        health_of(candidate.member, view.healths),
        is_absent=candidate.status is MemberStatus.NONE,
        seconds=now - _since(candidate),
    )


def _since(candidate: Candidate) -> float:
    assert candidate.failed_since is not None, "a pending failure has a beginning"
    return candidate.failed_since
