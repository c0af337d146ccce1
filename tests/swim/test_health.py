import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.swim.health import LocalHealth


def test_a_new_node_trusts_itself():
    assert LocalHealth(8).score == 0


def test_bad_news_counts_up_to_one_below_the_maximum():
    health = LocalHealth(8)
    health.apply(7)
    assert health.score == 7
    health.apply(1)
    assert health.score == 7


def test_good_news_counts_down_to_zero_and_no_further():
    health = LocalHealth(8)
    health.apply(1)
    health.apply(-1)
    health.apply(-1)
    assert health.score == 0


def test_each_point_adds_one_interval_to_a_probe():
    health = LocalHealth(8)
    assert health.scale(1.5) == 1.5
    health.apply(2)
    assert health.scale(1.5) == 4.5


@pytest.mark.parametrize(("maximum", "matters"), [(1, False), (2, True), (8, True)])
def test_health_matters_where_there_is_more_than_one_score(maximum, matters):
    health = LocalHealth(maximum)
    assert health.matters is matters
    health.apply(5)
    assert (health.score > 0) is matters


@given(st.lists(st.integers(-20, 20)))
def test_the_score_never_leaves_its_range(deltas):
    health = LocalHealth(8)
    for delta in deltas:
        health.apply(delta)
        assert 0 <= health.score <= 7
