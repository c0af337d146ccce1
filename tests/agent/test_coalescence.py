"""Serf's coalescing: when a flush is due and what is in it."""

import math

from gossip.agent.coalescence import MAX_HELD_EVENTS, PERIOD, QUIET, Coalescence, MemberChanges
from gossip.ipc.bodies import Member
from gossip.wire.serf_messages import UserEvent


def member(name):
    return Member(name, b"\x7f\0\0\1", 7946, {}, "alive", 1, 5, 2, 2, 5, 4)


def event(name, ltime, payload=b""):
    return UserEvent(ltime, name, payload, True)


def test_nothing_is_due_while_nothing_is_held():
    assert Coalescence().next_deadline() == math.inf


def test_a_lone_change_is_due_after_the_quiet_time():
    held = Coalescence()
    held.add_member("member-join", member("a"), 10.0)
    assert held.next_deadline() == 10.0 + QUIET


def test_a_stream_of_changes_is_due_when_the_period_ends():
    held = Coalescence()
    for now in (0.0, 0.9, 1.8, 2.7):
        held.add_member("member-join", member(f"m{now}"), now)
    assert held.next_deadline() == PERIOD


def test_a_flush_groups_members_by_the_kind_of_their_last_change():
    held = Coalescence()
    for kind, name in (
        ("member-join", "a"),
        ("member-join", "b"),
        ("member-failed", "c"),
        ("member-join", "c"),
    ):
        held.add_member(kind, member(name), 0.0)
    held.add_member("member-failed", member("a"), 0.0)
    changes, _ = held.flush()
    assert changes == [
        MemberChanges("member-failed", (member("a"),)),
        MemberChanges("member-join", (member("b"), member("c"))),
    ]
    assert held.next_deadline() == math.inf


def test_a_member_that_ends_where_it_was_is_not_told_again():
    held = Coalescence()
    held.add_member("member-join", member("a"), 0.0)
    held.flush()
    held.add_member("member-failed", member("a"), 5.0)
    held.add_member("member-join", member("a"), 5.5)
    assert held.flush() == ([], [])


def test_an_update_is_told_every_time():
    held = Coalescence()
    for now in (0.0, 5.0):
        held.add_member("member-update", member("a"), now)
        assert held.flush()[0] == [MemberChanges("member-update", (member("a"),))]


def test_what_was_told_of_a_reaped_member_is_forgotten():
    held = Coalescence()
    for kind in ("member-join", "member-reap", "member-reap"):
        held.add_member(kind, member("a"), 0.0)
        assert held.flush()[0] == [MemberChanges(kind, (member("a"),))]


def test_of_user_events_of_one_name_those_of_the_highest_time_survive():
    held = Coalescence()
    events = [event("deploy", 3), event("deploy", 5, b"x"), event("deploy", 4), event("deploy", 5, b"y")]
    for one in (*events, event("other", 1)):
        held.add_event(one, 0.0)
    assert held.flush()[1] == [events[1], events[3], event("other", 1)]


def test_one_event_above_the_limit_makes_the_flush_due_at_once():
    held = Coalescence()
    for number in range(MAX_HELD_EVENTS):
        held.add_event(event(str(number), 1), 7.0)
    assert held.next_deadline() == 7.0 + QUIET
    held.add_event(event("one more", 1), 7.0)
    assert held.next_deadline() == 7.0
