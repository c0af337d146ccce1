import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.swim.health import REFUTATION_COST_INTERVAL, LocalHealth


def test_a_new_node_trusts_itself():
    assert LocalHealth(8, 1.0).score == 0


def test_bad_news_counts_up_to_one_below_the_maximum():
    health = LocalHealth(8, 1.0)
    health.apply(7)
    assert health.score == 7
    health.apply(1)
    assert health.score == 7


def test_good_news_counts_down_to_zero_and_no_further():
    health = LocalHealth(8, 1.0)
    health.apply(1)
    health.apply(-1)
    health.apply(-1)
    assert health.score == 0


def test_each_point_adds_one_interval_to_a_probe():
    health = LocalHealth(8, 1.0)
    assert health.scale(1.5) == 1.5
    health.apply(2)
    assert health.scale(1.5) == 4.5


@pytest.mark.parametrize(("maximum", "is_enabled"), [(1, False), (2, True), (8, True)])
def test_health_is_enabled_where_there_is_more_than_one_score(maximum, is_enabled):
    health = LocalHealth(maximum, 1.0)
    assert health.is_enabled is is_enabled
    health.apply(5)
    assert (health.score > 0) is is_enabled


@given(st.lists(st.integers(-20, 20)))
def test_the_score_never_leaves_its_range(deltas):
    health = LocalHealth(8, 1.0)
    for delta in deltas:
        health.apply(delta)
        assert 0 <= health.score <= 7


def test_a_burst_of_refutations_costs_all_health_at_once():
    health = LocalHealth(8, 1.0)
    for _ in range(7):
        health.refuted(100.0)
    assert health.score == 7


@pytest.mark.parametrize("rest", [14.0, 16.0, 1e6])
def test_after_a_rest_as_many_refutations_count_as_in_a_burst_and_no_more(rest):
    health, counted = LocalHealth(8, 1.0), []
    for now in (100.0, 100.0 + rest):
        for _ in range(9):
            health.score = 0
            health.refuted(now)
            counted.append(health.score)
    restored = min(8, int(rest / REFUTATION_COST_INTERVAL))
    assert counted == [1] * 8 + [0] + [1] * restored + [0] * (9 - restored)


def test_a_refutation_beyond_the_burst_counts_again_after_two_probe_intervals():
    health = LocalHealth(8, 5.0)
    for _ in range(9):
        health.refuted(100.0)
    health.apply(-7)
    health.refuted(109.9)
    assert health.score == 0
    health.refuted(110.0)
    assert health.score == 1


def test_refutations_without_local_health_cost_nothing():
    health = LocalHealth(1, 1.0)
    health.refuted(100.0)
    assert health.score == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300))
def test_however_often_a_node_is_made_to_refute_its_health_recovers(pauses):
    """An answered probe gives back a point a second; that is more than refutations take in the long run."""
    health, now, counted = LocalHealth(8, 1.0), 0.0, 0
    for pause in pauses:
        now += pause
        health.score = 0
        health.refuted(now)
        counted += health.score
    assert counted <= 8 + now / REFUTATION_COST_INTERVAL
