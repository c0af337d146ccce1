"""What anybody who can gossip can say of others: leaves, moves and crowds. Virtual time only."""

import math

import pytest

from lb.policy.admission import ARRIVAL_BURST, ARRIVAL_RATE
from lb.policy.candidate import Sighting
from lb.policy.decision import Note, Topic
from lb.policy.settle import RECHECK, SettleConfig
from lb.policy.witness import Health
from tests.lb.policy.settling import ALIVE, FAILED, LEAVING, LEFT, Balancer, claim

QUIET = SettleConfig().quiet


def leave_together(lb, *members):
    lb.settle.observe([Sighting(member, LEFT, None) for member in members], lb.now)
    lb.poll()


# --- leaves


def test_leaves_of_all_servers_at_once_leave_one_that_haproxy_calls_up():
    names = [f"web-{i}" for i in range(5)]
    lb = Balancer(*names)
    lb.up = set(names)
    leave_together(lb, *names)
    assert lb.decisions[0][1].draining == set(names[1:])
    lb.advance(100.0)
    assert (lb.state, lb.servers) == ("held(min_backends)", ["web-0"])
    assert lb.notes == (Note("web-0", Topic.HELD, "min_backends"),)
    assert lb.settle.needs_health


def test_before_haproxy_has_spoken_the_last_of_all_leavers_serves_on():
    lb = Balancer("web-1", "web-2")
    lb.is_asked = False
    leave_together(lb, "web-1", "web-2")
    assert lb.decisions[0][1].draining == {"web-2"}
    lb.is_asked, lb.up = True, {"web-2"}
    lb.poll()
    assert lb.decisions[1][1].draining == {"web-1"}


def test_nobody_is_spared_where_more_serve_than_are_needed():
    lb = Balancer("web-1", "web-2", "web-3", "web-4")
    lb.up = {"web-1", "web-2", "web-3", "web-4"}
    leave_together(lb, "web-1", "web-2")
    assert lb.decisions[0][1].draining == {"web-1", "web-2"}


def test_leavers_are_spared_while_haproxy_calls_all_others_down():
    lb = Balancer("web-1", "web-2", "web-3")
    lb.up = {"web-1", "web-2"}
    leave_together(lb, "web-1", "web-2")
    lb.advance(60.0)
    assert lb.servers == ["web-1", "web-3"]
    lb.up.add("web-3")
    lb.advance(RECHECK + QUIET)
    assert lb.servers == ["web-3"]


def test_a_spared_server_goes_when_a_newcomer_is_up_not_when_it_is_there():
    lb = Balancer("web-1")
    lb.up = {"web-1"}
    lb.see("web-1", LEFT)
    lb.advance(5.0)
    lb.healths = {"web-2": Health.UNKNOWN}
    lb.see("web-2", ALIVE)
    lb.advance(60.0)
    assert lb.servers == ["web-1", "web-2"]
    lb.healths = {"web-2": Health.UP}
    lb.advance(RECHECK + QUIET)
    assert lb.servers == ["web-2"]


def test_of_several_leavers_one_that_is_known_to_serve_is_spared():
    lb = Balancer("web-1", "web-2", "web-3")
    lb.healths = {"web-1": Health.UNKNOWN, "web-2": Health.UP, "web-3": Health.UNKNOWN}
    leave_together(lb, "web-1", "web-2", "web-3")
    assert lb.decisions[0][1].draining == {"web-1", "web-3"}


def test_a_server_that_is_spared_no_longer_goes_after_a_whole_quiet_time():
    lb = Balancer("web-1")
    lb.up = {"web-1"}
    lb.see("web-1", LEFT)
    lb.advance(20 * RECHECK + 0.2)
    lb.up = set()
    lb.poll()
    lb.advance(QUIET - 0.01)
    assert lb.servers == ["web-1"]
    lb.advance(0.02)
    assert lb.servers == []


def test_a_server_that_haproxy_has_not_checked_yet_puts_no_leaver_back_into_service():
    lb = Balancer("web-1", "web-2")
    lb.healths = {"web-1": Health.UP, "web-2": Health.UNKNOWN}
    lb.see("web-1", LEFT)
    assert lb.decisions[0][1].draining == {"web-1"}
    lb.advance(1.0)
    assert lb.servers == ["web-2"]


def test_a_disputed_server_is_enough_to_let_others_leave():
    lb = Balancer("web-1", "web-2")
    lb.up = {"web-1", "web-2"}
    lb.see("web-1", FAILED)
    lb.see("web-2", LEFT)
    lb.advance(1.0)
    assert lb.servers == ["web-1"]


def test_a_spared_server_that_returns_is_as_any_other():
    lb = Balancer("web-1")
    lb.up = {"web-1"}
    lb.see("web-1", LEFT)
    lb.advance(5.0)
    lb.see("web-1", ALIVE)
    lb.advance(60.0)
    assert (lb.state, lb.swaps, lb.notes) == ("observing", [], ())


def test_a_newcomer_at_the_address_of_a_spared_server_takes_its_place():
    lb = Balancer("web-1")
    lb.up = {"web-1"}
    lb.see("web-1", LEFT)
    lb.advance(5.0)
    lb.see("web-2", ALIVE, claim("web-2", 1))
    assert lb.servers == ["web-2"]


@pytest.mark.parametrize("status", [LEAVING, LEFT])
def test_a_second_agent_of_the_same_name_that_leaves_drains_nobody(status):
    lb = Balancer("web-1", "web-2")
    lb.up = {"web-1", "web-2"}
    lb.settle.note_rival("web-1", lb.now)
    lb.settle.note_rival("nobody", lb.now)
    lb.see("web-1", status)
    lb.advance(10.0)
    assert lb.decisions == []
    lb.see("web-1", ALIVE)
    assert lb.state == "observing"


def test_the_member_whose_name_another_claims_goes_when_haproxy_agrees():
    lb = Balancer("web-1", "web-2")
    lb.settle.note_rival("web-1", lb.now)
    lb.see("web-1", LEFT)
    lb.advance(10.0)
    assert lb.servers == ["web-2"]


@pytest.mark.parametrize(("seconds", "draining"), [(599.9, []), (600.0, ["web-1"])])
def test_a_rival_is_forgotten_after_ten_minutes(seconds, draining):
    lb = Balancer("web-1", "web-2")
    lb.settle.note_rival("web-1", lb.now)
    lb.advance(seconds)
    lb.see("web-1", LEAVING)
    assert [member for _, decision in lb.decisions for member in decision.draining] == draining


def test_leaves_that_are_refuted_before_they_took_effect_are_no_flaps():
    lb = Balancer("web-1", "web-2")
    for _ in range(10):
        lb.see("web-1", LEFT)
        lb.advance(0.3)
        lb.see("web-1", ALIVE)
        lb.advance(1.7)
    assert (lb.swaps, lb.notes) == ([], ())
    lb.see("web-1", LEFT)
    lb.advance(1.0)
    lb.see("web-1", ALIVE)
    lb.advance(2.5)
    assert lb.servers == ["web-1", "web-2"]


# --- moves


def test_a_server_that_haproxy_calls_up_does_not_move_to_a_place_where_nobody_answers():
    lb = Balancer("web-1", "web-2")
    for member, port in (("web-1", 8), ("web-2", 9)):
        lb.see(member, ALIVE, claim(member, port))
    lb.advance(120.0)
    assert (lb.state, lb.swaps) == ("waiting(moving)", [])
    assert lb.settle.moves == (claim("web-1", 8), claim("web-2", 9))
    assert lb.settle.needs_health
    assert lb.notes == (Note("web-1", Topic.MOVING, "10.0.0.1 8"), Note("web-2", Topic.MOVING, "10.0.0.1 9"))
    for member in ("web-1", "web-2"):
        lb.see(member, ALIVE)
    assert (lb.state, lb.notes) == ("observing", ())


@pytest.mark.parametrize("word", [Health.UP, Health.UNKNOWN, Health.UNCHECKED])
def test_a_server_moves_when_somebody_answers_at_the_new_place(word):
    lb = Balancer("web-1")
    lb.healths = {"web-1": word}
    lb.see("web-1", ALIVE, claim("web-1", 9))
    lb.advance(10.0)
    assert lb.swaps == []
    lb.answering = {("10.0.0.1", 9)}
    lb.advance(1.0)
    assert lb.settle.members == (claim("web-1", 9),)


def test_a_server_moves_at_once_when_haproxy_calls_it_down_at_the_old_place():
    lb = Balancer("web-1", "web-2")
    lb.up = {"web-2"}
    lb.see("web-1", ALIVE, claim("web-1", 9))
    assert lb.settle.members == (claim("web-1", 9), claim("web-2"))


def test_a_suspect_does_not_move():
    lb = Balancer("web-1", "web-2")
    lb.up, lb.suspects = {"web-2"}, {"web-1"}
    lb.see("web-1", ALIVE, claim("web-1", 9))
    assert (lb.swaps, lb.settle.moves) == ([], ())


# --- room


def test_no_number_of_newcomers_moves_a_server_out_whatever_their_names():
    lb = Balancer("web-1", "web-2", max_servers=5)
    for i in range(10):
        lb.see(f"a-{i + 100}", ALIVE)
        lb.advance(0.01)
    lb.advance(30.0)
    assert lb.servers == ["a-100", "a-101", "a-102", "web-1", "web-2"]
    assert (dict(lb.settle.full), lb.settle.turned_away) == ({"web": 7}, 7)
    assert Note("a-103", Topic.NO_ROOM) in lb.notes


def test_a_backend_has_room_for_a_thousand_servers_unless_told_otherwise():
    lb = Balancer()
    many = range(1, 1002)
    lb.settle.observe([Sighting(f"web-{i}", ALIVE, claim(f"web-{i}")) for i in many], lb.now)
    lb.poll()
    lb.advance(30.0)
    assert (len(lb.servers), dict(lb.settle.full)) == (1000, {"web": 1})


def test_the_longest_waiting_newcomer_gets_the_room_that_becomes_free():
    lb = Balancer("web-1", "web-2", max_servers=2)
    lb.see("web-9", ALIVE)
    lb.advance(1.0)
    lb.see("web-3", ALIVE)
    lb.advance(5.0)
    lb.see("web-1", LEFT)
    lb.advance(10.0)
    assert lb.servers == ["web-2", "web-9"]


def test_a_newcomer_at_the_address_of_a_dead_server_needs_no_room():
    lb = Balancer("web-1", "web-2", max_servers=2)
    lb.see("web-1", FAILED)
    lb.see("web-3", ALIVE, claim("web-3", 1))
    assert lb.servers == ["web-2", "web-3"]


def test_claimants_of_a_held_address_take_no_room():
    lb = Balancer("web-1", max_servers=3)
    for i in range(5):
        lb.see(f"a-{i}", ALIVE, claim(f"a-{i}", 1))
    lb.see("web-2", ALIVE)
    lb.advance(5.0)
    assert lb.servers == ["web-1", "web-2"]
    assert len(lb.notes) == 5


def test_claimants_of_one_free_address_take_room_for_one():
    lb = Balancer("web-1", max_servers=3)
    lb.settle.observe([Sighting(f"a-{i}", ALIVE, claim(f"a-{i}", 7)) for i in range(5)], lb.now)
    lb.poll()
    lb.see("web-2", ALIVE)
    lb.advance(5.0)
    assert lb.servers == ["a-0", "web-1", "web-2"]


def test_newcomers_enter_at_a_bounded_rate():
    lb = Balancer()
    many = range(1, ARRIVAL_BURST + 100)
    lb.settle.observe([Sighting(f"web-{i}", ALIVE, claim(f"web-{i}")) for i in many], lb.now)
    lb.poll()
    assert len(lb.servers) == ARRIVAL_BURST
    start = lb.now
    lb.advance(1.0)
    assert len(lb.servers) <= ARRIVAL_BURST + ARRIVAL_RATE
    lb.advance(5.0)
    assert len(lb.servers) == len(many)
    assert lb.swaps[-1][0] - start >= 99 / ARRIVAL_RATE
    assert not lb.settle.full
    assert lb.settle.next_deadline() == math.inf


def test_a_server_that_changes_its_backend_needs_room_there():
    lb = Balancer("web-1", max_servers=1)
    lb.see("api-2", ALIVE, claim("api-2", backend="api"))
    lb.advance(5.0)
    lb.up = {"web-1"}  # the other one is down where it was
    lb.see("api-2", ALIVE, claim("api-2"))
    lb.advance(5.0)
    assert claim("api-2", backend="api") in lb.settle.members
    lb.up = set()
    lb.see("web-1", LEFT)
    lb.advance(5.0)
    assert lb.settle.members == (claim("api-2"),)


# --- what a person is told of servers that stay


def test_kept_are_the_failed_the_spared_and_the_moving():
    lb = Balancer("web-1", "web-2", "web-3")
    assert lb.settle.kept == ()
    lb.up = {"web-1", "web-2", "web-3"}
    lb.see("web-1", FAILED)
    lb.see("web-2", ALIVE, claim("web-2", 9))
    assert lb.settle.kept == ("web-1", "web-2")


def test_kept_are_the_servers_of_an_old_file_until_they_are_mentioned():
    lb = Balancer()
    lb.settle.seed([claim("web-1"), claim("web-2")], lb.now)
    lb.see("web-1", ALIVE)
    assert lb.settle.kept == ("web-2",)
