from typing import get_args

import pytest

from gossip.serf.effects import Effect, MemberEvent, MemberJoined, PushPullReceived
from gossip.serf.members import MemberStatus, SerfMember
from tests.swim.rig import alive

MEMBER = SerfMember(alive("n1"), MemberStatus.ALIVE, 0, 0.0)


def test_an_event_carries_the_live_row():
    event = MemberJoined(MEMBER)
    MEMBER.become(MemberStatus.FAILED, 1.0)
    assert event.member.status is MemberStatus.FAILED


@pytest.mark.parametrize("kind", get_args(MemberEvent))
def test_every_event_about_a_member_names_it_first(kind):
    assert kind.__struct_fields__[0] == "member"


@pytest.mark.parametrize("kind", get_args(Effect))
def test_effects_cannot_be_changed(kind):
    assert kind.__struct_config__.frozen


def test_a_push_pull_has_its_rows_and_the_names_that_left():
    effect = PushPullReceived((), ("n1",), initiated=True)
    assert (effect.nodes, effect.left, effect.initiated) == ((), ("n1",), True)
