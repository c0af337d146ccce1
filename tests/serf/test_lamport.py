import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.serf.lamport import LAST_TIME, MAX_JOIN_TIME, MAX_TIME_AHEAD, LamportClock
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


def clock_at(time: int) -> LamportClock:
    clock = LamportClock()
    clock.time = time
    return clock


def test_a_clock_takes_a_time_at_the_limit_and_refuses_one_later():
    clock = clock_at(5)
    with pytest.raises(
        RemoteProtocolError, match=r"^lamport time 4294967302 is too far ahead of 5: .* 4294967301$"
    ):
        clock.witness(5 + MAX_TIME_AHEAD + 1)
    assert clock.time == 5
    clock.witness(5 + MAX_TIME_AHEAD)
    assert clock.time == 6 + MAX_TIME_AHEAD


def test_a_clock_that_joins_takes_a_later_limit_and_refuses_one_later():
    clock = LamportClock()
    with pytest.raises(RemoteProtocolError):
        clock.join(MAX_JOIN_TIME + 1)
    assert clock.time == 1
    clock.join(MAX_JOIN_TIME)
    assert clock.time == MAX_JOIN_TIME + 1


def test_a_clock_that_joins_never_goes_back():
    clock = clock_at(9)
    clock.join(3)
    assert clock.time == 9


def test_after_the_limit_of_joins_a_clock_that_joins_takes_what_any_message_may_bear():
    clock = clock_at(MAX_JOIN_TIME + 9)
    clock.join(MAX_JOIN_TIME + 9 + MAX_TIME_AHEAD)
    with pytest.raises(RemoteProtocolError):
        clock.join(clock.latest + 1)


def test_the_last_time_is_witnessed_and_then_the_clock_stands_still():
    clock = clock_at(LAST_TIME - 9)
    clock.witness(LAST_TIME)
    assert clock.time == LAST_TIME
    assert [clock.increment(), clock.increment()] == [LAST_TIME, LAST_TIME]


def test_one_above_the_last_time_is_refused_and_changes_nothing():
    clock = clock_at(LAST_TIME - 9)
    with pytest.raises(RemoteProtocolError):
        clock.witness(MAX_U64)
    assert clock.time == LAST_TIME - 9


@given(
    st.lists(
        st.none()
        | st.tuples(st.just("witness"), st.integers(0, MAX_U64))
        | st.tuples(st.just("ahead"), st.integers(0, 2 * MAX_TIME_AHEAD))
    )
)
def test_no_message_takes_a_clock_back_or_further_than_the_limit(steps):
    clock = LamportClock()
    for step in steps:
        before = clock.time
        if step is None:
            assert clock.increment() == before
        else:
            kind, time = step
            try:
                clock.witness(time if kind == "witness" else clock.time + time)
            except RemoteProtocolError:
                assert clock.time == before
        assert before <= clock.time <= min(before + MAX_TIME_AHEAD + 1, LAST_TIME)
