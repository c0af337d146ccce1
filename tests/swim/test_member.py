import pytest

from gossip.swim.member import Member, supersedes
from gossip.wire.address import Address
from gossip.wire.messages import MemberState, NodeState
from tests.swim.rig import alive

ALIVE, SUSPECT, DEAD, LEFT = MemberState


@pytest.mark.parametrize("said", MemberState)
@pytest.mark.parametrize("held", MemberState)
def test_at_an_equal_incarnation_the_graver_state_wins(said, held):
    assert supersedes(said, 5, held, 5) is (said > held)


@pytest.mark.parametrize("said", MemberState)
@pytest.mark.parametrize("held", MemberState)
def test_at_a_greater_incarnation_alive_wins_as_well(said, held):
    assert supersedes(said, 6, held, 5) is (said > held or said is ALIVE)


@pytest.mark.parametrize("said", MemberState)
@pytest.mark.parametrize("held", MemberState)
def test_at_a_smaller_incarnation_nothing_wins(said, held):
    assert not supersedes(said, 4, held, 5)


def test_alive_with_the_same_incarnation_does_not_clear_suspicion():
    assert not supersedes(ALIVE, 5, SUSPECT, 5)


def test_a_new_member_is_alive_since_now():
    member = Member(alive("n1", 3), 10.0)
    assert (member.state, member.incarnation, member.since) == (ALIVE, 3, 10.0)


def test_the_time_of_a_state_changes_only_with_the_state():
    member = Member(alive("n1"), 10.0)
    member.enter(SUSPECT, 2, 11.0)
    member.enter(SUSPECT, 3, 12.0)
    assert (member.incarnation, member.since) == (3, 11.0)


@pytest.mark.parametrize(("state", "gone"), [(ALIVE, False), (SUSPECT, False), (DEAD, True), (LEFT, True)])
def test_only_the_dead_and_the_left_are_gone(state, gone):
    member = Member(alive("n1"), 10.0)
    member.enter(state, 1, 11.0)
    assert member.is_gone is gone


def test_a_row_has_the_announced_fields_and_the_present_state():
    member = Member(alive("n1", 3, addr=b"\x0a\0\0\x09", port=1, meta=b"m"), 10.0)
    member.enter(SUSPECT, 5, 11.0)
    assert member.row() == NodeState("n1", b"\x0a\0\0\x09", 1, b"m", 5, SUSPECT, bytes((1, 5, 2, 2, 5, 5)))


def test_a_member_listens_where_it_says():
    assert Member(alive("n1", addr=b"\x0a\0\0\x09", port=1), 0.0).address == Address("10.0.0.9", 1)


def test_a_member_understands_the_newest_protocol_that_it_announces():
    assert Member(alive("n1", versions=bytes((1, 4, 2, 2, 5, 5))), 0.0).protocol_max == 4
