"""The decisions of one balancer: effects of a node in, plans out."""

import random

import pytest

from gossip.serf.config import SerfConfig
from gossip.serf.effects import (
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberUpdated,
    PushPullReceived,
    UserEventReceived,
)
from gossip.serf.members import MemberStatus, SerfMember
from gossip.serf.node import LocalMember, SerfNode
from gossip.serf.tags import encode_tags
from gossip.swim.config import SwimConfig
from gossip.swim.effects import NameConflict
from gossip.wire.address import Address
from gossip.wire.messages import Alive
from gossip.wire.serf_messages import UserEvent
from lb.policy.decision import Note, Topic
from lb.policy.plan import Claim, MappedName, PlanConfig, Rejection
from lb.policy.reconciler import Reconciler, detector_view
from lb.policy.settle import Settle, SettleConfig
from lb.policy.witness import Health

BACKEND = {"role": "backend", "port": "80"}
CLAIM = Claim("web", "web-1", "10.0.0.9", 80, 100)


def node(**tags):
    """A node that knows nobody else."""
    me = LocalMember("lb-1", bytes((10, 0, 0, 1)), 7946, tags)
    return SerfNode(SerfConfig(swim=SwimConfig.lan()), me, rng=random.Random(1), now=0.0)


def member(name="web-1", **tags):
    alive = Alive(1, name, bytes((10, 0, 0, 9)), 7946, encode_tags(tags or BACKEND), (1, 5, 2, 2, 5, 4))
    return SerfMember(alive, MemberStatus.ALIVE, 1, 0.0)


def reconciler(complain=pytest.fail):
    return Reconciler(Settle(SettleConfig()), PlanConfig(), complain)


def members(plan):
    return [server.member for server in plan.servers]


def test_arrival_becomes_a_step_from_the_plan_before_to_the_plan_with_it():
    lb = reconciler()
    lb.begin(node(), 0.0)
    assert lb.observe([MemberJoined(member())], 5.0)
    step = lb.handle_timeout(None, 5.0)
    assert (members(step.before), members(step.after)) == ([], ["web-1"])
    assert step.after is lb.plan
    assert [change.member for change in step.decision.changes] == ["web-1"]


def test_a_name_that_two_agents_claim_does_not_leave_by_a_leave_broadcast():
    lb = reconciler()
    lb.begin(node(), 0.0)
    lb.observe([MemberJoined(member()), MemberJoined(member("web-2", role="backend", port="81"))], 5.0)
    lb.handle_timeout(None, 5.0)
    lb.observe([NameConflict("web-1", Address("10.0.0.9", 7946), Address("10.0.0.7", 7946))], 6.0)
    left = member()
    left.become(MemberStatus.LEFT, 7.0)
    lb.observe([MemberLeft(left)], 7.0)
    lb.handle_timeout({"web-1": Health.UP}, 10.0)
    assert "web-1" in members(lb.plan)


def test_a_server_moves_when_its_new_place_answers():
    lb = reconciler()
    lb.begin(node(), 0.0)
    lb.observe([MemberJoined(member())], 5.0)
    lb.handle_timeout(None, 5.0)
    lb.observe([MemberUpdated(member(role="backend", port="81"))], 10.0)
    assert lb.handle_timeout({"web-1": Health.UP}, 10.0) is None
    assert [(claim.host, claim.port) for claim in lb.moves] == [("10.0.0.9", 81)]
    assert lb.notes == (Note("web-1", Topic.MOVING, "10.0.0.9 81"),)
    step = lb.handle_timeout({"web-1": Health.UP}, 11.0, [("10.0.0.9", 81)])
    assert [server.port for server in step.after.servers] == [81]
    assert (lb.moves, lb.kept, lb.turned_away) == ((), (), 0)
    assert not lb.full


def test_nothing_new_is_no_step():
    lb = reconciler()
    lb.begin(node(), 0.0)
    assert lb.handle_timeout(None, 5.0) is None


def test_what_does_not_concern_servers_is_no_reason_to_look():
    event = UserEventReceived(UserEvent(ltime=1, name="x", payload=b"", coalesce=False))
    assert not reconciler().observe([event], 0.0)


def test_members_that_the_node_knows_already_are_taken_in_at_the_beginning():
    lb = reconciler()
    lb.begin(node(**BACKEND), 5.0)
    assert members(lb.handle_timeout(None, 5.0).after) == ["lb-1"]


def test_an_event_that_was_missed_is_healed_by_the_next_look_at_all_members():
    lb, follows = reconciler(), node()
    lb.begin(follows, 0.0)
    follows.set_tags(BACKEND, 1.0)
    assert lb.next_deadline() == 30.0
    assert lb.handle_timeout(None, 29.9) is None
    assert members(lb.handle_timeout(None, 30.0).after) == ["lb-1"]
    assert lb.next_deadline() == 60.0


def test_old_file_is_a_step_of_its_own():
    step = reconciler().start_from([CLAIM])
    assert members(step.before) == []
    assert members(step.after) == ["web-1"]
    assert step.decision.changes == ()


def test_oddities_are_passed_on():
    complaints = []
    lb = reconciler(complaints.append)
    lb.begin(node(), 0.0)
    lb.observe([MemberJoined(member("web 1")), MemberJoined(member("b", role="backend"))], 5.0)
    lb.handle_timeout(None, 5.0)
    assert complaints[0] == Rejection("b", "no port tag")
    assert [type(about) for about in complaints[1:]] == [MappedName]


def test_haproxys_word_is_needed_exactly_while_a_server_may_be_on_its_way_out():
    lb = reconciler()
    lb.begin(node(), 0.0)
    lb.observe([MemberJoined(member())], 5.0)
    lb.handle_timeout(None, 5.0)
    assert not lb.needs_health
    failed = member()
    failed.become(MemberStatus.FAILED, 6.0)
    lb.observe([MemberFailed(failed)], 6.0)
    lb.handle_timeout(None, 6.0)
    assert lb.needs_health
    lb.observe([MemberJoined(member())], 7.0)
    lb.handle_timeout({"web-1": Health.UP}, 7.0)
    assert not lb.needs_health


def test_servers_for_which_there_is_no_room_are_complained_about():
    complaints = []
    lb = Reconciler(Settle(SettleConfig()), PlanConfig(max_servers_per_backend=1), complaints.append)
    assert members(lb.start_from([CLAIM, Claim("web", "web-2", "10.0.0.8", 80, 100)]).after) == ["web-1"]
    assert complaints == [Rejection("web-2", "backend is full (1 servers)")]


def test_names_that_a_peer_knows_to_have_left_take_a_server_out_unless_they_are_members():
    old = [CLAIM, Claim("web", "lb-1", "10.0.0.1", 80, 100)]
    settle = Settle(SettleConfig())
    settle.seed(old, 0.0)
    lb = Reconciler(settle, PlanConfig(), pytest.fail)
    lb.start_from(old)
    lb.begin(node(**BACKEND), 0.0)
    assert lb.observe([PushPullReceived((), ("web-1", "lb-1"), initiated=True)], 1.0)
    assert members(lb.handle_timeout(None, 3.0).after) == ["lb-1"]


def test_before_the_node_runs_it_has_no_members():
    lb = reconciler()
    assert lb.observe([PushPullReceived((), ("web-1",), initiated=True)], 0.0)


def test_view_is_what_the_node_knows():
    follows = node()
    view = detector_view(follows, {"web-1": Health.UP})
    swim = follows.config.swim
    assert (view.gossip_interval, view.probe_interval) == (swim.gossip_interval, swim.probe_interval)
    assert view.others_alive == 0
    assert view.last_heard == follows.last_heard
    assert view.healths == {"web-1": Health.UP}
