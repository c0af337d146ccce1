import pytest

from gossip.errors import LocalProtocolError
from gossip.serf.config import SerfConfig
from gossip.serf.effects import LeaveAnnounced, LeaveFinished
from gossip.serf.leave import LEAVE, LeaveStage
from gossip.serf.members import MemberStatus
from gossip.swim.effects import BroadcastFinished
from gossip.wire.messages import Ack, Dead, Ping
from gossip.wire.serf_messages import JoinIntent, LeaveIntent
from tests.serf.rig import ME, Rig, rig_of

ALIVE, LEAVING, LEFT = MemberStatus.ALIVE, MemberStatus.LEAVING, MemberStatus.LEFT


def stage(rig: Rig) -> LeaveStage:
    return rig.node._leave.stage


def begin(rig: Rig) -> None:
    rig.node.begin_leave(rig.now)


def finish(rig: Rig) -> None:
    rig.node.finish_leave(rig.now)


def test_a_leave_is_announced_before_it_is_done():
    rig = rig_of("n1")
    begin(rig)
    assert rig.queued() == [LeaveIntent(1, ME)]
    assert rig.node.status is LEAVING
    assert rig.status(ME) is LEAVING
    assert rig.told() == [("MemberLeaving", ME)]
    assert rig.emitted(LeaveAnnounced) == []


def test_the_clock_steps_past_the_leave():
    rig = rig_of("n1")
    begin(rig)
    assert rig.node.stats()["member_time"] == "2"


def test_the_announcement_is_complete_when_it_was_sent_as_often_as_it_will_be():
    rig = rig_of("n1")
    begin(rig)
    rig.advance(4.0)
    assert len(rig.sent(LeaveIntent)) == 4
    assert rig.emitted(LeaveAnnounced) == [LeaveAnnounced()]
    assert stage(rig) is LeaveStage.ANNOUNCED


def test_an_announcement_that_does_not_spread_times_out_and_never_aborts():
    rig = rig_of("n1", config=SerfConfig(broadcast_timeout=0.05))
    begin(rig)
    rig.advance(0.05)
    assert rig.emitted(LeaveAnnounced) == [LeaveAnnounced()]
    rig.advance(5.0)
    assert len(rig.emitted(LeaveAnnounced)) == 1
    assert rig.node.status is LEAVING


def test_an_announced_node_is_a_full_member_until_it_is_told_to_finish():
    rig = rig_of("n1")
    begin(rig)
    rig.advance(3600.0)
    assert rig.node.status is LEAVING
    assert rig.emitted(LeaveFinished) == []
    rig.forget()
    rig.hear(Ping(5, ME))
    assert rig.sent(Ack) == [Ack(5)]


def test_the_leave_broadcast_says_that_we_are_gone_by_our_own_word():
    rig = rig_of("n1")
    begin(rig)
    rig.advance(2.0)
    finish(rig)
    assert rig.status(ME) is LEFT
    rig.advance(2.0)
    assert rig.sent(Dead) == [Dead(1, ME, ME)] * 4


def test_after_the_leave_broadcast_the_node_lingers_for_a_second():
    rig = rig_of("n1")
    begin(rig)
    rig.advance(2.0)
    finish(rig)
    while stage(rig) is LeaveStage.DEPARTING:
        rig.advance(0.01)
    assert rig.node.status is LEAVING
    rig.advance(0.98)
    assert rig.emitted(LeaveFinished) == []
    rig.advance(0.03)
    assert rig.emitted(LeaveFinished) == [LeaveFinished()]
    assert rig.node.status is LEFT


def test_a_leave_broadcast_that_does_not_spread_times_out_and_never_aborts():
    rig = rig_of("n1", config=SerfConfig(broadcast_timeout=0.05))
    begin(rig)
    rig.advance(1.0)
    finish(rig)
    rig.advance(1.06)
    assert rig.emitted(LeaveFinished) == [LeaveFinished()]


def test_the_leaver_answers_to_the_end():
    rig = rig_of("n1")
    finish(rig)
    rig.advance(10.0)
    rig.forget()
    rig.hear(Ping(5, ME))
    assert rig.sent(Ack) == [Ack(5)]


def test_alone_a_node_leaves_at_once():
    rig = rig_of()
    begin(rig)
    assert rig.emitted(LeaveAnnounced) == [LeaveAnnounced()]
    finish(rig)
    assert rig.emitted(LeaveFinished) == [LeaveFinished()]
    assert rig.node.status is LEFT
    assert LEAVE not in rig.node.swim.deadlines
    rig.advance(60.0)
    assert rig.emitted(BroadcastFinished) == []


def test_with_only_the_gone_a_node_is_alone():
    rig = rig_of("n1")
    rig.fail("n1")
    finish(rig)
    assert rig.emitted(LeaveFinished) == [LeaveFinished()]


def test_a_leaver_that_becomes_alone_while_announcing_leaves_at_once():
    rig = rig_of("n1")
    begin(rig)
    rig.fail("n1")
    finish(rig)
    assert rig.emitted(LeaveFinished) == [LeaveFinished()]
    assert LEAVE not in rig.node.swim.deadlines
    rig.advance(60.0)
    assert len(rig.emitted(LeaveFinished)) == 1


def test_finish_before_begin_announces_as_well():
    rig = rig_of("n1")
    finish(rig)
    assert rig.queued() == [LeaveIntent(1, ME)]
    assert stage(rig) is LeaveStage.DEPARTING
    rig.advance(5.0)
    assert rig.emitted(LeaveFinished) == [LeaveFinished()]
    assert rig.sent(LeaveIntent)


def test_finish_while_announcing_goes_on_and_never_goes_back():
    rig = rig_of("n1")
    begin(rig)
    rig.advance(0.3)
    finish(rig)
    rig.advance(10.0)
    assert rig.emitted(LeaveAnnounced) == []
    assert rig.emitted(LeaveFinished) == [LeaveFinished()]


def test_a_second_begin_is_a_no_op():
    rig = rig_of("n1")
    begin(rig)
    begin(rig)
    assert rig.queued() == [LeaveIntent(1, ME)]
    rig.advance(5.0)
    begin(rig)
    assert len(rig.emitted(LeaveAnnounced)) == 1
    assert rig.queued() == []


def test_a_second_finish_is_a_no_op():
    rig = rig_of("n1")
    finish(rig)
    finish(rig)
    rig.advance(5.0)
    finish(rig)
    assert len(rig.emitted(LeaveFinished)) == 1


def test_the_end_of_the_leaves_own_broadcasts_is_not_reported():
    rig = rig_of("n1")
    begin(rig)
    rig.advance(5.0)
    finish(rig)
    rig.advance(5.0)
    assert rig.emitted(BroadcastFinished) == []


def test_a_join_that_ends_while_leaving_does_not_take_the_leave_back():
    rig = rig_of("n1")
    begin(rig)
    rig.node.announce_join(rig.now)
    assert rig.status(ME) is LEAVING
    assert rig.queued() == [LeaveIntent(1, ME)]


def test_our_own_intent_is_not_refuted_when_it_comes_back():
    rig = rig_of("n1")
    begin(rig)
    rig.say(LeaveIntent(1, ME))
    assert rig.queued() == [LeaveIntent(1, ME)]
    assert rig.status(ME) is LEAVING


def test_a_newer_leave_intent_about_a_leaver_is_passed_on():
    rig = rig_of("n1")
    begin(rig)
    rig.drain_queues()
    rig.say(LeaveIntent(9, ME))
    assert rig.queued() == [LeaveIntent(9, ME)]


@pytest.mark.parametrize("step", [begin, finish])
def test_an_own_broadcast_that_ends_in_another_stage_moves_nothing(step):
    rig = rig_of("n1", config=SerfConfig(broadcast_timeout=0.05))
    begin(rig)
    rig.advance(0.06)  # timed out, although the intent is still being sent
    step(rig)
    before = stage(rig)
    rig.drain_queues()
    rig.say(JoinIntent(3, "n1"))  # any input reports what is finished
    assert len(rig.emitted(LeaveAnnounced)) == 1
    assert stage(rig) is (LeaveStage.LINGERING if before is LeaveStage.DEPARTING else before)


def test_tags_cannot_change_after_the_leave_broadcast():
    rig = rig_of("n1")
    rig.node.set_tags({"draining": "yes"}, rig.now)
    begin(rig)
    rig.node.set_tags({"draining": "no"}, rig.now)
    finish(rig)
    with pytest.raises(LocalProtocolError, match="the node is leaving"):
        rig.node.set_tags({}, rig.now)
    assert rig.node.tags == {"draining": "no"}


def test_a_leaver_that_is_pruned_meanwhile_still_finishes():
    rig = rig_of("n1")
    begin(rig)
    rig.say(LeaveIntent(9, ME, prune=True))
    rig.advance(7.0)
    assert rig.status(ME) is LEAVING
    rig.node.set_tags({"a": "b"}, rig.now)
    finish(rig)
    rig.advance(10.0)
    assert rig.emitted(LeaveFinished) == [LeaveFinished()]
    assert ALIVE not in {member.status for member in rig.node.members() if member.name == ME}
