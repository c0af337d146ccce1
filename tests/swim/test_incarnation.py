import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.swim.incarnation import (
    LAST_INCARNATION,
    MAX_FIRST_INCARNATION,
    MAX_INCARNATION_RISE,
    MAX_STEP,
    RISE_WINDOW,
    first_incarnation,
    verify_accusation,
    verify_first,
    verify_rise,
)
from gossip.swim.member import Member
from gossip.wire.messages import MAX_U32
from tests.swim.rig import alive

TOP = 1 + MAX_INCARNATION_RISE


def member(incarnation: int = 1) -> Member:
    return Member(alive("n1", incarnation), 100.0)


def test_a_member_may_begin_at_the_limit_and_not_above():
    verify_first("n1", MAX_FIRST_INCARNATION)
    expected = "^member 'n1' begins at incarnation 4278190081: expected at most 4278190080$"
    with pytest.raises(RemoteProtocolError, match=expected):
        verify_first("n1", MAX_FIRST_INCARNATION + 1)


def test_the_seconds_since_1970_are_a_possible_first_incarnation_until_2105():
    assert 134 * 365.25 * 86_400 < MAX_FIRST_INCARNATION < 137 * 365.25 * 86_400


def test_a_member_may_rise_to_the_limit_and_not_above():
    verify_rise(member(), TOP, 100.0)
    expected = "^incarnation of 'n1' would rise from 1 to 65538: expected at most 65537$"
    with pytest.raises(RemoteProtocolError, match=expected):
        verify_rise(member(), TOP + 1, 100.0)


def test_an_accusation_leaves_room_for_its_refutation():
    verify_accusation(member(), TOP - 1, 100.0)
    with pytest.raises(RemoteProtocolError):
        verify_accusation(member(), TOP, 100.0)


def test_several_rises_count_together_until_the_window_ends():
    it = member()
    it.incarnation = TOP
    with pytest.raises(RemoteProtocolError):
        verify_rise(it, TOP + MAX_STEP + 1, 100.0 + RISE_WINDOW - 1e-6)
    verify_rise(it, TOP + MAX_INCARNATION_RISE, 100.0 + RISE_WINDOW)


def test_a_small_step_is_always_possible_and_no_larger_one():
    it = member()
    it.incarnation = TOP
    verify_rise(it, TOP + MAX_STEP, 100.0)
    with pytest.raises(RemoteProtocolError, match=f"expected at most {TOP + MAX_STEP}$"):
        verify_rise(it, TOP + MAX_STEP + 1, 100.0)


def test_a_member_may_be_accused_at_its_incarnation_whatever_that_is():
    verify_accusation(member(MAX_U32), MAX_U32, 100.0)


def test_the_last_incarnation_is_the_last_but_one_of_32_bits():
    verify_rise(member(LAST_INCARNATION - 1), LAST_INCARNATION, 100.0)
    with pytest.raises(RemoteProtocolError):
        verify_rise(member(LAST_INCARNATION - 1), MAX_U32, 100.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, MAX_U32)), max_size=30))
def test_no_sequence_of_claims_raises_a_member_faster_than_the_limits(claims):
    it, now = member(), 100.0
    for seconds, incarnation in claims:
        now += seconds
        try:
            verify_rise(it, incarnation, now)
        except RemoteProtocolError:
            continue
        it.incarnation = max(it.incarnation, incarnation)
    windows = 1 + (now - 100.0) / RISE_WINDOW
    assert it.incarnation <= 1 + windows * (MAX_INCARNATION_RISE + MAX_STEP * len(claims))


def test_a_member_that_restarts_rises_to_where_this_node_would_begin_now():
    today = 1_800_000_000
    verify_rise(member(), today + MAX_INCARNATION_RISE, 100.0, present=today)
    with pytest.raises(RemoteProtocolError, match="would rise"):
        verify_rise(member(), today + MAX_INCARNATION_RISE + 1, 100.0, present=today)


@pytest.mark.parametrize(
    ("seconds", "incarnation"),
    [(-5.0, 1), (0.2, 1), (1_800_000_000.9, 1_800_000_000), (2.0**40, MAX_FIRST_INCARNATION)],
)
def test_a_life_begins_at_the_seconds_since_1970_within_what_others_accept(seconds, incarnation):
    assert first_incarnation(seconds) == incarnation
    verify_first("n1", incarnation)
