import pytest

from gossip.swim.member import Member, supersedes
from gossip.wire.address import Address
from gossip.wire.messages import MemberState, NodeState
from tests.swim.rig import alive

ALIVE, SUSPECT, DEAD, LEFT = MemberState

WINS = {
    # claim, known: at a smaller, at an equal, at a greater incarnation
    (ALIVE, ALIVE): (False, False, True),
    (ALIVE, SUSPECT): (False, False, True),
    (ALIVE, DEAD): (False, False, True),
    (ALIVE, LEFT): (False, False, True),
    (SUSPECT, ALIVE): (False, True, True),
    (SUSPECT, SUSPECT): (False, False, False),
    (SUSPECT, DEAD): (False, False, False),
    (SUSPECT, LEFT): (False, False, False),
    (DEAD, ALIVE): (False, True, True),
    (DEAD, SUSPECT): (False, True, True),
    (DEAD, DEAD): (False, False, False),
    (DEAD, LEFT): (False, False, False),
    (LEFT, ALIVE): (False, True, True),
    (LEFT, SUSPECT): (False, True, True),
    (LEFT, DEAD): (False, True, True),
    (LEFT, LEFT): (False, False, False),
}


@pytest.mark.parametrize(("claim", "known"), list(WINS))
def test_which_claim_wins_is_the_papers_table_with_left_above_dead(claim, known):
    assert tuple(supersedes(claim, at, known, 5) for at in (4, 5, 6)) == WINS[claim, known]


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
