"""Virtual time only; the walk-throughs of the design stand at the end."""

import math
from itertools import islice, pairwise

import pytest

from gossip.serf.members import MemberStatus
from lb.policy.allowlist import replaced_name
from lb.policy.candidate import Sighting
from lb.policy.decision import Change, Note, Reason, Topic
from lb.policy.failure_lane import MIN_GAP
from lb.policy.settle import RECHECK
from lb.policy.witness import Health
from tests.lb.policy.settling import ALIVE, FAILED, LEAVING, LEFT, Balancer, Q, claim


def changes(decision):
    return [(change.member, change.reason.value) for change in decision.changes]


# --- arrivals


def test_the_first_arrival_enters_at_once():
    lb = Balancer()
    lb.see("web-1", ALIVE)
    assert [(at, changes(d)) for at, d in lb.decisions] == [(lb.now, [("web-1", "arrived")])]
    assert lb.decisions[0][1].members == (claim("web-1"),)


def test_members_of_one_push_pull_enter_together():
    lb = Balancer()
    lb.settle.observe([Sighting(f"web-{i}", ALIVE, claim(f"web-{i}")) for i in range(1, 6)], lb.now)
    lb.poll()
    assert len(lb.swaps) == 1
    assert len(lb.servers) == 5


def test_followers_enter_after_half_a_second_of_quiet():
    lb = Balancer()
    start = lb.now
    for member in ("web-1", "web-2", "web-3"):
        lb.see(member, ALIVE)
        lb.advance(0.2)
    lb.advance(10)
    assert [round(at - start, 3) for at, _ in lb.swaps] == [0.0, 0.9]


def test_a_stream_of_arrivals_is_not_starved():
    lb = Balancer()
    start = lb.now
    for i in range(10):
        lb.see(f"web-{i}", ALIVE)
        lb.advance(0.4)
    assert [round(at - start, 3) for at, _ in lb.swaps] == [0.0, 2.4]


def test_calm_returns_two_seconds_after_a_change():
    lb = Balancer("web-1")
    lb.see("web-2", ALIVE)
    lb.advance(2.0)
    lb.see("web-3", ALIVE)
    assert lb.servers == ["web-1", "web-2", "web-3"]


def test_a_newcomer_less_than_two_seconds_after_a_change_waits_for_others():
    lb = Balancer("web-1")
    lb.see("web-2", ALIVE)
    lb.advance(1.9)
    lb.see("web-3", ALIVE)
    assert lb.servers == ["web-1", "web-2"]


def test_a_suspect_newcomer_waits_until_it_is_cleared():
    lb = Balancer("web-1")
    lb.suspects = {"web-2"}
    lb.see("web-2", ALIVE)
    lb.advance(3.0)
    assert lb.servers == ["web-1"]
    assert lb.notes == (Note("web-2", Topic.SUSPECT),)
    lb.suspects = set()
    lb.advance(RECHECK)
    assert lb.servers == ["web-1", "web-2"]


def test_a_new_address_or_weight_is_a_change_in_one_swap():
    lb = Balancer("web-1", "web-2")
    lb.answering = {("10.0.0.1", 9)}
    lb.see("web-1", ALIVE, claim("web-1", 9))
    lb.see("web-2", ALIVE, claim("web-2", weight=7))
    lb.advance(1.0)
    assert [changes(d) for _, d in lb.swaps] == [[("web-1", "changed")], [("web-2", "changed")]]
    assert lb.settle.members == (claim("web-1", 9), claim("web-2", weight=7))


def test_a_member_that_leaves_before_it_entered_never_enters():
    lb = Balancer("web-1")
    lb.suspects = {"web-2"}
    lb.see("web-2", ALIVE)
    lb.see("web-2", LEAVING)
    lb.suspects = set()
    lb.advance(5.0)
    assert lb.decisions == []


def test_newcomers_after_a_suspected_one_are_admitted_like_others():
    lb = Balancer(max_servers=1)
    lb.suspects = {"web-1"}
    for member in ("web-1", "web-2", "web-3"):
        lb.see(member, ALIVE)
    lb.advance(5.0)
    assert lb.servers == ["web-2"]


def test_members_without_a_claim_or_not_alive_are_not_taken_notice_of():
    lb = Balancer()
    lb.see("lb-1", ALIVE, None)
    for status in (LEAVING, LEFT, FAILED, MemberStatus.NONE):
        lb.see(f"x-{status.value}", status)
    assert lb.settle.next_deadline() == math.inf
    assert lb.decisions == []


def test_one_that_is_passed_over_does_not_hide_those_after_it():
    lb = Balancer(max_members=1)
    lb.see("web-1", ALIVE)
    batch = [
        Sighting("lb-1", ALIVE, None),
        Sighting("web-2", ALIVE, claim("web-2")),
        Sighting("web-3", ALIVE, claim("web-3")),
        Sighting("web-1", ALIVE, claim("web-1", weight=7)),
    ]
    lb.settle.observe(batch, lb.now)
    lb.advance(5.0)
    assert lb.settle.members == (claim("web-1", weight=7),)
    assert lb.settle.ignored == 2


def test_repeated_news_is_no_news():
    lb = Balancer("web-1")
    lb.settle.observe([Sighting("web-1", ALIVE, claim("web-1"))], lb.now)
    assert lb.settle.next_deadline() == math.inf


def test_members_beyond_the_limit_are_counted_and_ignored():
    lb = Balancer(max_members=2)
    lb.see("web-1", ALIVE)
    lb.see("web-2", ALIVE)
    assert lb.settle.ignored == 0
    lb.see("web-3", ALIVE)
    lb.advance(5.0)
    assert (lb.servers, lb.settle.ignored) == (["web-1", "web-2"], 1)


def test_65536_members_are_known_unless_told_otherwise_and_not_one_more():
    lb = Balancer()
    sightings = (Sighting(f"web-{i}", ALIVE, claim(f"web-{i}")) for i in range(1, 65_538))
    lb.settle.observe(islice(sightings, 65_536), lb.now)
    assert lb.settle.ignored == 0
    lb.settle.observe(sightings, lb.now)
    assert lb.settle.ignored == 1


def test_the_dead_do_not_count_against_the_limit():
    lb = Balancer("web-1", max_members=2)
    lb.see("web-2", ALIVE)
    lb.see("web-2", LEFT)
    lb.advance(100.0)
    lb.see("web-3", ALIVE)
    lb.advance(5.0)
    assert lb.servers == ["web-1", "web-3"]


def test_the_dead_of_an_old_file_that_is_larger_than_the_limit_make_room():
    lb = seeded("web-1", "web-2", "web-3", max_members=2)
    lb.see("web-1", ALIVE)
    for member in ("web-2", "web-3"):
        lb.see(member, LEFT)
    lb.advance(100.0)
    lb.see("web-4", ALIVE)
    assert (lb.servers, lb.settle.ignored) == (["web-1", "web-4"], 0)


# --- leaves


def test_a_leaver_is_drained_at_once_without_a_swap():
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", LEAVING)
    ((at, decision),) = lb.decisions
    assert at == lb.now
    assert decision.changes == ()
    assert decision.draining == {"web-1"}
    assert lb.servers == ["web-1", "web-2"]
    assert lb.notes == (Note("web-1", Topic.DRAINING),)


def test_a_member_that_begins_to_drain_changes_no_server_and_had_nothing_to_settle():
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", LEAVING)
    ((_, decision),) = lb.decisions
    assert (decision.changes, decision.draining, decision.settled_in) == ((), frozenset({"web-1"}), 0.0)


def test_leavers_go_out_together_half_a_second_after_the_last_one_left():
    lb = Balancer("web-1", "web-2", "web-3")
    start = lb.now
    lb.see("web-1", LEFT)
    lb.advance(0.3)
    lb.see("web-2", LEFT)
    assert lb.state == "settling"
    lb.advance(5.0)
    assert [(round(at - start, 3), changes(d)) for at, d in lb.swaps] == [
        (0.8, [("web-1", "left"), ("web-2", "left")])
    ]
    assert lb.swaps[0][1].draining == frozenset()
    assert lb.swaps[0][1].settled_in == pytest.approx(0.8)


def test_a_stream_of_leaves_is_applied_every_two_seconds():
    lb = Balancer(*(f"web-{i}" for i in range(10)))
    start = lb.now
    for i in range(7):
        lb.see(f"web-{i}", LEFT)
        lb.advance(0.4)
    assert [round(at - start, 3) for at, _ in lb.swaps] == [2.0]


def test_every_server_may_leave():
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", LEFT)
    lb.see("web-2", LEFT)
    lb.advance(5.0)
    assert lb.servers == []


def test_the_last_up_server_is_drained_when_it_left_not_when_it_says_so():
    lb = Balancer("web-1", "web-2")
    lb.up = {"web-1"}
    lb.see("web-1", LEAVING)
    lb.advance(3.0)
    assert lb.decisions == []
    lb.see("web-1", LEFT)
    assert lb.decisions == []
    assert lb.state == "held(min_backends)"
    lb.up = set()
    lb.advance(1.0)
    assert lb.servers == ["web-2"]


def test_a_leaver_is_drained_as_soon_as_another_server_is_up():
    lb = Balancer("web-1", "web-2")
    lb.up = {"web-1"}
    lb.see("web-1", LEAVING)
    lb.advance(1.0)
    lb.up = {"web-1", "web-2"}
    lb.advance(RECHECK)
    assert lb.decisions[-1][1].draining == {"web-1"}


def test_a_leaver_that_is_down_is_drained_if_anybody_is_up():
    lb = Balancer("web-1", "web-2")
    lb.up = {"web-2"}
    lb.see("web-1", LEAVING)
    assert lb.decisions[0][1].draining == {"web-1"}


def test_of_two_last_leavers_the_second_serves_on():
    lb = Balancer("web-1", "web-2")
    lb.see("web-2", LEAVING)
    lb.advance(0.1)
    lb.see("web-1", LEAVING)
    assert lb.decisions[-1][1].draining == {"web-2"}


def test_a_server_of_another_backend_replaces_nobody():
    lb = Balancer()
    lb.see("web-1", ALIVE)
    lb.see("api-1", ALIVE, claim("api-1", backend="api"))
    lb.advance(5.0)
    lb.decisions.clear()
    lb.see("web-1", LEAVING)
    assert lb.decisions == []


def test_a_drained_leaver_stays_drained_when_the_others_go_down():
    lb = Balancer("web-1", "web-2")
    lb.up = {"web-1", "web-2"}
    lb.see("web-1", LEAVING)
    lb.up = {"web-1"}
    lb.see("web-2", ALIVE, claim("web-2", weight=5))
    assert lb.decisions[-1][1].draining == {"web-1"}


def test_a_refuted_leave_makes_the_server_ready_again():
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", LEAVING)
    lb.see("web-1", ALIVE)
    assert lb.decisions[-1][1].draining == frozenset()
    assert lb.swaps == []


def test_a_member_that_takes_its_claim_back_goes_like_a_leaver():
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", ALIVE, None)
    assert lb.decisions[0][1].draining == {"web-1"}
    lb.advance(1.0)
    assert changes(lb.swaps[0][1]) == [("web-1", "withdrawn")]


def test_who_left_comes_back_as_an_arrival():
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", LEFT)
    lb.advance(1.0)
    lb.see("web-1", ALIVE)
    lb.advance(2.0)
    assert lb.servers == ["web-1", "web-2"]


# --- failures: the conditions


def test_a_failed_server_goes_out_after_a_quiet_period():
    lb = Balancer("web-1", "web-2")
    start = lb.now
    lb.see("web-1", FAILED)
    assert lb.state == "waiting(quiet)"
    lb.advance(5.0)
    assert [(round(at - start, 3), changes(d)) for at, d in lb.swaps] == [(Q, [("web-1", "failed")])]
    assert lb.state == "observing"


def test_a_failure_that_is_taken_back_in_time_changes_nothing():
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", FAILED)
    lb.advance(0.7)
    lb.see("web-1", ALIVE)
    lb.advance(10.0)
    assert lb.decisions == []


def test_one_burst_makes_one_cut():
    lb = Balancer(*(f"web-{i}" for i in range(8)))
    lb.suspects = {"web-1", "web-2", "web-3"}
    for member in ("web-1", "web-2", "web-3"):
        lb.see(member, FAILED)
        lb.suspects.discard(member)
        lb.advance(0.9)
    lb.advance(10.0)
    assert [changes(d) for _, d in lb.swaps] == [[(f"web-{i}", "failed") for i in (1, 2, 3)]]


def test_a_suspect_backend_delays_the_removal_and_another_member_does_not():
    lb = Balancer("web-1", "web-2", "web-3")
    lb.suspects = {"web-2", "lb-9"}
    lb.see("web-1", FAILED)
    lb.advance(10.0)
    assert lb.state == "waiting(suspect)"
    assert lb.swaps == []
    lb.suspects = {"lb-9"}
    lb.advance(RECHECK)
    assert len(lb.swaps) == 1


def test_a_second_failure_restarts_the_quiet_period():
    lb = Balancer("web-1", "web-2", "web-3")
    start = lb.now
    lb.see("web-1", FAILED)
    lb.advance(0.6)
    lb.see("web-2", FAILED)
    lb.advance(5.0)
    assert [round(at - start, 3) for at, _ in lb.swaps] == [0.6 + Q]


def test_a_member_that_flaps_between_two_polls_restarts_the_quiet_period():
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", FAILED)
    lb.advance(0.6)
    lb.settle.observe([Sighting("web-1", ALIVE, claim("web-1")), Sighting("web-1", FAILED, None)], lb.now)
    lb.poll()
    lb.advance(0.7)
    assert lb.swaps == []
    lb.advance(0.1)
    assert len(lb.swaps) == 1


def test_endless_suspicion_does_not_starve_a_removal():
    lb = Balancer("web-1", "web-2", "web-3")
    lb.suspects = {"web-2"}
    lb.see("web-1", FAILED)
    lb.advance(29.9)
    assert lb.swaps == []
    lb.advance(0.5)
    assert changes(lb.swaps[0][1]) == [("web-1", "failed")]


def test_an_endless_stream_of_failures_does_not_starve_the_first():
    lb = Balancer(*(f"web-{i}" for i in range(100, 200)))
    failed_at = {}
    for i in range(100, 190):
        failed_at[f"web-{i}"] = lb.now
        lb.see(f"web-{i}", FAILED)
        lb.advance(0.5)
    for at, decision in lb.swaps:
        assert all(at >= failed_at[change.member] + Q for change in decision.changes)
    first, at = lb.swaps[0][1], lb.swaps[0][0]
    assert ("web-100", "failed") in changes(first)
    assert at - 1005.0 <= 30.0 + RECHECK
    assert all(later - earlier >= MIN_GAP for (earlier, _), (later, _) in pairwise(lb.swaps))


def test_a_slow_node_waits_and_says_so():
    lb = Balancer("web-1", "web-2")
    lb.health = 4
    lb.see("web-1", FAILED)
    lb.advance(29.0)
    assert (lb.state, lb.swaps) == ("waiting(health)", [])
    lb.health = 3
    lb.advance(RECHECK)
    assert len(lb.swaps) == 1


def test_forged_suspicions_about_this_node_delay_a_removal_for_half_a_minute_at_most():
    lb = Balancer("web-1", "web-2")
    lb.health = 8
    lb.see("web-1", FAILED)
    lb.advance(30.0 + RECHECK)
    assert lb.servers == ["web-2"]


def test_an_isolated_balancer_removes_nobody_and_says_so_within_a_second():
    lb = Balancer("web-1", "web-2", "web-3")
    lb.fall_silent()
    lb.advance(3.5)
    lb.see("web-1", FAILED)
    lb.see("web-2", FAILED)
    assert lb.state == "waiting(quiet)"
    lb.advance(0.8)  # isolated since 0.3
    assert lb.state == "held(isolated)"
    assert Note("web-1", Topic.HELD, "isolated") in lb.notes
    lb.advance(300.0)
    assert lb.servers == ["web-1", "web-2", "web-3"]


def test_after_isolation_all_clocks_start_again():
    lb = Balancer("web-1", "web-2", "web-3")
    lb.fall_silent()
    lb.advance(5.0)
    lb.see("web-1", FAILED)
    lb.advance(60.0)
    lb.suspects = {"web-2"}
    lb.hear()
    lb.advance(25.0)
    assert lb.swaps == []  # not starved: what was learnt alone does not count
    lb.suspects = set()
    lb.advance(RECHECK)
    assert changes(lb.swaps[0][1]) == [("web-1", "failed")]


def test_members_that_return_when_isolation_ends_were_never_out():
    lb = Balancer("web-1", "web-2", "web-3")
    lb.fall_silent()
    lb.advance(10.0)
    for member in ("web-1", "web-2", "web-3"):
        lb.see(member, FAILED)
    lb.advance(300.0)
    lb.hear()
    for member in ("web-1", "web-2", "web-3"):
        lb.see(member, ALIVE)
        lb.advance(0.6)
    lb.advance(10.0)
    assert (lb.decisions, lb.state) == ([], "observing")


def test_isolation_without_failures_is_only_said():
    lb = Balancer("web-1")
    lb.fall_silent()
    lb.advance(4.5)
    assert lb.state == "degraded(isolated)"
    lb.others = 0
    assert lb.state == "empty"


def test_an_account_tells_who_said_it_how_long_it_took_and_what_haproxy_said():
    lb = Balancer("web-1", "web-2")
    lb.statuses["web-1"] = FAILED
    lb.settle.observe([Sighting("web-1", FAILED, None, ("lb-1", "web-2"))], lb.now)
    lb.poll()
    lb.advance(5.0)
    (account,) = lb.swaps[0][1].accounts
    assert account.change == Change("web-1", Reason.FAILED)
    assert account.said_by == ("lb-1", "web-2")
    assert account.seconds == pytest.approx(Q)
    assert account.health is Health.DOWN


def test_nobody_said_that_a_server_is_absent():
    lb = seeded("web-1", "web-2")
    lb.see("web-1", ALIVE)
    lb.advance(20.0)
    (account,) = lb.swaps[0][1].accounts
    assert (account.change, account.said_by) == (Change("web-2", Reason.ABSENT), ())


# --- failures: the guard


def test_the_last_servers_are_held_and_everything_else_goes_on():
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", FAILED)
    lb.see("web-2", FAILED)
    lb.advance(60.0)
    assert lb.state == "held(min_backends)"
    assert lb.notes == (
        Note("web-1", Topic.HELD, "min_backends"),
        Note("web-2", Topic.HELD, "min_backends"),
    )
    lb.see("web-3", ALIVE)
    assert lb.servers == ["web-1", "web-2", "web-3"]


def test_a_hold_ends_when_another_server_is_up():
    lb = Balancer("web-1")
    lb.up = set()
    lb.see("web-1", FAILED)
    lb.advance(10.0)
    lb.see("web-2", ALIVE)
    lb.advance(10.0)
    assert lb.servers == ["web-1", "web-2"]
    lb.up = {"web-2"}
    lb.advance(RECHECK)
    assert lb.servers == ["web-2"]


def test_without_haproxys_word_a_hold_ends_when_another_member_is_alive_and_not_suspect():
    lb = Balancer("web-1")
    lb.see("web-1", FAILED)
    lb.advance(10.0)
    lb.see("web-2", ALIVE)
    lb.advance(5.0)
    assert lb.servers == ["web-2"]


def test_a_held_member_that_returns_is_held_no_longer():
    lb = Balancer("web-1")
    lb.see("web-1", FAILED)
    lb.advance(10.0)
    lb.see("web-1", ALIVE)
    assert (lb.state, lb.notes, lb.swaps) == ("observing", (), [])


def test_a_leave_is_never_held():
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", FAILED)
    lb.see("web-2", FAILED)
    lb.advance(5.0)
    lb.see("web-1", LEFT)
    lb.advance(1.0)
    assert changes(lb.swaps[0][1]) == [("web-1", "left")]
    assert lb.state == "held(min_backends)"


def test_a_leaver_is_nobody_to_fall_back_on():
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", LEAVING)
    lb.see("web-2", FAILED)
    lb.advance(5.0)
    assert lb.state == "held(min_backends)"


def test_one_backend_held_does_not_hold_another():
    lb = Balancer("web-1", "web-2")
    lb.see("api-3", ALIVE, claim("api-3", backend="api"))
    lb.advance(5.0)
    lb.decisions.clear()
    lb.see("api-3", FAILED)
    lb.see("web-1", FAILED)
    lb.advance(5.0)
    assert [changes(d) for _, d in lb.swaps] == [[("web-1", "failed")]]
    assert lb.state == "held(min_backends)"


def test_a_failure_that_passes_in_one_backend_takes_none_along_that_is_held_in_the_next():
    lb = Balancer("web-1")
    for member in ("api-3", "api-4"):
        lb.see(member, ALIVE, claim(member, backend="api"))
    lb.advance(5.0)
    lb.decisions.clear()
    lb.see("api-3", FAILED)
    lb.see("web-1", FAILED)
    lb.advance(5.0)
    assert [changes(d) for _, d in lb.swaps] == [[("api-3", "failed")]]
    assert lb.state == "held(min_backends)"


def test_a_new_failure_beside_held_ones_waits_for_certainty_first():
    lb = Balancer("web-1", "web-2", min_backends=2)
    lb.see("web-1", FAILED)
    lb.advance(5.0)
    assert lb.state == "held(min_backends)"
    lb.see("web-2", FAILED)
    assert lb.state == "waiting(quiet)"
    assert lb.notes == (Note("web-1", Topic.HELD, "min_backends"),)


# --- failures: HAProxy is the second witness


def test_a_server_that_haproxy_calls_up_is_not_removed_for_its_agents_failure():
    lb = Balancer("web-1", "web-2", "web-3", "web-4")
    lb.up = {"web-1", "web-2", "web-3", "web-4"}
    for member in ("web-1", "web-2", "web-3"):
        lb.see(member, FAILED)
    assert lb.settle.needs_health
    lb.advance(1.0)
    assert lb.state == "waiting(haproxy)"
    lb.advance(120.0)
    assert (lb.state, lb.swaps) == ("held(disputed)", [])
    assert lb.notes == tuple(Note(f"web-{i}", Topic.HELD, "disputed") for i in (1, 2, 3))


def test_a_dispute_ends_when_haproxy_agrees():
    lb = Balancer("web-1", "web-2")
    lb.up = {"web-1", "web-2"}
    lb.see("web-1", FAILED)
    lb.advance(100.0)
    lb.up = {"web-2"}
    lb.advance(RECHECK)
    assert changes(lb.swaps[0][1]) == [("web-1", "failed")]
    assert lb.state == "observing"
    assert not lb.settle.needs_health


@pytest.mark.parametrize(("status", "servers"), [(ALIVE, ["web-1", "web-2"]), (LEFT, ["web-2"])])
def test_a_dispute_ends_when_the_member_returns_or_leaves(status, servers):
    lb = Balancer("web-1", "web-2")
    lb.up = {"web-1", "web-2"}
    lb.see("web-1", FAILED)
    lb.advance(100.0)
    lb.see("web-1", status)
    lb.advance(1.0)
    assert (lb.state, lb.servers) == ("observing", servers)


def test_a_dispute_ends_though_forged_suspicions_keep_this_node_slow():
    lb = Balancer("web-1", "web-2")
    lb.up = {"web-1", "web-2"}
    lb.see("web-1", FAILED)
    lb.advance(60.0)
    lb.health = 8
    lb.up = {"web-2"}
    lb.advance(RECHECK)
    assert lb.servers == ["web-2"]


def test_one_burst_makes_one_cut_although_haproxy_notices_one_server_after_the_other():
    lb = Balancer(*(f"web-{i}" for i in range(8)))
    lb.up = {f"web-{i}" for i in range(3, 8)} | {"web-1"}
    for i in range(3):
        lb.see(f"web-{i}", FAILED)
    lb.advance(3.0)
    assert lb.swaps == []
    lb.up.discard("web-1")
    lb.advance(1.0)
    assert [changes(d) for _, d in lb.swaps] == [[(f"web-{i}", "failed") for i in range(3)]]


def test_a_disputed_server_delays_the_removal_of_others_for_a_moment_only():
    lb = Balancer("web-1", "web-2", "web-3")
    lb.up = {"web-1", "web-3"}
    lb.see("web-1", FAILED)
    lb.see("web-2", FAILED)
    lb.advance(4.9)
    assert (lb.state, lb.swaps) == ("waiting(haproxy)", [])
    lb.advance(RECHECK)
    assert changes(lb.swaps[0][1]) == [("web-2", "failed")]
    assert lb.state == "held(disputed)"


def test_a_stream_of_disputes_does_not_starve_a_confirmed_failure():
    lb = Balancer(*(f"web-{i}" for i in range(30)))
    lb.up = {f"web-{i}" for i in range(1, 30)}
    lb.see("web-0", FAILED)
    start = lb.now
    for i in range(1, 29):
        lb.advance(1.5)
        lb.see(f"web-{i}", FAILED)
    assert [changes(d) for _, d in lb.swaps] == [[("web-0", "failed")]]
    assert lb.swaps[0][0] - start <= 6.0


def test_a_disputed_server_counts_as_one_that_stays():
    lb = Balancer("web-1", "web-2")
    lb.up = {"web-1"}
    lb.see("web-1", FAILED)
    lb.advance(60.0)
    lb.see("web-2", FAILED)
    lb.advance(60.0)
    assert (lb.state, lb.servers) == ("held(disputed)", ["web-1"])


def test_while_haproxy_does_not_answer_a_failed_server_stays():
    lb = Balancer("web-1", "web-2")
    lb.healths = {"web-1": Health.UNKNOWN}
    lb.see("web-1", FAILED)
    lb.advance(120.0)
    assert (lb.state, lb.swaps) == ("held(unconfirmed)", [])
    lb.healths = {}
    lb.advance(RECHECK)
    assert lb.servers == ["web-2"]


def test_a_server_without_a_check_goes_after_a_minute_of_certain_failure():
    lb = Balancer("web-1", "web-2")
    lb.healths = {"web-1": Health.UNCHECKED, "web-2": Health.UNCHECKED}
    lb.see("web-1", FAILED)
    lb.advance(59.0)
    assert (lb.state, lb.swaps) == ("held(unconfirmed)", [])
    lb.advance(1.5)
    assert lb.servers == ["web-2"]


def test_the_last_servers_without_a_check_are_held_as_any_others():
    lb = Balancer("web-1", "web-2")
    lb.healths = {"web-1": Health.UNCHECKED, "web-2": Health.UNCHECKED}
    lb.see("web-1", FAILED)
    lb.see("web-2", FAILED)
    lb.advance(100.0)
    assert (lb.state, lb.servers) == ("held(min_backends)", ["web-1", "web-2"])


def test_different_holds_are_named_together():
    lb = Balancer("web-1", "web-2", min_backends=2)
    lb.up = {"web-1"}
    lb.see("web-1", FAILED)
    lb.see("web-2", FAILED)
    lb.advance(60.0)
    assert lb.state == "held(disputed,min_backends)"


# --- one address, one member


@pytest.mark.parametrize("status", [FAILED, LEFT])
def test_a_newcomer_at_the_address_of_the_gone_takes_its_place_in_one_change(status):
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", status)
    lb.see("web-3", ALIVE, claim("web-3", 1))
    ((_, decision),) = lb.swaps
    assert decision.members == (claim("web-2"), claim("web-3", 1))
    reason = Change("web-1", Reason.REPLACED, "web-3") if status is FAILED else Change("web-1", Reason.LEFT)
    assert set(decision.changes) == {reason, Change("web-3", Reason.ARRIVED)}


def test_a_newcomer_replaces_even_the_only_held_server():
    lb = Balancer("web-1")
    lb.see("web-1", FAILED)
    lb.advance(60.0)
    lb.see("web-2", ALIVE, claim("web-2", 1))
    assert lb.servers == ["web-2"]
    assert lb.state == "observing"


def test_two_alive_claimants_are_disputed_until_one_is_gone():
    lb = Balancer("web-1", "web-2")
    lb.see("web-3", ALIVE, claim("web-3", 1))
    lb.advance(10.0)
    assert lb.servers == ["web-1", "web-2"]
    assert lb.notes == (Note("web-3", Topic.DISPUTED, "web-1"),)
    assert (lb.state, lb.settle.next_deadline()) == ("observing", math.inf)
    lb.see("web-1", FAILED)
    assert lb.servers == ["web-2", "web-3"]


def test_a_replaced_member_that_returns_does_not_get_its_place_back():
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", FAILED)
    lb.see("web-3", ALIVE, claim("web-3", 1))
    lb.see("web-1", ALIVE)
    lb.advance(60.0)
    assert lb.servers == ["web-2", "web-3"]
    assert lb.notes == (Note("web-1", Topic.DISPUTED, "web-3"),)


def test_a_member_pushed_out_by_two_others_is_said_to_be_replaced():
    lb = Balancer("web-2", "web-3")
    lb.answering = {("10.0.0.1", 3)}
    lb.suspects = {"web-1"}
    lb.see("web-1", ALIVE, claim("web-1", 2))
    lb.see("web-2", ALIVE, claim("web-2", 3))
    lb.suspects = set()
    lb.advance(RECHECK)
    assert lb.settle.members == (claim("web-1", 2), claim("web-3"))
    assert Change("web-2", Reason.REPLACED) in lb.swaps[0][1].changes


def test_the_replacement_of_one_failure_does_not_take_out_another_early():
    lb = Balancer("web-1", "web-2", "web-3")
    lb.see("web-1", FAILED)
    lb.see("web-2", FAILED)
    lb.see("web-4", ALIVE, claim("web-4", 1))
    assert lb.servers == ["web-2", "web-3", "web-4"]
    lb.advance(5.0)
    assert lb.servers == ["web-3", "web-4"]


# --- flapping


def test_a_server_that_fails_every_other_second_makes_at_most_two_swaps():
    lb = Balancer("web-1", "web-2", "web-3")
    for _ in range(30):
        lb.see("web-1", FAILED)
        lb.advance(1.0)
        lb.see("web-1", ALIVE)
        lb.advance(1.0)
    assert lb.notes == (Note("web-1", Topic.DAMPED),)
    lb.advance(400.0)
    assert len(lb.swaps) == 2
    assert lb.servers == ["web-1", "web-2", "web-3"]
    assert lb.notes == ()


def test_who_failed_once_waits_for_two_seconds_beside_one_other_server():
    lb = Balancer("web-1", "web-2")
    lb.see("web-1", FAILED)
    lb.advance(1.0)
    lb.see("web-1", ALIVE)
    lb.advance(1.9)
    assert lb.servers == ["web-2"]
    lb.advance(0.1)
    assert lb.servers == ["web-1", "web-2"]


def test_who_flapped_and_is_gone_is_no_reason_to_look_again():
    lb = Balancer("web-1", "web-2")
    for _ in range(5):
        lb.see("web-1", ALIVE)
        lb.see("web-1", FAILED)
    lb.advance(1.0)
    assert lb.servers == ["web-2"]
    assert lb.settle.next_deadline() == math.inf


def test_the_only_server_is_never_damped():
    lb = Balancer("web-1", "web-2")
    for _ in range(5):
        lb.see("web-1", FAILED)
        lb.advance(1.0)
        lb.see("web-1", ALIVE)
        lb.advance(0.1)
    lb.see("web-2", LEFT)
    lb.advance(0.6)
    assert lb.servers == ["web-1"]


def test_a_mass_restart_under_the_same_names_makes_at_most_two_swaps():
    names = [f"web-{i}" for i in range(20, 40)]
    lb = Balancer(*names)
    lb.suspects = set(names)
    for name in names[:10]:  # for half of them the verdict came before they were back
        lb.suspects.discard(name)
        lb.see(name, FAILED)
    lb.advance(3.0)
    for name in names:
        lb.suspects.discard(name)
        lb.see(name, ALIVE)
    lb.advance(60.0)
    assert lb.swaps == []


# --- start with an old file


def seeded(*members, **config):
    lb = Balancer(**config)
    lb.settle.seed([claim(member) for member in members], lb.now)
    lb.poll()
    return lb


def test_an_old_file_stays_as_it_is_until_join_wait_is_over():
    lb = seeded("web-1", "web-2")
    lb.see("web-1", ALIVE)
    lb.advance(14.9)
    assert (lb.state, lb.decisions) == ("waiting(join)", [])
    lb.advance(0.1 + Q)
    assert changes(lb.swaps[0][1]) == [("web-2", "absent")]


def test_a_failure_seen_during_join_wait_counts_when_everybody_is_accounted_for():
    lb = seeded("web-1", "web-2", "web-3")
    start = lb.now
    lb.see("web-1", ALIVE)
    lb.see("web-2", FAILED)
    lb.advance(3.0)
    assert lb.decisions == []
    lb.see("web-3", ALIVE)
    lb.advance(5.0)
    assert [(round(at - start, 3), changes(d)) for at, d in lb.swaps] == [(3.0 + Q, [("web-2", "failed")])]


def test_join_wait_delays_neither_arrivals_nor_leaves_nor_replacements():
    lb = seeded("web-1", "web-2", "web-3", "web-4")
    lb.see("web-5", ALIVE)
    lb.see("web-1", LEFT, None)
    lb.see("web-6", ALIVE, claim("web-6", 2))
    lb.advance(2.5)
    assert lb.servers == ["web-3", "web-4", "web-5", "web-6"]


def test_a_balancer_that_finds_nobody_keeps_the_old_file():
    lb = seeded("web-1", "web-2")
    lb.silent_since = -math.inf
    lb.others = 0
    lb.advance(120.0)
    assert (lb.state, lb.servers) == ("held(isolated)", ["web-1", "web-2"])


def test_an_empty_old_file_is_no_reason_to_wait():
    lb = seeded()
    assert lb.settle.next_deadline() == math.inf
    assert lb.state == "observing"


@pytest.mark.parametrize("digits", [8, 16, 32])
@pytest.mark.parametrize("wait", [1.0, 20.0], ids=["at once", "after join_wait"])
def test_a_member_with_an_unclean_name_is_recognised_by_its_servers_name(digits, wait):
    lb = Balancer()
    name = "web;1"
    lb.silent_since = -math.inf
    lb.settle.seed([claim(replaced_name(name, digits), 1)], lb.now)
    lb.poll()
    lb.advance(wait)
    lb.settle.observe([Sighting(name, ALIVE, claim(name, 9))], lb.now)
    assert lb.notes == (() if wait < 15 else (Note(name, Topic.HELD, "isolated"),))
    lb.poll()
    assert lb.settle.members == (claim(name, 9),)
    assert changes(lb.swaps[0][1]) == [(name, "changed")]


def test_an_unclean_name_that_resembles_a_seen_member_is_a_member_of_its_own():
    lb = Balancer()
    name = replaced_name("web;1")
    lb.see(name, ALIVE, claim(name, 5))
    lb.see("web;1", ALIVE, claim("web;1", 6))
    lb.advance(2.0)
    assert {name, "web;1"} <= set(lb.servers)
    lb.see("web;1", LEFT, None)
    assert name in lb.servers


@pytest.mark.parametrize("word", [Health.UP, Health.UNCHECKED, Health.UNKNOWN])
def test_a_server_that_nobody_has_mentioned_stays_unless_haproxy_calls_it_down(word):
    lb = seeded("web-1", "web-2", "web-3")
    lb.healths = dict.fromkeys(("web-1", "web-2", "web-3"), word)
    lb.see("web-4", ALIVE)
    lb.advance(120.0)
    assert lb.servers == ["web-1", "web-2", "web-3", "web-4"]
    assert lb.state == ("held(disputed)" if word is Health.UP else "held(unconfirmed)")
    lb.healths = {}
    lb.advance(RECHECK)
    assert lb.servers == ["web-4"]


# --- the walk-throughs of the design


def test_one_web_killed_stays_and_is_held():
    lb = Balancer("web-1", start=0.0)
    lb.fall_silent()
    lb.suspects = {"web-1"}
    lb.advance(5.5)
    lb.suspects = set()
    lb.see("web-1", FAILED)
    lb.others = 0
    lb.advance(100.0)
    assert (lb.swaps, lb.state, lb.servers) == ([], "held(isolated)", ["web-1"])


def test_two_webs_one_killed_is_out_within_eight_seconds_in_one_swap_without_a_hold():
    lb = Balancer("web-1", "web-2", start=0.0)
    killed = lb.now
    lb.advance(1.0)
    lb.suspects = {"web-1"}
    lb.advance(5.6)
    lb.suspects = set()
    lb.see("web-1", FAILED)
    states = {lb.state}
    while lb.servers != ["web-2"]:
        lb.advance(0.1)
        states.add(lb.state)
    assert lb.now - killed <= 8.0
    assert states == {"waiting(quiet)", "observing"}
    assert len(lb.swaps) == 1


def test_two_webs_both_killed_are_kept_until_newcomers_are_up():
    lb = Balancer("web-1", "web-2", start=0.0)
    lb.up = {"web-1", "web-2"}
    lb.fall_silent()
    lb.suspects = {"web-1", "web-2"}
    lb.up = set()
    lb.advance(6.0)
    lb.suspects = set()
    lb.see("web-1", FAILED)
    lb.see("web-2", FAILED)
    lb.advance(60.0)
    assert (lb.state, lb.swaps) == ("held(isolated)", [])
    lb.hear()
    lb.see("web-3", ALIVE, claim("web-3", 1))  # at a reused address
    assert lb.servers == ["web-2", "web-3"]
    lb.advance(0.3)
    lb.see("web-4", ALIVE)
    lb.advance(1.0)
    lb.up = {"web-3", "web-4"}
    lb.advance(1.0)
    assert lb.servers == ["web-3", "web-4"]
    assert lb.state == "observing"


def test_three_webs_two_killed_go_in_one_swap():
    lb = Balancer("web-1", "web-2", "web-3", start=0.0)
    lb.suspects = {"web-1", "web-2"}
    lb.advance(6.0)
    lb.suspects = {"web-2"}
    lb.see("web-1", FAILED)
    lb.advance(0.4)
    lb.suspects = set()
    lb.see("web-2", FAILED)
    lb.advance(5.0)
    assert [changes(d) for _, d in lb.swaps] == [[("web-1", "failed"), ("web-2", "failed")]]
    assert lb.servers == ["web-3"]


def test_a_rolling_release_drains_leavers_and_takes_newcomers_without_a_hold():
    lb = Balancer("web-1", "web-2", "web-3", start=0.0)
    states = set()
    for i in (1, 2, 3):
        lb.see(f"web-{i}", LEAVING)
        assert lb.decisions[-1][1].draining == {f"web-{i}"}
        lb.advance(1.5)
        lb.see(f"web-{i}", LEFT)
        lb.advance(3.0)
        lb.see(f"web-{i + 3}", ALIVE, claim(f"web-{i + 3}", i))
        states.add(lb.state)
        lb.advance(5.0)
    assert lb.servers == ["web-4", "web-5", "web-6"]
    assert states == {"observing"}
    assert len(lb.swaps) == 6


def test_a_web_cut_off_for_20_seconds_is_out_and_back_in_two_swaps():
    lb = Balancer("web-1", "web-2", start=0.0)
    cut = lb.now
    lb.suspects = {"web-1"}
    lb.advance(6.5)
    lb.suspects = set()
    lb.see("web-1", FAILED)
    lb.advance(13.5)
    lb.see("web-1", ALIVE)
    lb.advance(5.0)
    (out, _), (back, _) = lb.swaps
    assert 6.0 <= out - cut <= 9.0
    assert 20.0 <= back - cut <= 22.0


def test_a_balancer_cut_off_for_five_minutes_removes_nobody():
    lb = Balancer("web-1", "web-2", "web-3", start=0.0)
    lb.fall_silent()
    lb.suspects = {"web-1", "web-2", "web-3"}
    lb.advance(6.0)
    lb.suspects = set()
    for member in ("web-1", "web-2", "web-3"):
        lb.see(member, FAILED)
    lb.advance(300.0)
    assert (lb.state, lb.swaps) == ("held(isolated)", [])
    lb.hear()
    for member in ("web-1", "web-2", "web-3"):
        lb.see(member, ALIVE)
    assert (lb.state, lb.swaps) == ("observing", [])
