from hypothesis import given
from hypothesis import strategies as st

from gossip.serf.recent_intents import RecentIntents
from gossip.wire.serf_messages import JoinIntent, LeaveIntent


def intents(limit: int = 10) -> RecentIntents:
    return RecentIntents(limit, 300.0)


def test_an_intent_about_an_unknown_name_is_remembered_until_it_is_taken():
    recent = intents()
    assert recent.offer(LeaveIntent(3, "n1"), 0.0)
    assert recent.take("n1") == LeaveIntent(3, "n1")
    assert recent.take("n1") is None


def test_a_newer_intent_replaces_an_older_one():
    recent = intents()
    recent.offer(LeaveIntent(3, "n1"), 0.0)
    assert recent.offer(JoinIntent(4, "n1"), 0.0)
    assert recent.take("n1") == JoinIntent(4, "n1")


def test_an_intent_that_is_not_newer_is_no_news():
    recent = intents()
    recent.offer(LeaveIntent(3, "n1"), 0.0)
    assert not recent.offer(LeaveIntent(3, "n1", prune=True), 0.0)
    assert not recent.offer(JoinIntent(2, "n1"), 0.0)
    assert recent.take("n1") == LeaveIntent(3, "n1")


def test_at_a_tie_the_join_is_believed_in_either_order():
    recent = intents()
    recent.offer(LeaveIntent(3, "n1"), 0.0)
    assert recent.offer(JoinIntent(3, "n1"), 0.0)
    assert not recent.offer(LeaveIntent(3, "n1"), 0.0)
    assert not recent.offer(JoinIntent(3, "n1"), 0.0)
    assert recent.take("n1") == JoinIntent(3, "n1")


def test_the_time_of_an_unknown_name_is_zero():
    recent = intents()
    assert recent.time_of("n1") == 0
    recent.offer(LeaveIntent(3, "n1"), 0.0)
    assert recent.time_of("n1") == 3


def test_at_the_limit_all_names_are_remembered():
    recent = intents(3)
    for name in ("n1", "n2", "n3"):
        recent.offer(JoinIntent(1, name), 0.0)
    assert [recent.take(name) is None for name in ("n1", "n2", "n3")] == [False] * 3


def test_one_above_the_limit_the_longest_remembered_name_makes_room():
    recent = intents(3)
    for name in ("n1", "n2", "n3", "n4"):
        recent.offer(JoinIntent(1, name), 0.0)
    assert len(recent) == 3
    assert recent.take("n1") is None


def test_repeating_an_old_intent_does_not_keep_it_remembered():
    recent = intents(2)
    recent.offer(JoinIntent(5, "n1"), 0.0)
    recent.offer(JoinIntent(5, "n2"), 0.0)
    recent.offer(JoinIntent(4, "n1"), 0.0)
    recent.offer(JoinIntent(5, "n3"), 0.0)
    assert recent.take("n1") is None


def test_a_newer_intent_keeps_a_name_remembered():
    recent = intents(2)
    recent.offer(JoinIntent(5, "n1"), 0.0)
    recent.offer(JoinIntent(5, "n2"), 0.0)
    recent.offer(JoinIntent(6, "n1"), 0.0)
    recent.offer(JoinIntent(5, "n3"), 0.0)
    assert recent.take("n2") is None
    assert recent.take("n1") == JoinIntent(6, "n1")


def test_a_newer_intent_counts_as_remembered_last():
    recent = intents(3)
    for name, ltime in (("n1", 5), ("n2", 5), ("n1", 6), ("n3", 5), ("n4", 5)):
        recent.offer(JoinIntent(ltime, name), 0.0)
    assert recent.take("n2") is None
    assert recent.take("n1") == JoinIntent(6, "n1")


def test_a_newer_intent_makes_nobody_forgotten():
    recent = intents(2)
    for name, ltime in (("n1", 5), ("n2", 5), ("n2", 6)):
        recent.offer(JoinIntent(ltime, name), 0.0)
    assert recent.take("n1") == JoinIntent(5, "n1")


def test_an_intent_is_forgotten_after_the_timeout_and_not_before():
    recent = intents()
    recent.offer(JoinIntent(1, "n1"), 100.0)
    recent.expire(400.0)
    assert len(recent) == 1
    recent.expire(400.001)
    assert len(recent) == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 9))))
def test_the_newest_time_per_name_is_kept_and_names_stay_bounded(heard):
    recent = intents(4)
    for name, ltime in heard:
        before = recent._by_name.get(name)
        is_news = recent.offer(JoinIntent(ltime, name), 0.0)
        assert is_news is (before is None or ltime > before.intent.ltime)
        assert len(recent) <= 4
