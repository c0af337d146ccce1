"""When to change haproxy.cfg, and who is in it: a state machine without I/O, in the core's four verbs.

A change has one of three natures. Who *leaves* is drained at once and taken out together with others that
leave; who *arrives* enters after a moment of quiet; who *fails* is taken out only when the failure detector
has converged (`lb.convergence`) and the guard agrees (`lb.guard`). When one of them is due, everybody who
arrives or leaves goes along, so that two changes of the file are at least `MIN_GAP` apart.

Agreement of peers (C4), the guard's other reasons and the acknowledged drain come with their own issues.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable

from msgspec import Struct
from msgspec.structs import replace

from gossip.serf.members import MemberStatus
from lb.policy.address_claims import Allocation, Wish, allocate
from lb.policy.allowlist import HASH_DIGITS, is_clean, replaced_name
from lb.policy.candidate import Candidate, Sighting
from lb.policy.convergence import Condition, Convergence, DetectorView, Failure, judge
from lb.policy.damping import FlapConfig
from lb.policy.decision import Change, Decision, Note, Reason, State, Topic, Word
from lb.policy.guard import Case, hold_reason
from lb.policy.plan import Claim

RECHECK = 0.25
"""Seconds between two looks at the detector while something waits for it: isolation has to show within 1."""
MIN_GAP = 0.5
"""Seconds between two changes of the file, whatever their reasons."""


class SettleConfig(Struct, frozen=True, kw_only=True):
    """The clocks of the three lanes, in seconds, and two limits."""

    calm: float = 2.0  # after so long without a change the first arrival enters at once
    quiet: float = 0.5  # others wait until nobody has arrived (left) for so long,
    at_most: float = 2.0  # but no longer than this
    settle_max: float = 30.0  # a failure that waits longer is starved
    join_wait: float = 15.0  # how long the servers of an old file may stay unmentioned
    min_backends: int = 1
    max_members: int = 65_536
    flapping: FlapConfig = FlapConfig()


class Settle:
    """Decides who is in the file.

    Call `observe` with whatever changed and then `handle_timeout`, which is to be called at `next_deadline`
    too; it may be called at any time. `now` never goes back.
    """

    __slots__ = (
        "_allocation",
        "_candidates",
        "_config",
        "_deadline",
        "_draining",
        "_failures",
        "_failures_changed_at",
        "_join_until",
        "_last_change",
        "_waits_for",
        "_was_isolated",
        "ignored",
    )

    def __init__(self, config: SettleConfig) -> None:
        """Begin with no file."""
        self._config = config
        self._candidates: dict[str, Candidate] = {}
        self._allocation = Allocation({}, {}, {})
        self._failures: frozenset[str] = frozenset()
        self._failures_changed_at = -math.inf
        self._waits_for: Condition | None = None
        self._was_isolated = False
        self._join_until = -math.inf
        self._last_change = -math.inf
        self._draining: frozenset[str] = frozenset()
        self._deadline = math.inf
        self.ignored = 0  # members that came when `max_members` were known already

    def seed(self, listed: Iterable[Claim], now: float) -> None:
        """Begin with the servers of an old file: for `join_wait` none of them goes out by failure or absence.

        A server whose member has a name that may not stand in a file is given under its server's name; the
        member is recognised when gossip mentions it.
        """
        for claim in listed:
            self._candidates[claim.member] = Candidate(claim.member, claim, self._config.flapping, now)
        self._join_until = now + self._config.join_wait
        self._deadline = min(self._deadline, now)

    def observe(self, sightings: Iterable[Sighting], now: float) -> None:
        """Take in what gossip says. A member that was erased, or is only known to have left, is LEFT."""
        for sighting in sightings:
            candidate = self._find(sighting.member)
            if candidate is None:
                if sighting.status is not MemberStatus.ALIVE or sighting.claim is None:
                    continue
                if not self._has_room(now):
                    self.ignored += 1
                    continue
                candidate = Candidate(sighting.member, None, self._config.flapping, now)
                self._candidates[sighting.member] = candidate
            if candidate.see(sighting, now):
                self._deadline = min(self._deadline, now)

    def handle_timeout(self, view: DetectorView, now: float) -> Decision | None:
        """Return what has to become true now, or None if nothing new has."""
        self._end_join_wait(now)
        self._allocation = allocate(self._wishes(view, now))
        self._note_readiness(now)
        self._track_failures(now)
        failing = self._removable(view, now)
        changes: tuple[Change, ...] = ()
        settled_in = 0.0
        if failing or any(now >= due for due in self._lanes_due()):
            changes, settled_in = self._apply(failing, now)
            self._track_failures(now)
        draining = self._drain(view)
        self._forget(now)
        self._deadline = self._arm(view, now)
        if not changes and draining == self._draining:
            return None
        self._draining = draining
        return Decision(self.members, changes, draining, settled_in)

    def next_deadline(self) -> float:
        """Return when to call `handle_timeout` at the latest, infinity if nothing is pending."""
        return self._deadline

    @property
    def members(self) -> tuple[Claim, ...]:
        """The lines that the file should have, in order."""
        return tuple(sorted(c.listed for c in self._candidates.values() if c.listed is not None))

    def state(self, view: DetectorView, now: float) -> State:
        """Return the state as of the last `handle_timeout`, in words."""
        if self._failures:
            return self._failure_state()
        if self._is_joining(now):
            return State(Word.WAITING, "join")
        if self._lanes_due():
            return State(Word.SETTLE)
        if view.others_alive and view.is_isolated(now):
            return State(Word.DEGRADED, Condition.NOT_ISOLATED)
        return State(Word.OBSERVE if view.others_alive else Word.EMPTY)

    def notes(self, view: DetectorView, now: float) -> tuple[Note, ...]:
        """Return what is remarkable about single members as of the last `handle_timeout`."""
        notes = [Note(member, Topic.DRAINING) for member in self._draining]
        notes += [Note(member, Topic.SUSPECT) for member in view.suspects if self._is_ours(member)]
        notes += [
            Note(member, Topic.DISPUTED, holder) for member, holder in self._allocation.disputed.items()
        ]
        for member in self._failures:
            is_alone = self._waits_for is Condition.NOT_ISOLATED
            hold = Condition.NOT_ISOLATED if is_alone else self._candidates[member].hold
            if hold is not None:
                notes.append(Note(member, Topic.HELD, hold))
        for candidate in self._candidates.values():
            if candidate.wants_change and candidate.penalty.is_shown(now):
                notes.append(Note(candidate.member, Topic.DAMPED))
        return tuple(sorted(notes))

    def _failure_state(self) -> State:
        if self._waits_for is Condition.NOT_ISOLATED:
            return State(Word.HELD, Condition.NOT_ISOLATED)
        holds = [self._candidates[member].hold for member in sorted(self._failures)]
        if holds[0] is not None and None not in holds:
            return State(Word.HELD, holds[0])
        return State(Word.WAITING, self._waits_for or Condition.QUIET)

    def _find(self, member: str) -> Candidate | None:
        """Return who is meant; somebody seeded under the name of its server gets its own name back."""
        if member in self._candidates or is_clean(member):
            return self._candidates.get(member)
        for digits in HASH_DIGITS:
            alias = replaced_name(member, digits)
            seeded = self._candidates.get(alias)
            if seeded is not None and seeded.listed is not None and seeded.status is MemberStatus.NONE:
                del self._candidates[alias]
                seeded.member = member
                seeded.claim = seeded.listed = replace(seeded.listed, member=member)
                self._candidates[member] = seeded
                self._failures = frozenset(member if name == alias else name for name in self._failures)
                return seeded
        return None

    def _end_join_wait(self, now: float) -> None:
        if now < self._join_until and all(
            c.status is not MemberStatus.NONE for c in self._candidates.values()
        ):
            self._join_until = now  # everybody in the old file has been accounted for

    def _wishes(self, view: DetectorView, now: float) -> list[Wish]:
        """Return what each member has and may have; who is gone has nothing left to wish for."""
        peers = Counter(c.home for c in self._candidates.values() if c.is_staying)
        wishes: list[Wish] = []
        for candidate in self._candidates.values():
            listed, claim = candidate.listed, candidate.claim
            if candidate.is_staying and claim is not None:
                is_blocked = candidate.member in view.suspects or (
                    listed is None and peers[claim.backend] > 0 and now < candidate.welcome_at(now)
                )
                wanted = None if is_blocked and claim != listed else claim
                if listed is not None or wanted is not None:
                    wishes.append(Wish(candidate.member, listed, wanted, is_alive=True))
            elif listed is not None and not candidate.is_gone:
                wishes.append(Wish(candidate.member, listed, None, is_alive=candidate.is_going))
        return wishes

    def _note_readiness(self, now: float) -> None:
        """Start the clock of who has got a new place, stop it for who has to wait for others."""
        claims = self._allocation.claims
        for candidate in self._candidates.values():
            is_ready = candidate.wants_change and claims.get(candidate.member) == candidate.claim
            if not is_ready:
                candidate.ready_since = None
            elif candidate.ready_since is None:
                candidate.ready_since = now

    def _track_failures(self, now: float) -> None:
        """Keep the set of pending failures and how long it has been the same."""
        failures: set[str] = set()
        for member, candidate in self._candidates.items():
            if not candidate.is_missing or now < self._join_until:
                candidate.failed_since = candidate.hold = None
                continue
            failures.add(member)
            if candidate.failed_since is None or candidate.failed_since < candidate.changed_at:
                candidate.failed_since = self._failures_changed_at = now
        if failures != self._failures:
            self._failures_changed_at = now
        self._failures = frozenset(failures)

    def _removable(self, view: DetectorView, now: float) -> frozenset[str]:
        """Return whose failure the detector is sure of and the guard lets pass."""
        isolated = view.is_isolated(now)
        if self._was_isolated and not isolated:
            for member in self._failures:  # what was learnt alone counts from now on
                self._candidates[member].failed_since = now
            self._failures_changed_at = now
        self._was_isolated = isolated
        self._waits_for = None
        if not self._failures:
            return frozenset()
        convergence = self._judge(view, now)
        self._waits_for = convergence.waits_for
        return self._pass_guard(convergence.members, view)

    def _judge(self, view: DetectorView, now: float) -> Convergence:
        failures = []
        for member in sorted(self._failures):
            candidate = self._candidates[member]
            assert candidate.failed_since is not None, "a pending failure has a beginning"
            failures.append(Failure(member, candidate.failed_since, candidate.hold is not None))
        if now < self._last_change + MIN_GAP and not view.is_isolated(now):
            return Convergence((), Condition.QUIET)
        return judge(
            view,
            failures,
            has_suspects=any(self._is_ours(member) for member in view.suspects),
            unchanged_since=self._failures_changed_at,
            settle_max=self._config.settle_max,
            now=now,
        )

    def _pass_guard(self, members: Collection[str], view: DetectorView) -> frozenset[str]:
        """Return those of the failed `members` that the guard does not hold; mark the others as held."""
        passed: set[str] = set()
        kept = [c for c in self._candidates.values() if c.member in self._allocation.claims]
        for backend in sorted({self._candidates[member].home for member in members}):
            failed = [c for c in kept if c.home == backend and c.member in members]
            others = [c for c in kept if c.home == backend and c.is_staying]
            case = Case(
                failures=frozenset(c.member for c in failed),
                staying=frozenset(c.member for c in others),
                up=frozenset(c.member for c in others if _is_up(c, view)),
                is_held=any(c.hold is not None for c in failed),
                min_backends=self._config.min_backends,
            )
            reason = hold_reason(case)
            for candidate in failed:
                candidate.hold = reason
            if reason is None:
                passed |= case.failures
        return frozenset(passed)

    def _lanes_due(self) -> list[float]:
        """Return when the lanes of arrivals and leaves are due, as far as somebody waits in them."""
        candidates = self._candidates.values()
        due: list[float] = []
        if ready := [c.ready_since for c in candidates if c.ready_since is not None]:
            calm = min(ready) >= self._last_change + self._config.calm
            due.append(min(ready) if calm else self._coalesced(ready))
        if gone := [c.changed_at for c in candidates if c.listed is not None and c.is_gone]:
            due.append(self._coalesced(gone))
        return due

    def _coalesced(self, times: Collection[float]) -> float:
        return min(max(times) + self._config.quiet, min(times) + self._config.at_most)

    def _apply(self, failing: Collection[str], now: float) -> tuple[tuple[Change, ...], float]:
        """Change the lines of all who are ready, gone, replaced or in `failing`; say what and since when."""
        changes: list[Change] = []
        began = now
        for member, candidate in self._candidates.items():
            line = None if member in failing else self._allocation.claims.get(member)
            if line == candidate.listed:
                continue
            change = Change(member, *self._reason(candidate, line, failing))
            if change.reason is not Reason.REPLACED:
                began = min(began, candidate.changed_at)
            changes.append(change)
            candidate.listed = line
            candidate.ready_since = None
        assert changes, "a lane was due for nobody"
        self._last_change = now
        return tuple(sorted(changes)), now - began

    def _reason(
        self, candidate: Candidate, line: Claim | None, failing: Collection[str]
    ) -> tuple[Reason, str]:
        if line is not None:
            return (Reason.ARRIVED if candidate.listed is None else Reason.CHANGED), ""
        if candidate.is_gone:
            return (Reason.LEFT if candidate.status is MemberStatus.LEFT else Reason.WITHDRAWN), ""
        if candidate.member in failing:
            return (Reason.FAILED if candidate.status is MemberStatus.FAILED else Reason.ABSENT), ""
        return Reason.REPLACED, self._allocation.replaced.get(candidate.member, "")

    def _drain(self, view: DetectorView) -> frozenset[str]:
        """Return whose servers take no new requests: who is gone, and who is going if somebody else is UP."""
        listed = [c for c in self._candidates.values() if c.listed is not None]
        leavers = [c for c in listed if c.is_going and not c.is_drained]
        serving = Counter(c.home for c in listed if c.is_staying and _is_up(c, view))
        serving.update(c.home for c in leavers if _is_up(c, view))
        for candidate in sorted(leavers, key=lambda c: (c.changed_at, c.member)):
            own = 1 if _is_up(candidate, view) else 0
            if serving[candidate.home] > own:
                candidate.is_drained = True
                serving[candidate.home] -= own
        return frozenset(c.member for c in listed if c.is_drained or c.is_gone)

    def _has_room(self, now: float) -> bool:
        if len(self._candidates) >= self._config.max_members:
            self._forget(now)
        return len(self._candidates) < self._config.max_members

    def _forget(self, now: float) -> None:
        for candidate in [c for c in self._candidates.values() if c.may_be_forgotten(now)]:
            del self._candidates[candidate.member]

    def _arm(self, view: DetectorView, now: float) -> float:
        """Return when something may be due, or when the detector should be looked at again."""
        times = self._lanes_due()
        candidates = self._candidates.values()
        is_looking = bool(self._failures) or any(
            (c.listed is not None and c.is_going and not c.is_drained)
            or (c.wants_change and c.member in view.suspects)
            for c in candidates
        )
        if is_looking:
            times.append(now + RECHECK)
        if self._failures:
            times.append(self._failures_changed_at + view.quiet_period)
        if self._is_joining(now):
            times.append(self._join_until)
        times += [c.welcome_at(now) for c in candidates if c.wants_change and c.listed is None]
        return min((time for time in times if time > now), default=math.inf)

    def _is_joining(self, now: float) -> bool:
        return now < self._join_until and any(c.is_missing for c in self._candidates.values())

    def _is_ours(self, member: str) -> bool:
        candidate = self._candidates.get(member)
        return candidate is not None and candidate.is_ours


def _is_up(candidate: Candidate, view: DetectorView) -> bool:
    """Return whether its server answers; where HAProxy has not been asked, gossip's word has to do."""
    if view.up is not None:
        return candidate.member in view.up
    return candidate.member not in view.suspects
