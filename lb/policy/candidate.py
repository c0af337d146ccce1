"""One member as seen by the load balancer: its claim, its line in the file, and the times of both."""

import math

from msgspec import Struct

from gossip.serf.members import MemberStatus
from lb.policy.damping import FlapConfig, FlapPenalty
from lb.policy.guard import HoldReason
from lb.policy.plan import Claim

RIVAL_MEMORY = 600.0
"""Seconds for which a second claimant of a name is remembered after it was last seen."""


class Sighting(Struct, frozen=True):
    """A member's current status and claim in gossip; without a claim it does not want to be a server."""

    member: str
    status: MemberStatus
    claim: Claim | None
    said_by: tuple[str, ...] = ()  # the reporters, if not the member itself


class Candidate:
    """A member that is, was or wants to be in the file. Only changes that matter to HAProxy count."""

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
        self.status = MemberStatus.NONE  # in an old file, but not mentioned by gossip yet
        self.claim = listed  # the member's last acceptable claim
        self.listed = listed  # its line in the file
        self.changed_at = now
        self.gone_since = now  # from when its line may be removed: its leave, or the end of being spared
        self.alive_since = now
        self.ready_since: float | None = None  # since when only the lane's clock keeps it out
        self.failed_since: float | None = None  # since when its failure is pending
        self.hold: HoldReason | None = None
        self.is_drained = False
        self.is_spared = False  # gone, but one of the last servers that HAProxy does not call DOWN
        self.is_admitted = False  # whether there is room in the backend that it asks for
        self.is_blocked = False  # whether it may not have its claim for now
        self.is_turned_away = False
        self.said_by: tuple[str, ...] = ()  # the reporters of `status`
        self.rival_seen_at = -math.inf  # when another agent last claimed its name
        self.penalty = FlapPenalty(flapping)

    def see(self, sighting: Sighting, now: float) -> bool:
        """Process a sighting at `now` and return whether it changes anything."""
        status = self._believable(sighting.status, now)
        # only an alive member speaks for itself; about the others, gossip repeats old messages
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
        """Return the status to believe for the member at our address.

        If two agents claim a name, a leave under it may be that of the other one: then the server stays,
        unless HAProxy calls it DOWN.
        """
        if now >= self.rival_seen_at + RIVAL_MEMORY:
            return status
        if status is MemberStatus.LEAVING:
            return self.status
        return MemberStatus.FAILED if status is MemberStatus.LEFT else status

    @property
    def home(self) -> str:
        """The backend that has its line in the file, "" if none."""
        return self.listed.backend if self.listed is not None else ""

    @property
    def is_staying(self) -> bool:
        """Whether it is alive and wants to be a server."""
        return self.status is MemberStatus.ALIVE and self.claim is not None

    @property
    def is_going(self) -> bool:
        """Whether it announced that it is about to leave; it still answers."""
        return self.status is MemberStatus.LEAVING

    @property
    def is_gone(self) -> bool:
        """Whether it left, or announced that it is no longer a server."""
        return self.status is MemberStatus.LEFT or (self.status is MemberStatus.ALIVE and self.claim is None)

    @property
    def is_missing(self) -> bool:
        """Whether it is in the file and failed without a leave, or was never seen at all."""
        return self.listed is not None and self.status in (MemberStatus.FAILED, MemberStatus.NONE)

    @property
    def wants_change(self) -> bool:
        """Whether it asks for a place that it does not have."""
        return self.is_staying and self.claim != self.listed

    @property
    def is_newcomer(self) -> bool:
        """Whether it asks for a place in a backend where it has none."""
        return self.is_staying and self.claim is not None and self.claim.backend != self.home

    @property
    def is_moving(self) -> bool:
        """Whether its server is at a different place from that in the file."""
        claim, listed = self.claim, self.listed
        return self.is_staying and claim is not None and listed is not None and claim.place != listed.place

    @property
    def is_ours(self) -> bool:
        """Whether it is a member of a backend: in the file, or asking to be."""
        return self.listed is not None or self.is_staying

    def welcome_at(self, now: float) -> float:
        """Return when it will have been alive for long enough to enter, as of `now`."""
        return self.alive_since + self.penalty.wait(now)

    def may_be_forgotten(self, now: float) -> bool:
        """Return whether it can be forgotten without a loss."""
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
