import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.serf.lamport import LAST_TIME, LamportClock
from gossip.wire.serf_messages import MAX_U64


def test_a_clock_starts_at_one_so_that_zero_can_mean_never():
    assert LamportClock().time == 1


def test_a_stamp_is_the_present_time_and_the_clock_steps_past_it():
    clock = LamportClock()
    assert clock.increment() == 1
    assert clock.time == 2


@pytest.mark.parametrize(("seen", "after"), [(0, 5), (4, 5), (5, 6), (9, 10)])
def test_a_clock_steps_past_what_it_witnesses_and_never_back(seen, after):
    clock = LamportClock()
    clock.witness(4)
    clock.witness(seen)
    assert clock.time == after


def test_the_last_time_is_witnessed_and_then_the_clock_stands_still():
    clock = LamportClock()
    clock.witness(LAST_TIME)
    assert clock.time == LAST_TIME
    assert [clock.increment(), clock.increment()] == [LAST_TIME, LAST_TIME]


def test_one_above_the_last_time_is_refused_and_changes_nothing():
    clock = LamportClock()
    with pytest.raises(RemoteProtocolError, match="18446744073709551615 leaves no room for a later one"):
        clock.witness(MAX_U64)
    assert clock.time == 1


@given(st.lists(st.integers(0, LAST_TIME) | st.none()))
def test_a_clock_never_goes_back_and_never_outgrows_64_bits(steps):
    clock = LamportClock()
    for time in steps:
        before = clock.time
        if time is None:
            assert clock.increment() == before
        else:
            clock.witness(time)
        assert before <= clock.time <= LAST_TIME
