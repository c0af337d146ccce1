"""Gossip's reports about members, in the form that `lb.policy.settle` takes.

Each member is judged on its own here (is its address allowed, does it name a port). Nothing is decided.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from gossip.serf.effects import (
    Effect,
    MemberFailed,
    MemberJoined,
    MemberLeaving,
    MemberLeft,
    MemberReaped,
    MemberSuspected,
    MemberUpdated,
    PushPullReceived,
    SuspicionRefuted,
)
from gossip.serf.members import MemberStatus, SerfMember
from gossip.swim.evidence import Evidence
from lb.policy.candidate import Sighting
from lb.policy.plan import MemberFact, PlanConfig, Rejection, read_claim

MAX_WITNESSES = 5
_ABOUT_A_MEMBER = (MemberJoined, MemberUpdated, MemberLeaving, MemberLeft)
_ABOUT_SUSPICION = (MemberSuspected, SuspicionRefuted)


class Membership:
    """Turns members into sightings."""

    __slots__ = ("_complain", "_config")

    def __init__(self, config: PlanConfig, complain: Callable[[Rejection], None]) -> None:
        """Read tags as `config` says; `complain` gets each refusal, every time it is seen."""
        self._config = config
        self._complain = complain

    def sight(self, member: SerfMember) -> Sighting:
        """Return the member's status and claim."""
        fact = MemberFact(member.name, member.status, member.address.host, member.tags)
        claim = read_claim(fact, self._config)
        if isinstance(claim, Rejection):
            self._complain(claim)
            claim = None
        return Sighting(member.name, member.status, claim)

    def read(
        self, effects: Sequence[Effect], is_member: Callable[[str], bool]
    ) -> tuple[list[Sighting], bool]:
        """Return the sightings in a batch of effects, and whether there is any reason to decide again.

        `is_member` tells whether a name is in the member list now.
        """
        sightings: list[Sighting] = []
        is_relevant = False
        for effect in effects:
            if isinstance(effect, MemberFailed):
                sightings.append(replace(self.sight(effect.member), said_by=_witnesses(effect.evidence)))
            elif isinstance(effect, _ABOUT_A_MEMBER):
                sightings.append(self.sight(effect.member))
            elif isinstance(effect, MemberReaped):
                sightings.append(Sighting(effect.member.name, MemberStatus.LEFT, None))
            elif isinstance(effect, PushPullReceived):
                is_relevant = True
                # Members that left before we joined are in no list of rows, only in the list of names.
                gone = [name for name in effect.left if not is_member(name)]
                sightings += [Sighting(name, MemberStatus.LEFT, None) for name in gone]
            elif isinstance(effect, _ABOUT_SUSPICION):
                is_relevant = True
        return sightings, is_relevant or bool(sightings)

    def sight_all(self, members: Iterable[SerfMember]) -> list[Sighting]:
        """Return sightings of all members."""
        return [self.sight(member) for member in members]


def _witnesses(evidence: Evidence) -> tuple[str, ...]:
    """Return the members that declared a failure, suspected it first or confirmed it, each once."""
    names = dict.fromkeys((evidence.reporter, evidence.accuser, *evidence.witnesses))
    return tuple(name for name in names if name)[:MAX_WITNESSES]
