"""Virtual time: order, and nothing but order."""

from math import inf

from gossip.sim.schedule import Schedule


def test_events_happen_in_the_order_of_their_times():
    schedule, seen = Schedule(), []
    for time in (3.0, 1.0, 2.0):
        schedule.at(time, lambda time=time: seen.append((time, schedule.now)))
    schedule.run(10.0)
    assert seen == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]
    assert schedule.now == 10.0


def test_events_of_one_moment_happen_in_the_order_in_which_they_were_put_in():
    schedule, seen = Schedule(), []
    for name in "abc":
        schedule.at(1.0, lambda name=name: seen.append(name))
    schedule.run(1.0)
    assert seen == ["a", "b", "c"]


def test_what_is_due_later_waits():
    schedule, seen = Schedule(), []
    schedule.at(2.0, lambda: seen.append("late"))
    schedule.run(1.9)
    assert not seen
    assert schedule.next() == 2.0
    assert len(schedule) == 1


def test_an_event_for_the_past_happens_at_once_and_time_never_goes_back():
    schedule, seen = Schedule(), []
    schedule.at(5.0, lambda: schedule.at(1.0, lambda: seen.append(schedule.now)))
    schedule.run(6.0)
    assert seen == [5.0]
    assert schedule.next() == inf
