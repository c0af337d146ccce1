"""One member as the load balancer sees it: what it says, what it has in the file, and since when."""

import math

from msgspec import Struct

from gossip.serf.members import MemberStatus
from lb.policy.damping import FlapConfig, FlapPenalty
from lb.policy.guard import HoldReason
from lb.policy.plan import Claim

RIVAL_MEMORY = 600.0
"""Seconds for which a second claimant of a name is remembered after it was seen last."""


class Sighting(Struct, frozen=True):
    """A member's status and claim as gossip has them now; no claim: it wants to be no server."""

    member: str
    status: MemberStatus
    claim: Claim | None
    said_by: tuple[str, ...] = ()  # who said so, if it was not the member itself


class Candidate:
    """A member that is, was or wants to be in the file. Only what matters to HAProxy counts as a change."""

    __slots__ = (
        "alive_since",
        "changed_at",
        "claim",
        "failed_since",
        "gone_since",
        "hold",
        "is_admitted",
        "is_blocked",
        "is_drained",
        "is_spared",
        "is_turned_away",
        "listed",
        "member",
        "penalty",
        "ready_since",
        "rival_seen_at",
        "said_by",
        "status",
    )

    def __init__(self, member: str, listed: Claim | None, flapping: FlapConfig, now: float) -> None:
        self.member = member
        self.status = MemberStatus.NONE  # in an old file, but gossip has not mentioned it yet
        self.claim = listed  # the last acceptable word of the member
        self.listed = listed  # its line in the file
        self.changed_at = now
        self.gone_since = now  # since when its line may go: its leave, or the end of being spared
        self.alive_since = now
        self.ready_since: float | None = None  # since when nothing but the lane's clock keeps it out
        self.failed_since: float | None = None  # since when its failure is pending
        self.hold: HoldReason | None = None
        self.is_drained = False
        self.is_spared = False  # gone, but among the last servers that HAProxy does not call DOWN
        self.is_admitted = False  # there is room for it in the backend that it asks for
        self.is_blocked = False  # it may not have what it asks for, for now
        self.is_turned_away = False
        self.said_by: tuple[str, ...] = ()  # who said what `status` says
        self.rival_seen_at = -math.inf  # when another agent claimed its name
        self.penalty = FlapPenalty(flapping)

    def see(self, sighting: Sighting, now: float) -> bool:
        """Take in a sighting at `now` and return whether it changes anything."""
        status = self._believable(sighting.status, now)
        # only an alive member speaks for itself; of the others gossip repeats old words
        claim = sighting.claim if status is MemberStatus.ALIVE else self.claim
        if (status, claim) == (self.status, self.claim):
            return False
        if status is not self.status:
            self._count_flap(status, now)
            self.is_drained = self.is_spared = self.is_admitted = self.is_turned_away = False
            if status is MemberStatus.ALIVE:
                self.alive_since = now
        self.status = status
        self.claim = claim
        self.changed_at = self.gone_since = now
        self.said_by = sighting.said_by or (self.member,)
        self.ready_since = None
        return True

    def _believable(self, status: MemberStatus, now: float) -> MemberStatus:
        """Return what `status` says of the member at our address.

        A name that two agents claim can be said to leave by either. It may be the other one that goes: then
        the server stays, unless HAProxy calls it DOWN.
        """
        if now >= self.rival_seen_at + RIVAL_MEMORY:
            return status
        if status is MemberStatus.LEAVING:
            return self.status
        return MemberStatus.FAILED if status is MemberStatus.LEFT else status

    @property
    def home(self) -> str:
        """The backend that has its line in the file, or "" if none has."""
        return self.listed.backend if self.listed is not None else ""

    @property
    def is_staying(self) -> bool:
        """Whether it is alive and means to be a server."""
        return self.status is MemberStatus.ALIVE and self.claim is not None

    @property
    def is_going(self) -> bool:
        """Whether it announced that it is about to leave; it still answers."""
        return self.status is MemberStatus.LEAVING

    @property
    def is_gone(self) -> bool:
        """Whether it left, or said that it is no server any more."""
        return self.status is MemberStatus.LEFT or (self.status is MemberStatus.ALIVE and self.claim is None)

    @property
    def is_missing(self) -> bool:
        """Whether it is in the file and failed without a word, or was never seen at all."""
        return self.listed is not None and self.status in (MemberStatus.FAILED, MemberStatus.NONE)

    @property
    def wants_change(self) -> bool:
        """Whether it asks for a place that it does not have."""
        return self.is_staying and self.claim != self.listed

    @property
    def is_newcomer(self) -> bool:
        """Whether it asks for a place in a backend in which it has none."""
        return self.is_staying and self.claim is not None and self.claim.backend != self.home

    @property
    def is_moving(self) -> bool:
        """Whether its server is to be found elsewhere than the file says."""
        claim, listed = self.claim, self.listed
        return self.is_staying and claim is not None and listed is not None and claim.place != listed.place

    @property
    def is_ours(self) -> bool:
        """Whether it is a member of a backend: in the file, or wanting to be."""
        return self.listed is not None or self.is_staying

    def welcome_at(self, now: float) -> float:
        """Return when it has been alive for long enough to enter, as it looks at `now`."""
        return self.alive_since + self.penalty.wait(now)

    def may_be_forgotten(self, now: float) -> bool:
        """Return whether nothing would be lost without it."""
        if self.is_ours or not self.penalty.is_forgotten(now):
            return False
        return (
            self.status is not MemberStatus.LEFT or now >= self.changed_at + self.penalty.config.return_window
        )

    def _count_flap(self, status: MemberStatus, now: float) -> None:
        failed = self.status is MemberStatus.ALIVE and status is MemberStatus.FAILED
        # a leave that was refuted before it took effect changed nothing: anybody can forge one
        has_gone = self.status is MemberStatus.LEFT and self.listed is None
        returned = has_gone and status is MemberStatus.ALIVE
        if failed or (returned and now < self.changed_at + self.penalty.config.return_window):
            self.penalty.add(now)
