from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.serf.recent import RecentTimes


def test_an_unseen_item_is_news_only_once():
    seen: RecentTimes[str] = RecentTimes(512, 64, 0)
    assert seen.is_news(7, "a", 8)
    assert not seen.is_news(7, "a", 8)
    assert seen.is_news(7, "b", 8)
    assert seen.is_news(8, "a", 9)


def test_an_item_from_before_the_start_is_not_news():
    seen: RecentTimes[str] = RecentTimes(512, 64, 0)
    seen.minimum = 10
    assert not seen.is_news(9, "a", 11)
    assert seen.is_news(10, "a", 11)


def test_the_ring_reaches_512_times_back_and_not_513():
    seen: RecentTimes[str] = RecentTimes(512, 64, 0)
    assert seen.is_news(488, "a", 1000)
    assert not seen.is_news(487, "a", 1000)


def test_a_young_clock_finds_nothing_too_old():
    seen: RecentTimes[str] = RecentTimes(512, 64, 0)
    assert seen.is_news(0, "a", 512)
    assert not seen.is_news(0, "b", 513)


def test_a_later_time_takes_the_slot_of_one_that_is_512_before():
    seen: RecentTimes[str] = RecentTimes(512, 64, 0)
    seen.is_news(3, "a", 4)
    assert seen.is_news(515, "a", 515)
    assert list(seen) == [(515, ["a"])]


def test_one_time_holds_as_many_things_as_the_capacity_and_one_more_is_refused():
    seen: RecentTimes[int] = RecentTimes(512, 300, 0)
    assert all(seen.is_news(7, thing, 8) for thing in range(300))
    for time in (7, 6):
        with pytest.raises(
            RemoteProtocolError,
            match=f"^message of lamport time {time} dropped: 300 since then are remembered$",
        ):
            seen.is_news(time, 300, 8)
    assert not seen.is_news(7, 299, 8)
    assert [(time, len(things)) for time, things in seen] == [(7, 300)]


def test_at_the_capacity_the_oldest_time_makes_room_and_counts_as_seen():
    seen: RecentTimes[str] = RecentTimes(512, 3, 0)
    for time, thing in ((5, "a"), (5, "b"), (6, "a")):
        assert seen.is_news(time, thing, 7)
    assert seen.is_news(7, "a", 8)
    assert list(seen) == [(6, ["a"]), (7, ["a"])]
    assert len(seen) == 2
    assert not seen.is_news(5, "a", 8)
    assert not seen.is_news(5, "c", 8)
    assert seen.is_news(6, "b", 8)


def test_a_time_that_lost_its_slot_takes_no_room():
    seen: RecentTimes[str] = RecentTimes(4, 2, 0)
    seen.is_news(3, "a", 4)
    seen.is_news(3, "b", 4)
    assert seen.is_news(7, "a", 8)
    assert seen.is_news(7, "b", 8)
    assert len(seen) == 2


def test_times_are_listed_in_the_order_of_their_slots():
    seen: RecentTimes[str] = RecentTimes(4, 64, 0)
    for time in (6, 3, 5):
        seen.is_news(time, "a", 6)
    assert [time for time, _ in seen] == [5, 6, 3]


def test_at_the_capacity_in_bytes_the_oldest_times_make_room():
    seen: RecentTimes[str] = RecentTimes(512, 64, 100)
    for time in (5, 6, 7):
        assert seen.is_news(time, "a", 8, 30)
    assert seen.is_news(7, "b", 8, 10)
    assert seen.size_bytes == 100
    assert seen.is_news(8, "c", 9, 31)
    assert list(seen) == [(7, ["a", "b"]), (8, ["c"])]
    assert seen.size_bytes == 71
    assert not seen.is_news(6, "a", 9, 30)


def test_a_thing_longer_than_the_capacity_is_refused():
    seen: RecentTimes[str] = RecentTimes(512, 64, 100)
    assert seen.is_news(5, "a", 8, 100)
    with pytest.raises(RemoteProtocolError, match=r"^message of lamport time 7 dropped: 0 since then"):
        seen.is_news(7, "b", 8, 101)


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from("abcdefgh"), st.integers(0, 30))))
def test_nothing_is_news_twice_and_the_ring_stays_bounded(sightings):
    seen: RecentTimes[str] = RecentTimes(8, 12, 60)
    clock, news = 1, []
    for time, thing, size in sightings:
        clock = max(clock, time + 1)
        with suppress(RemoteProtocolError):
            if seen.is_news(time, thing, clock, size):
                news.append((time, thing))
        assert sum(1 for _ in seen) <= 8
        assert sum(len(things) for _, things in seen) == len(seen) <= 12
        assert 0 <= seen.size_bytes <= 60
    assert len(set(news)) == len(news)
