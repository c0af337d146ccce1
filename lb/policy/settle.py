"""When to change haproxy.cfg, and for which members: a state machine without I/O, like the core.

A change has one of three kinds. A member that *leaves* is drained at once and removed together with others
that leave; one that *arrives* enters after a moment of quiet; one that *fails* is removed only when the
failure detector has converged, HAProxy agrees and the guard lets it pass (`lb.policy.failure_lane`). When
one of them is due, all arrivals and leaves are included, so that two changes of the file are at least
`MIN_GAP` apart.

Agreement of peers (C4), the guard's other reasons and the acknowledged drain come with their own issues.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from gossip.serf.members import MemberStatus
from lb.policy.address_claims import Allocation, Wish, allocate
from lb.policy.admission import Admission
from lb.policy.allowlist import HASH_DIGITS, is_clean, replaced_name
from lb.policy.candidate import Candidate, Sighting
from lb.policy.convergence import Condition, DetectorView
from lb.policy.damping import FlapConfig
from lb.policy.decision import Account, Change, Decision, Note, Reason, State, Topic, Word
from lb.policy.failure_lane import MIN_GAP, FailureLane, our_suspects
from lb.policy.guard import HoldReason
from lb.policy.leave_lane import drain, spare_last
from lb.policy.plan import Claim
from lb.policy.witness import Health, health_of

MOVE_RECHECK = 1.0
"""Seconds between two checks whether a server answers at its new place."""
RECHECK = 0.25
"""Seconds between two checks of the detector while something waits for it: isolation has to show within 1."""


class SettleConfig(Struct, frozen=True, kw_only=True):
    """The timings of the three lanes, in seconds, and two limits."""

    calm: float = 2.0  # seconds without a change after which the first arrival enters at once
    quiet: float = 0.5  # others wait until no member has arrived (left) for this time,
    at_most: float = 2.0  # but no longer than this
    settle_max: float = 30.0  # a failure that waits longer is starved
    join_wait: float = 15.0  # how long servers of an old file may stay unconfirmed by gossip
    min_backends: int = 1
    max_servers: int = 1000  # per backend
    max_members: int = 65_536
    flapping: FlapConfig = FlapConfig()


class Settle:
    """Decides which members are in the file.

    Call `observe` with the changes, then `handle_timeout`, also at `next_deadline`; it may be called at any
    time. `now` never goes back.
    """

    __slots__ = (
        "_admission",
        "_allocation",
        "_candidates",
        "_config",
        "_deadline",
        "_draining",
        "_failures",
        "_join_until",
        "_last_change",
        "ignored",
        "moves",
    )

    def __init__(self, config: SettleConfig) -> None:
        """Begin without a file."""
        self._config = config
        self._candidates: dict[str, Candidate] = {}
        self._allocation = Allocation({}, {}, {})
        self._failures = FailureLane(
            self._candidates, settle_max=config.settle_max, min_backends=config.min_backends
        )
        self._join_until = -math.inf
        self._last_change = -math.inf
        self._draining: frozenset[str] = frozenset()
        self._deadline = math.inf
        self._admission = Admission(config.max_servers)
        self.moves: tuple[Claim, ...] = ()  # new places of servers not DOWN at the old one
        self.ignored = 0  # members ignored because `max_members` were known already

    def seed(self, listed: Iterable[Claim], now: float) -> None:
        """Begin with the servers of an old file: for `join_wait`, no failure or absence removes any of them.

        A server whose member's name may not stand in a file is given under its server's name; the member is
        recognised when gossip mentions it.
        """
        for claim in listed:
            self._candidates[claim.member] = Candidate(claim.member, claim, self._config.flapping, now)
        self._join_until = now + self._config.join_wait
        self._deadline = min(self._deadline, now)

    def observe(self, sightings: Iterable[Sighting], now: float) -> None:
        """Process gossip's reports. A member that was erased, or is only known to have left, is LEFT."""
        for sighting in sightings:
            candidate = self._find(sighting.member)
            if candidate is None:
                # only a member that is alive can become a server
                if sighting.status is not MemberStatus.ALIVE or sighting.claim is None:
                    continue
                if not self._has_room(now):
                    self.ignored += 1
                    continue
                candidate = Candidate(sighting.member, None, self._config.flapping, now)
                self._candidates[sighting.member] = candidate
            if candidate.see(sighting, now):
                self._deadline = min(self._deadline, now)

    def note_rival(self, member: str, now: float) -> None:
        """Note that another agent claims the name of `member`."""
        if (candidate := self._find(member)) is not None:
            candidate.rival_seen_at = now

    def handle_timeout(self, view: DetectorView, now: float) -> Decision | None:
        """Return what must become true now, None if nothing has changed."""
        self._end_join_wait(now)
        self._find_room(view, now)
        spare_last(self._candidates.values(), view, self._config.min_backends, now)
        self._allocation = allocate(self._wishes())
        self._note_readiness(now)
        self._failures.track(now, self._join_until)
        failing = self._failures.removable(
            view, placed=self._allocation.claims, last_change=self._last_change, now=now
        )
        accounts: list[Account] = []
        if failing or any(now >= due for due in self._lanes_due()):
            accounts = self._apply(failing, view, now)
            self._failures.track(now, self._join_until)
        draining = drain(self._candidates.values(), view)
        self._forget(now)
        self._deadline = self._arm(view, now)
        if not accounts and draining == self._draining:
            return None
        self._draining = draining
        changes = tuple(account.change for account in accounts)
        # a member that is replaced may have failed long ago: its successor's time counts
        times = (a.seconds for a in accounts if a.change.reason is not Reason.REPLACED)
        settled_in = max(times, default=0.0)
        return Decision(self.members, changes, draining, settled_in, tuple(accounts))

    def next_deadline(self) -> float:
        """Return when to call `handle_timeout` at the latest, infinity if nothing is pending."""
        return self._deadline

    @property
    def needs_health(self) -> bool:
        """Whether HAProxy's verdict on its servers matters now: some server may be about to be removed."""
        return bool(self._failures.pending or self.moves) or any(
            c.listed is not None and not c.is_drained and (c.is_going or c.is_gone)
            for c in self._candidates.values()
        )

    @property
    def kept(self) -> tuple[str, ...]:
        """Members whose servers stay unchanged although gossip says otherwise, as of `handle_timeout`."""
        kept = {c.member for c in self._candidates.values() if c.is_spared}
        kept |= self._failures.pending | {claim.member for claim in self.moves}
        if not kept:
            kept = {c.member for c in self._candidates.values() if c.is_missing}  # during `join_wait`
        return tuple(sorted(kept))

    @property
    def full(self) -> Mapping[str, int]:
        """Backends that are full, and how many newcomers wait for room in each."""
        return self._admission.waiting

    @property
    def turned_away(self) -> int:
        """How often a newcomer found its backend full."""
        return self._admission.turned_away

    @property
    def members(self) -> tuple[Claim, ...]:
        """The lines that the file should have, in order."""
        return tuple(sorted(c.listed for c in self._candidates.values() if c.listed is not None))

    def state(self, view: DetectorView, now: float) -> State:
        """Return the state as of the last `handle_timeout`, in words."""
        return self._failures.state or self._waiting_state(now) or self._calm_state(view, now)

    def _waiting_state(self, now: float) -> State | None:
        if any(c.is_spared for c in self._candidates.values()):
            return State(Word.HELD, HoldReason.MIN_BACKENDS)
        if self._is_joining(now):
            return State(Word.WAITING, "join")
        if self._lanes_due():
            return State(Word.SETTLE)
        return State(Word.WAITING, Topic.MOVING) if self.moves else None

    def _calm_state(self, view: DetectorView, now: float) -> State:
        if view.others_alive and view.is_isolated(now):
            return State(Word.DEGRADED, Condition.NOT_ISOLATED)
        return State(Word.OBSERVE if view.others_alive else Word.EMPTY)

    def notes(self, view: DetectorView, now: float) -> tuple[Note, ...]:
        """Return notes about individual members as of the last `handle_timeout`."""
        notes = [Note(member, Topic.DRAINING) for member in self._draining]
        notes += [Note(member, Topic.SUSPECT) for member in our_suspects(self._candidates, view)]
        notes += [
            Note(member, Topic.DISPUTED, holder) for member, holder in self._allocation.disputed.items()
        ]
        notes += self._failures.notes
        notes += [Note(claim.member, Topic.MOVING, f"{claim.host} {claim.port}") for claim in self.moves]
        for candidate in self._candidates.values():
            if candidate.is_spared:
                notes.append(Note(candidate.member, Topic.HELD, HoldReason.MIN_BACKENDS))
            if candidate.is_turned_away and candidate.is_newcomer and not candidate.is_admitted:
                notes.append(Note(candidate.member, Topic.NO_ROOM))
            if candidate.wants_change and candidate.penalty.is_shown(now):
                notes.append(Note(candidate.member, Topic.DAMPED))
        return tuple(sorted(notes))

    def _find(self, member: str) -> Candidate | None:
        """Return the candidate for `member`; one seeded under its server's name gets its own name back."""
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
                self._failures.rename(alias, member)
                return seeded
        return None

    def _end_join_wait(self, now: float) -> None:
        if now < self._join_until and all(
            c.status is not MemberStatus.NONE for c in self._candidates.values()
        ):
            self._join_until = now  # every member of the old file has been accounted for

    def _find_room(self, view: DetectorView, now: float) -> None:
        """Admit newcomers as far as there is room; note members that have moved and must wait."""
        peers = Counter(c.home for c in self._candidates.values() if c.is_staying)
        newcomers = []
        moves = []
        for candidate in self._candidates.values():
            claim = candidate.claim
            candidate.is_blocked = claim is None or candidate.member in view.suspects
            if candidate.is_blocked or claim is None:
                continue
            if candidate.is_moving and not _may_move(candidate, claim, view):
                candidate.is_blocked = True
                moves.append(claim)
            elif candidate.listed is None and peers[claim.backend] > 0:
                candidate.is_blocked = now < candidate.welcome_at(now)
            if candidate.is_newcomer and not candidate.is_blocked:
                newcomers.append(candidate)
        self._admission.admit(newcomers, self._candidates.values(), now)
        self.moves = tuple(moves)

    def _wishes(self) -> list[Wish]:
        """Return each member's current and wanted place; a member that is gone wants none."""
        wishes: list[Wish] = []
        for candidate in self._candidates.values():
            listed, claim = candidate.listed, candidate.claim
            if candidate.is_staying and claim is not None:
                wanted = None if candidate.is_blocked and claim != listed else claim
                if listed is not None or wanted is not None:
                    wishes.append(Wish(candidate.member, listed, wanted, is_alive=True))
            elif listed is not None and (candidate.is_spared or not candidate.is_gone):
                wishes.append(Wish(candidate.member, listed, None, is_alive=candidate.is_going))
        return wishes

    def _note_readiness(self, now: float) -> None:
        """Start the clock of members that got a new place, stop it for those that must wait for others."""
        claims = self._allocation.claims
        for candidate in self._candidates.values():
            is_ready = candidate.wants_change and claims.get(candidate.member) == candidate.claim
            if not is_ready:
                candidate.ready_since = None
            elif candidate.ready_since is None:
                candidate.ready_since = now

    def _lanes_due(self) -> list[float]:
        """Return when the lanes of arrivals and leaves are due, if any member waits in them."""
        candidates = self._candidates.values()
        due: list[float] = []
        if ready := [c.ready_since for c in candidates if c.ready_since is not None]:
            calm = min(ready) >= self._last_change + self._config.calm
            due.append(min(ready) if calm else self._coalesced(ready))
        gone = [c.gone_since for c in candidates if c.listed is not None and c.is_gone and not c.is_spared]
        if gone:
            due.append(self._coalesced(gone))
        return due

    def _coalesced(self, times: Collection[float]) -> float:
        return min(max(times) + self._config.quiet, min(times) + self._config.at_most)

    def _apply(self, failing: Collection[str], view: DetectorView, now: float) -> list[Account]:
        """Change the lines of all members that are ready, gone, replaced or `failing`; return the reasons."""
        accounts: list[Account] = []
        for member, candidate in self._candidates.items():
            line = None if member in failing else self._allocation.claims.get(member)
            if line == candidate.listed:
                continue
            change = Change(member, *self._reason(candidate, line, failing))
            is_silent = candidate.status is MemberStatus.NONE
            said_by = () if is_silent else candidate.said_by
            seconds, health = now - candidate.changed_at, health_of(member, view.healths)
            accounts.append(Account(change, said_by, seconds, health))
            candidate.listed = line
            candidate.ready_since = None
            candidate.is_admitted = False
        assert accounts, "a lane was due for nobody"
        self._last_change = now
        return sorted(accounts, key=lambda account: account.change)

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

    def _has_room(self, now: float) -> bool:
        if len(self._candidates) >= self._config.max_members:
            self._forget(now)
        return len(self._candidates) < self._config.max_members

    def _forget(self, now: float) -> None:
        for candidate in [c for c in self._candidates.values() if c.may_be_forgotten(now)]:
            del self._candidates[candidate.member]

    def _arm(self, view: DetectorView, now: float) -> float:
        """Return when something may be due, or when the detector should be checked again."""
        times = self._lanes_due()
        candidates = self._candidates.values()
        is_looking = bool(self._failures.pending) or any(
            c.is_spared
            or (c.listed is not None and c.is_going and not c.is_drained)
            or (c.wants_change and c.member in view.suspects)
            for c in candidates
        )
        if is_looking:
            times.append(now + RECHECK)
        times.append(self._failures.next_look(view))
        if self.moves:
            times.append(now + MOVE_RECHECK)
        times.append(self._admission.next_admission())
        if self.full and self._last_change == now:
            times.append(now + MIN_GAP)  # there may be room now
        if self._is_joining(now):
            times.append(self._join_until)
        times += [c.welcome_at(now) for c in candidates if c.wants_change and c.listed is None]
        return min((time for time in times if time > now), default=math.inf)

    def _is_joining(self, now: float) -> bool:
        return now < self._join_until and any(c.is_missing for c in self._candidates.values())


def _may_move(candidate: Candidate, claim: Claim, view: DetectorView) -> bool:
    """Return whether the server of a member that announces another place may be moved there.

    It may not while HAProxy may reach it at the old place and nothing answers at the new one: one forged
    message would send all traffic to a closed port.
    """
    is_down = health_of(candidate.member, view.healths) is Health.DOWN
    return is_down or (claim.host, claim.port) in view.answering
