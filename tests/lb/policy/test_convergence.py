import math

import pytest

from lb.policy.convergence import Condition, Convergence, DetectorView, Failure, judge


def view(**changes):
    settings = {
        "suspects": frozenset(),
        "retransmit_limit": 4,
        "gossip_interval": 0.2,
        "probe_interval": 1.0,
        "last_heard": 100.0,
        "local_health": 0,
        "others_alive": 3,
    }
    return DetectorView(**{**settings, **changes})


def judged(now, *failures, looks=None, has_suspects=False, unchanged_since=90.0):
    return judge(
        looks or view(last_heard=now),
        failures or (Failure("a", 90.0, False),),
        has_suspects=has_suspects,
        unchanged_since=unchanged_since,
        settle_max=30.0,
        now=now,
    )


@pytest.mark.parametrize(
    ("limit", "interval", "period"),
    [(4, 0.2, 0.8), (8, 0.2, 1.6), (4, 0.1, 0.5), (0, 0.2, 0.5)],
    ids=["lan of 3", "lan of 50", "local", "alone"],
)
def test_the_quiet_period_is_what_a_rumour_needs_and_at_least_half_a_second(limit, interval, period):
    assert view(retransmit_limit=limit, gossip_interval=interval).quiet_period == pytest.approx(period)


def test_isolation_begins_after_four_silent_probe_intervals():
    assert not view().is_isolated(104.0)
    assert view().is_isolated(104.1)
    assert view(last_heard=-math.inf).is_isolated(0.0)


def test_a_failure_is_certain_when_all_conditions_hold():
    assert judged(100.0) == Convergence(("a",), None)


def test_a_suspect_delays_every_removal():
    assert judged(100.0, has_suspects=True) == Convergence((), Condition.NO_SUSPECT)


def test_failures_wait_until_their_set_is_quiet():
    assert judged(100.7, unchanged_since=100.0) == Convergence((), Condition.QUIET)
    assert judged(100.8, unchanged_since=100.0).members == ("a",)


def test_an_isolated_node_removes_nobody_however_long_it_waits():
    looks = view(last_heard=100.0)
    assert judged(1000.0, looks=looks) == Convergence((), Condition.NOT_ISOLATED)


def test_a_slow_node_removes_nobody_before_the_failure_is_starved():
    assert judged(119.9, looks=view(last_heard=119.9, local_health=3)).waits_for is None
    slow = view(last_heard=119.9, local_health=4)
    assert judged(119.9, looks=slow) == Convergence((), Condition.HEALTHY)
    assert judged(120.0, looks=slow) == Convergence(("a",), None)


def test_a_starved_failure_no_longer_waits_for_suspects():
    assert judged(119.9, has_suspects=True).waits_for is Condition.NO_SUSPECT
    assert judged(120.0, has_suspects=True) == Convergence(("a",), None)


def test_a_starved_failure_takes_along_those_that_are_quiet_by_themselves():
    failures = (Failure("a", 90.0, False), Failure("b", 119.5, False), Failure("c", 119.1, False))
    assert judged(120.0, *failures, unchanged_since=120.0).members == ("a", "c")


def test_a_quiet_period_longer_than_starvation_is_still_kept():
    looks = view(last_heard=120.0, retransmit_limit=1000)
    assert judged(120.0, looks=looks) == Convergence((), Condition.QUIET)


def test_a_held_failure_does_not_starve():
    assert judged(500.0, Failure("a", 90.0, True), has_suspects=True).waits_for is Condition.NO_SUSPECT
