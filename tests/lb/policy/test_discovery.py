"""What gossip says becomes sightings; what is odd is passed on."""

import pytest

from gossip.serf.effects import (
    MemberFailed,
    MemberJoined,
    MemberReaped,
    MemberSuspected,
    PushPullReceived,
    SuspicionRefuted,
    UserEventReceived,
)
from gossip.serf.members import MemberStatus, SerfMember
from gossip.serf.tags import encode_tags
from gossip.swim.evidence import Evidence
from gossip.wire.messages import Alive
from gossip.wire.serf_messages import UserEvent
from lb.policy.candidate import Sighting
from lb.policy.discovery import Membership
from lb.policy.plan import Claim, PlanConfig, Rejection


def member(name: str = "a", status: MemberStatus = MemberStatus.ALIVE, **tags: str) -> SerfMember:
    meta = encode_tags(tags or {"role": "backend", "port": "80"})
    alive = Alive(
        incarnation=1,
        node=name,
        addr=bytes((10, 0, 0, 1)),
        port=7946,
        meta=meta,
        versions=bytes((1, 5, 2, 2, 5, 4)),
    )
    return SerfMember(alive, status, 1, 0.0)


def nobody(_name: str) -> bool:
    return False


def reading() -> Membership:
    return Membership(PlanConfig(), pytest.fail)


CLAIM = Claim("web", "a", "10.0.0.1", 80, 100)


def test_backend_is_seen_with_its_claim() -> None:
    assert reading().sight(member()) == Sighting("a", MemberStatus.ALIVE, CLAIM)


def test_all_members_are_seen() -> None:
    seen = reading().sight_all([member("a"), member("b", role="lb")])
    assert [sighting.claim for sighting in seen] == [CLAIM, None]


def test_unacceptable_member_is_seen_without_claim_and_complained_about() -> None:
    complaints: list[Rejection] = []
    membership = Membership(PlanConfig(), complaints.append)
    assert membership.sight(member(role="backend", port="0")).claim is None
    assert complaints == [Rejection("a", "port tag is not a port")]


def test_events_about_members_become_sightings() -> None:
    gone = member("b", MemberStatus.FAILED)
    effects = [MemberJoined(member()), MemberFailed(gone), MemberReaped(gone)]
    sightings, is_relevant = reading().read(effects, nobody)
    assert is_relevant
    assert [(s.member, s.status) for s in sightings] == [
        ("a", MemberStatus.ALIVE),
        ("b", MemberStatus.FAILED),
        ("b", MemberStatus.LEFT),
    ]


@pytest.mark.parametrize(
    ("witnesses", "said_by"), [("def", "bcdef"), ("defg", "bcdef"), ("cbd", "bcd")], ids=["5", "6", "twice"]
)
def test_a_failure_is_said_by_its_first_five_witnesses(witnesses: str, said_by: str) -> None:
    evidence = Evidence(reporter="b", accuser="c", witnesses=tuple(witnesses))
    (sighting,), _ = reading().read([MemberFailed(member("a", MemberStatus.FAILED), evidence)], nobody)
    assert sighting.said_by == tuple(said_by)


def test_suspicion_is_a_reason_to_look_again_but_no_sighting() -> None:
    for effect in (MemberSuspected(member(), "b"), SuspicionRefuted(member())):
        assert reading().read([effect], nobody) == ([], True)


def test_names_that_a_peer_knows_to_have_left_count_only_if_they_are_no_members() -> None:
    effect = PushPullReceived((), ("a", "b"), initiated=True)
    sightings, is_relevant = reading().read([effect], lambda name: name == "a")
    assert is_relevant
    assert sightings == [Sighting("b", MemberStatus.LEFT, None)]


def test_everything_else_is_of_no_interest() -> None:
    event = UserEventReceived(UserEvent(ltime=1, name="x", payload=b"", coalesce=False))
    assert reading().read([event], nobody) == ([], False)
