from collections import Counter
from inspect import getsource
from math import inf
from random import Random

import pytest

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.serf.config import SerfConfig
from gossip.serf.effects import PushPullReceived, QueueDeep, SuspicionConfirmed, UserEventReceived
from gossip.serf.lamport import LAST_TIME, MAX_TIME_AHEAD
from gossip.serf.members import MemberStatus
from gossip.serf.node import LocalMember, SerfNode
from gossip.serf.tags import encode_tags
from gossip.swim.config import SwimConfig
from gossip.swim.deadlines import Timer
from gossip.swim.effects import (
    BroadcastFinished,
    MessageRejected,
    OpenPushPull,
    OpenStreamPing,
    SendPacket,
)
from gossip.swim.node import SwimNode
from gossip.wire.codec import decode
from gossip.wire.messages import (
    PROTOCOL_VERSIONS,
    Ack,
    Alive,
    Dead,
    MemberState,
    Nack,
    Ping,
    PushPull,
    Suspect,
    UserMessage,
)
from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import (
    MAX_U64,
    JoinIntent,
    LeaveIntent,
    QueryResponse,
    UserEvent,
)
from tests.serf.rig import ME, PORT, STRANGER, Rig, alive, home, host, past, query, rig_of, state
from tests.swim.rig import row

ALIVE, LEAVING, LEFT, FAILED = (
    MemberStatus.ALIVE,
    MemberStatus.LEAVING,
    MemberStatus.LEFT,
    MemberStatus.FAILED,
)


# --- birth ------------------------------------------------------------------------------------------------


def test_a_new_node_is_its_own_first_member():
    rig = Rig(tags={"role": "web"})
    assert [member.name for member in rig.node.members()] == [ME]
    assert rig.node.status is ALIVE
    assert rig.node.tags == {"role": "web"}
    assert rig.told() == [("MemberJoined", ME)]
    assert rig.announced() == [Alive(1, ME, host(ME), PORT, encode_tags({"role": "web"}), PROTOCOL_VERSIONS)]


def test_a_node_is_not_born_with_tags_that_do_not_fit():
    me = LocalMember(ME, host(ME), PORT, {"k": "v" * 600})
    with pytest.raises(LocalProtocolError, match="exceeds limit of 512 bytes"):
        SerfNode(SerfConfig(), me, rng=Random(1), now=0.0)


def test_effects_are_drained_by_reading_them():
    rig = Rig(members=["n1"])
    rig.fail("n1")
    assert rig.node.effects()
    assert rig.node.effects() == []


def test_members_are_listed_in_the_order_in_which_they_were_learnt():
    rig = rig_of("n3", "n1", "n2")
    rig.fail("n3")
    rig.hear(alive("n3", 2))
    assert [member.name for member in rig.node.members()] == [ME, "n3", "n1", "n2"]


# --- SWIM's reports ---------------------------------------------------------------------------------------


def test_a_members_whole_life_is_told():
    rig = rig_of()
    rig.hear(alive("n1"))
    rig.retag("n1", role="web")
    rig.suspect("n1", incarnation=2)
    rig.hear(alive("n1", 3, meta=encode_tags({"role": "web"})))
    rig.fail("n1", incarnation=3)
    rig.hear(alive("n1", 4, meta=encode_tags({"role": "web"})))
    rig.say(LeaveIntent(5, "n1"))
    rig.fail("n1", incarnation=4)
    assert [kind for kind, name in rig.told() if name == "n1"] == [
        "MemberJoined",
        "MemberUpdated",
        "MemberSuspected",
        "SuspicionRefuted",
        "MemberFailed",
        "MemberJoined",
        "MemberLeaving",
        "MemberLeft",
    ]


def test_suspects_are_known_by_name():
    rig = rig_of("n1", "n2")
    rig.suspect("n1")
    assert rig.node.suspects() == ["n1"]
    assert rig.node.is_suspect("n1")
    assert not rig.node.is_suspect("n2")


def test_a_leave_broadcast_is_a_leave_without_any_intent():
    rig = rig_of("n1")
    rig.hear(Dead(1, "n1", "n1"))
    assert rig.status("n1") is LEFT
    assert rig.told() == [("MemberLeft", "n1")]


def test_a_leave_broadcast_heard_by_push_pull_is_a_leave_without_any_intent():
    rig = rig_of("n1")
    rig.merge(None, row("n1", 1, MemberState.LEFT))
    assert rig.status("n1") is LEFT


def test_a_leave_broadcast_after_a_declared_failure_is_a_leave():
    rig = rig_of("n1")
    rig.fail("n1")
    assert rig.status("n1") is FAILED
    rig.hear(Dead(1, "n1", "n1"))
    assert rig.status("n1") is LEFT
    assert rig.told() == [("MemberFailed", "n1"), ("MemberLeft", "n1")]


def test_a_leave_intent_after_the_leave_broadcast_changes_no_status_and_is_passed_on():
    rig = rig_of("n1")
    rig.hear(Dead(1, "n1", "n1"))
    rig.say(LeaveIntent(5, "n1"))
    assert rig.status("n1") is LEFT
    assert rig.queued() == [LeaveIntent(5, "n1")]


def test_a_member_to_be_pruned_that_still_answers_may_announce_other_tags_and_come_back():
    rig = rig_of("n1")
    rig.say(LeaveIntent(5, "n1", prune=True))
    rig.advance(7.0)
    rig.retag("n1", role="web")
    assert rig.emitted(MessageRejected) == []
    rig.say(JoinIntent(6, "n1"))
    rig.advance(7.0)
    assert rig.status("n1") is ALIVE


def test_local_health_and_signs_of_life_are_swims():
    rig = rig_of("n1")
    assert Rig().node.last_heard == -inf
    rig.suspect(ME)
    rig.hear(Nack(1), source=home("n1"))
    assert rig.node.local_health == 1
    assert rig.node.last_heard == rig.now


def test_a_push_pull_of_ours_is_a_sign_of_life_and_one_of_theirs_is_not():
    rig = Rig()
    rig.merge(state())
    assert rig.node.last_heard == -inf
    rig.merge(state(), initiated=True)
    assert rig.node.last_heard == rig.now


# --- messages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [JoinIntent(5, "n1"), LeaveIntent(5, "n1"), JoinIntent(5, "unknown"), UserEvent(5, "deploy"), query(5)],
    ids=lambda message: f"{type(message).__name__}-{getattr(message, 'node', '')}",
)
def test_news_are_passed_on_as_they_came_and_only_once(message):
    rig = rig_of("n1")
    odd = encode_serf(message) + b"\xc0"  # Go ignores bytes after the map, and so do we
    for _ in range(2):
        rig.hear(UserMessage(odd))
    waiting = rig.take(127)
    assert waiting == [b"\x08" + odd]


@pytest.mark.parametrize("message", [UserEvent(5, "deploy"), query(5, flags=1)])
def test_events_and_queries_are_witnessed_each_by_its_own_clock(message):
    rig = rig_of()
    rig.say(message)
    stats = rig.node.stats()
    assert Counter([stats["member_time"], stats["event_time"], stats["query_time"]]) == {"1": 2, "6": 1}


def test_intents_are_witnessed_even_if_they_are_stale():
    rig = rig_of("n1")
    rig.say(JoinIntent(9, "n1"), JoinIntent(8, "n1"))
    assert rig.node.stats()["member_time"] == "10"
    rig.say(LeaveIntent(9, "n1"))
    assert rig.status("n1") is ALIVE
    assert len(rig.queued()) == 1


def test_a_query_that_is_not_to_be_passed_on_is_still_witnessed():
    rig = rig_of()
    rig.say(query(5, flags=2))
    assert rig.queued() == []
    assert rig.node.stats()["query_time"] == "6"


def test_an_event_is_delivered_as_it_was_sent():
    rig = rig_of()
    event = UserEvent(5, "deploy", b"v1", coalesce=True)
    rig.say(event)
    assert rig.emitted(UserEventReceived) == [UserEventReceived(event)]


@pytest.mark.parametrize(
    "message",
    [
        kind(time)
        for time in (MAX_U64, LAST_TIME, 2 + MAX_TIME_AHEAD)
        for kind in (
            lambda time: JoinIntent(time, "n1"),
            lambda time: LeaveIntent(time, "n1"),
            lambda time: UserEvent(time, "e"),
            query,
        )
    ],
    ids=lambda message: f"{type(message).__name__} {message.ltime}",
)
def test_a_time_too_far_ahead_is_refused_without_a_trace(message):
    rig = rig_of("n1")
    before = rig.node.stats()
    rig.say(message)
    assert rig.node.stats() == before
    assert rig.node.rejected == 1
    assert "too far ahead of 1: expected at most 4294967297" in rig.emitted(MessageRejected)[0].reason


def test_a_cluster_at_the_end_of_time_can_still_join_leave_and_speak():
    rig = rig_of("n1")
    for clock in (rig.node._roster.clock, rig.node._events.clock, rig.node._seen_queries.clock):
        clock.time = LAST_TIME - 1
    rig.say(JoinIntent(LAST_TIME, "n1"), UserEvent(LAST_TIME, "e"), query(LAST_TIME))
    assert rig.node.stats()["member_time"] == str(LAST_TIME)
    rig.node.announce_join(rig.now)
    rig.node.user_event("f", b"", coalesce=False, now=rig.now)
    rig.node.begin_leave(rig.now)
    rig.node.finish_leave(rig.now)
    rig.node.local_state(join=False)
    rig.advance(20.0)
    assert rig.node.status is LEFT


def test_answers_to_unknown_queries_are_ignored_but_must_be_complete():
    rig = rig_of()
    rig.say(QueryResponse(1, 1, "n1", 0, b"x"))
    rig.hear(UserMessage(b"\x08 a key response"))
    assert rig.node.rejected == 0
    rig.hear(UserMessage(b"\x05\x81"))
    assert rig.node.rejected == 1
    assert rig.queued() == []


@pytest.mark.parametrize("payload", [b"", b"\x02\x80", b"\x0a", b"\xff", b"\x00\x81"])
def test_a_broken_message_is_refused(payload):
    rig = rig_of()
    rig.hear(UserMessage(payload))
    assert rig.node.rejected == 1
    with pytest.raises(RemoteProtocolError):
        rig.node.receive_user_message(payload, rig.now)


def test_a_message_over_a_stream_is_gossiped_like_any_other():
    rig = rig_of("n1")
    rig.node.receive_user_message(encode_serf(UserEvent(5, "deploy")), rig.now)
    rig.advance(3.0)
    assert len(rig.sent(UserEvent)) == 4


# --- intents about this node ------------------------------------------------------------------------------


def test_a_leave_intent_about_us_is_refuted_by_a_join_intent():
    rig = rig_of("n1")
    rig.say(LeaveIntent(7, ME))
    assert rig.status(ME) is ALIVE
    assert rig.queued() == [JoinIntent(8, ME)]
    assert rig.member(ME).status_ltime == 8


def test_a_member_stuck_in_leaving_gets_the_intent_and_can_refute_it():
    rig = rig_of("n1")
    rig.say(LeaveIntent(7, "n1"))
    rig.drain_queues()
    rig.advance(14.9)
    assert rig.sent(LeaveIntent) == []
    rig.advance(15.2)
    assert rig.sent(LeaveIntent) == [LeaveIntent(7, "n1")] * 2
    assert {packet.to for packet in rig.emitted(SendPacket)} == {home("n1")}
    rig.say(JoinIntent(8, "n1"))
    rig.drain_queues()
    rig.advance(30.0)
    assert len(rig.sent(LeaveIntent)) == 2


def test_a_leave_that_is_over_is_not_rechecked():
    rig = rig_of("n1", "n2")
    rig.leave("n1")
    rig.drain_queues()
    rig.advance(40.0)
    assert rig.sent(LeaveIntent) == []


def test_a_leaver_repeats_its_intent_until_its_leave_broadcast():
    rig = rig_of("n1", "n2")
    rig.node.begin_leave(rig.now)
    rig.drain_queues()
    rig.advance(31.0)
    limit = rig.node.retransmit_limit()
    assert rig.sent(LeaveIntent) == [LeaveIntent(1, ME)] * 2 * limit
    rig.node.finish_leave(rig.now)
    rig.advance(40.0)
    assert len(rig.sent(LeaveIntent)) == 2 * limit


def test_a_leaver_that_is_alone_repeats_nothing():
    rig = rig_of()
    rig.node.begin_leave(rig.now)
    rig.advance(40.0)
    assert rig.queued() == []


def test_a_stale_leave_intent_about_us_needs_no_refutation():
    rig = rig_of("n1")
    rig.say(LeaveIntent(7, ME))
    rig.drain_queues()
    rig.say(LeaveIntent(7, ME))
    assert rig.queued() == []


def test_a_leave_intent_of_the_same_time_as_our_join_is_refuted_as_others_may_have_heard_it_first():
    rig = rig_of("n1")
    rig.node.announce_join(rig.now)
    rig.drain_queues()
    rig.say(LeaveIntent(1, ME))
    assert rig.queued() == [JoinIntent(2, ME)]


@pytest.mark.parametrize(
    ("time", "answers"),
    [
        (MAX_TIME_AHEAD, [MAX_TIME_AHEAD + 1]),
        (1 + MAX_TIME_AHEAD, [2 + MAX_TIME_AHEAD, 1 + MAX_TIME_AHEAD]),
        (2 + MAX_TIME_AHEAD, []),
    ],
)
def test_a_leave_of_ours_at_the_latest_time_that_others_accept_is_answered_in_two_steps(time, answers):
    rig = rig_of("n1")
    rig.say(LeaveIntent(time, ME))
    assert rig.queued() == [JoinIntent(answer, ME) for answer in answers]
    assert rig.status(ME) is ALIVE
    assert rig.node.rejected == (not answers)


def test_a_leaver_does_not_answer_a_leave_of_its_own_at_the_latest_time():
    rig = rig_of("n1")
    rig.node.begin_leave(rig.now)
    rig.drain_queues()
    rig.say(LeaveIntent(2 + MAX_TIME_AHEAD, ME))
    assert JoinIntent(2 + MAX_TIME_AHEAD, ME) not in rig.queued()


def test_a_leave_of_another_at_the_latest_time_is_not_ours_to_answer():
    rig = rig_of("n1")
    rig.say(LeaveIntent(1 + MAX_TIME_AHEAD, "n1"))
    assert rig.queued() == [LeaveIntent(1 + MAX_TIME_AHEAD, "n1")]


def test_a_join_is_stamped_with_the_present_and_the_clock_steps_past_it():
    rig = rig_of("n1")
    rig.node.announce_join(rig.now)
    assert rig.queued() == [JoinIntent(1, ME)]
    assert rig.node.stats()["member_time"] == "2"


# --- push/pull --------------------------------------------------------------------------------------------


def test_an_event_for_which_there_is_no_room_is_counted_and_reported():
    rig = rig_of("n1", config=SerfConfig(buffered_messages=65))
    rig.say(*(UserEvent(9, f"e{number}") for number in range(66)))
    assert len(rig.events()) == 65
    assert rig.node.rejected == 1
    (rejected,) = rig.emitted(MessageRejected)
    assert rejected.reason == "message of lamport time 9 dropped: 65 since then are remembered"


def test_eighty_members_that_speak_at_one_time_are_all_heard():
    rig = rig_of("n1")
    rig.say(*(UserEvent(1, "ready", str(number).encode()) for number in range(80)))
    assert len(rig.events()) == 80
    assert rig.node.rejected == 0


def test_a_join_ignores_old_events_unless_it_is_told_not_to():
    rig = rig_of()
    user_state = encode_serf(state(1, event_ltime=30, events=[past(20, "old")]))
    rig.node.merge_remote_state(PushPull(True, (), user_state), initiated=True, now=rig.now)
    assert rig.events() == []


def test_a_push_pull_is_told_with_its_rows_and_who_left():
    rig = rig_of()
    rows = (row("n1"), row("n2", state=MemberState.DEAD))
    rig.merge(state(left=["n3"]), *rows, initiated=True)
    assert rig.emitted(PushPullReceived) == [PushPullReceived(rows, ("n3",), initiated=True)]


def test_a_push_pull_without_serfs_part_is_told_too():
    rig = rig_of()
    rig.merge(None, row("n1"))
    assert rig.emitted(PushPullReceived) == [PushPullReceived((row("n1"),), (), initiated=False)]


def test_incompatible_versions_refuse_the_whole_push_pull():
    rig = rig_of()
    with pytest.raises(RemoteProtocolError, match="incompatible"):
        rig.merge(state(20), row("n1", versions=bytes((1, 9, 9, 2, 5, 5))))
    assert rig.node.stats()["member_time"] == "1"


def test_a_refutation_caused_by_a_push_pull_is_gossiped():
    rig = rig_of("n1")
    rig.merge(state(20, {ME: 7}, [ME]))
    rig.advance(3.0)
    assert rig.sent(JoinIntent) == [JoinIntent(20, ME)] * 4


def test_a_later_status_time_for_us_is_refuted_as_a_leave_that_we_missed():
    rig = rig_of("n1")
    rig.merge(state(20, {ME: 7}))
    assert rig.queued() == [JoinIntent(20, ME)]
    assert rig.member(ME).status_ltime == 20
    rig.drain_queues()
    rig.merge(state(20, {ME: 20}))
    assert rig.queued() == []


def test_a_later_status_time_for_us_does_not_take_back_a_leave():
    rig = rig_of("n1")
    rig.node.begin_leave(rig.now)
    rig.merge(state(20, {ME: 7}))
    assert rig.status(ME) is LEAVING


def test_a_push_pull_with_known_members_can_be_asked_for():
    rig = rig_of("n1", "n2")
    rig.node.push_pull_now(["n2", "unknown", "n1"])
    assert [effect.node for effect in rig.emitted(OpenPushPull)] == ["n2", "n1"]


def test_a_ping_over_a_stream_is_answered():
    assert rig_of().node.answer_stream_ping(Ping(5, ME)) == Ack(5)


def test_an_answer_over_a_stream_saves_a_member():
    rig = Rig(members=["n1"])
    while not rig.emitted(OpenStreamPing):
        rig.advance(0.1)
    rig.node.stream_ping_answered(rig.emitted(OpenStreamPing)[0].seq, rig.now)
    rig.advance(0.6)
    assert rig.node.suspects() == []


# --- commands ---------------------------------------------------------------------------------------------


def test_force_leave_marks_a_failed_member_as_left_and_broadcasts_it():
    rig = rig_of("n1", "n2")
    rig.fail("n1")
    token = rig.node.force_leave("n1", prune=False, now=rig.now)
    assert rig.status("n1") is LEFT
    assert rig.queued() == [LeaveIntent(1, "n1")]
    rig.advance(3.0)
    assert rig.emitted(BroadcastFinished) == [BroadcastFinished(token)]


def test_force_leave_with_prune_erases_a_failed_member():
    rig = rig_of("n1", "n2")
    rig.fail("n1")
    rig.node.force_leave("n1", prune=True, now=rig.now)
    assert rig.node.member("n1") is None
    assert rig.queued() == [LeaveIntent(1, "n1", prune=True)]


def test_force_leave_without_other_members_has_nothing_to_wait_for():
    rig = rig_of("n1")
    rig.fail("n1")
    assert rig.node.force_leave("n1", prune=False, now=rig.now) == 0
    assert rig.status("n1") is LEFT
    assert rig.queued() == []


def test_force_leave_of_an_unknown_name_is_told_to_others():
    rig = rig_of("n1")
    assert rig.node.force_leave("unknown", prune=False, now=rig.now)
    assert rig.queued() == [LeaveIntent(1, "unknown")]


def test_every_command_has_a_token_of_its_own():
    rig = rig_of("n1")
    tokens = [rig.node.force_leave("n1", prune=False, now=rig.now), rig.node.set_tags({}, rig.now)]
    assert tokens == [1, 2]


def test_new_tags_are_announced_and_told():
    rig = rig_of("n1")
    token = rig.node.set_tags({"role": "db"}, rig.now)
    assert rig.node.tags == rig.member(ME).tags == {"role": "db"}
    assert [(a.incarnation, a.meta) for a in rig.announced()] == [(2, encode_tags({"role": "db"}))]
    assert rig.told() == [("MemberUpdated", ME)]
    rig.advance(3.0)
    assert rig.emitted(BroadcastFinished) == [BroadcastFinished(token)]


def test_the_same_tags_are_announced_but_no_update():
    rig = rig_of("n1")
    rig.node.set_tags({}, rig.now)
    assert len(rig.announced()) == 1
    assert rig.told() == []


def test_tags_that_do_not_fit_change_nothing():
    rig = rig_of("n1")
    with pytest.raises(LocalProtocolError, match="exceeds limit of 512 bytes"):
        rig.node.set_tags({"k": "v" * 600}, rig.now)
    assert rig.node.tags == {}
    assert rig.announced() == []


def test_alone_new_tags_have_nothing_to_wait_for():
    assert rig_of().node.set_tags({"role": "db"}, 1000.0) == 0


def test_an_own_event_is_delivered_here_and_sent_to_everybody():
    rig = rig_of("n1")
    rig.node.user_event("deploy", b"v1", coalesce=True, now=rig.now)
    event = UserEvent(1, "deploy", b"v1", coalesce=True)
    assert rig.emitted(UserEventReceived) == [UserEventReceived(event)]
    rig.advance(3.0)
    assert rig.sent(UserEvent) == [event] * 4


def test_the_end_of_broadcasts_of_events_and_joins_is_not_reported():
    rig = rig_of("n1")
    rig.node.user_event("deploy", b"v1", coalesce=False, now=rig.now)
    rig.node.announce_join(rig.now)
    rig.advance(5.0)
    assert rig.emitted(BroadcastFinished) == []
    assert rig.node.pending_broadcasts() == 0


def test_an_own_event_that_is_too_long_is_not_sent():
    rig = rig_of("n1")
    with pytest.raises(LocalProtocolError):
        rig.node.user_event("deploy", bytes(512), coalesce=False, now=rig.now)
    assert rig.queued() == []


# --- dissemination ----------------------------------------------------------------------------------------


def test_intents_go_before_queries_and_queries_before_events():
    rig = rig_of("n1")
    rig.say(UserEvent(5, "deploy"), query(5), JoinIntent(5, "n1"))
    kinds = [part[1] for part in rig.take(127)]
    assert kinds == [1, 4, 3]
    assert rig.node.pending_broadcasts() == 3


@pytest.mark.parametrize(("room", "taken"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (9, 6)])
def test_no_more_is_taken_than_there_is_room_for(room, taken):
    rig = rig_of("n1", "n2")
    rig.say(
        UserEvent(5, "a"), query(5), JoinIntent(5, "n1"), UserEvent(5, "b"), query(6), JoinIntent(5, "n2")
    )
    assert len(rig.take(room)) == taken


def test_the_budget_is_shared_by_all_queues():
    rig = rig_of("n1")
    rig.say(UserEvent(5, "e", bytes(100)), query(5), JoinIntent(5, "n1"))
    everything = rig.take(127)
    needed = sum(map(len, everything)) + 2 * len(everything)
    assert len(rig.take(127, needed)) == 3
    assert len(rig.take(127, needed - 1)) == 2


def test_how_often_an_intent_is_sent_follows_members_that_swim_has_forgotten():
    rig = rig_of(*(f"n{number}" for number in range(1, 10)))  # ten members
    for number in range(2, 10):
        rig.fail(f"n{number}")
    swim = rig.node.swim
    swim.view.forget(swim.table.start_round(rig.now + 1.0))
    swim.wake(rig.now)
    assert rig.node.retransmit_limit() == 4
    rig.drain_queues()
    rig.forget()
    rig.say(UserEvent(5, "deploy"))
    rig.advance(10.0)
    assert len(rig.sent(UserEvent)) == 8


def test_each_queue_is_bounded():
    rig = rig_of("n1", config=SerfConfig(max_queue_depth=3))
    for number in range(1, 6):
        rig.say(JoinIntent(number, f"unknown{number}"), UserEvent(number, "e"), query(number))
    assert Counter(map(type, rig.queued())) == {JoinIntent: 3, UserEvent: 3, type(query(1)): 3}


def test_a_node_checks_its_queues_every_half_minute():
    rig = Rig(SerfConfig(queue_depth_warning=2))
    rig.say(UserEvent(5, "a"), UserEvent(6, "b"))  # no other member is there to hear of them
    rig.advance(29.9)
    assert rig.emitted(QueueDeep) == []
    rig.advance(60.0)
    assert rig.emitted(QueueDeep) == [QueueDeep("event", 2, 0)] * 2


def test_an_event_too_long_for_any_packet_is_delivered_and_not_queued():
    rig = rig_of("n1")
    rig.say(UserEvent(5, "long", bytes(1400)))
    assert rig.events() == ["long"]
    assert rig.queued() == []


# --- reaping ------------------------------------------------------------------------------------------


def test_failed_members_are_reaped_after_a_day():
    rig = rig_of("n1")
    rig.fail("n1")
    rig.quiet()
    rig.advance(86_400.0)
    assert rig.status("n1") is FAILED
    rig.advance(16.0)
    assert rig.node.member("n1") is None


def test_a_prune_that_had_to_wait_is_carried_out():
    rig = rig_of("n1")
    rig.say(LeaveIntent(5, "n1", prune=True))
    rig.advance(5.9)
    assert rig.status("n1") is LEAVING
    rig.fail("n1")
    assert rig.status("n1") is LEFT
    rig.advance(0.2)
    assert rig.node.member("n1") is None


# --- the whole --------------------------------------------------------------------------------------------


def test_stats_are_serfs_figures_as_text():
    rig = rig_of("n1", "n2", "n3")
    rig.fail("n1")
    rig.leave("n2", 5)
    rig.suspect(ME)
    rig.say(UserEvent(8, "deploy"), query(9))
    assert rig.node.stats() == {
        "members": "4",
        "failed": "1",
        "left": "1",
        "health_score": "1",
        "member_time": "6",
        "event_time": "9",
        "query_time": "10",
        "intent_queue": "1",
        "event_queue": "1",
        "query_queue": "1",
        "coordinate_resets": "0",
    }


def test_flaps_and_dropped_broadcasts_are_counted_beside_serfs_figures():
    rig = rig_of("n1", config=SerfConfig(max_queue_depth=3))
    assert rig.node.counters() == {"member_flaps": "0", "dropped_broadcasts": "0"}
    rig.fail("n1")
    rig.hear(alive("n1", 2), source=home("n1"))
    for number in range(1, 6):
        rig.say(UserEvent(number, "e"))
    assert rig.node.counters() == {"member_flaps": "1", "dropped_broadcasts": "2"}


def test_the_next_deadline_is_the_earliest_of_both_layers():
    rig = rig_of()
    assert rig.node.next_deadline() == inf
    rig.say(LeaveIntent(5, "unknown"))
    assert rig.node.next_deadline() == rig.now + 15.0


def test_a_broken_message_is_reported_with_its_source():
    rig = rig_of()
    rig.hear(UserMessage(b"\xff"))
    assert [effect.source for effect in rig.emitted(MessageRejected)] == [str(STRANGER)]


def test_packets_carry_messages_of_both_layers():
    rig = rig_of("n1")
    rig.say(JoinIntent(5, "n1"))
    rig.hear(Ping(3), source=rig.node.member("n1").address)
    (packet,) = rig.emitted(SendPacket)
    assert [type(decode(part)) for part in packet.parts] == [Ack, UserMessage]
    assert decode(packet.parts[0]).seq == 3


def test_members_are_limited_by_swims_table():
    rig = rig_of(*(f"n{number}" for number in range(9)), config=SerfConfig(swim=SwimConfig(max_members=4)))
    assert len(rig.node.members()) == 4


def timers() -> list[type[Timer]]:
    """Return all kinds of timers of the core."""
    return [kind for kind in Timer.__subclasses__() if kind.__module__.startswith("gossip.")]


@pytest.mark.parametrize("kind", timers(), ids=lambda kind: kind.__name__)
def test_every_timer_is_handled_by_one_of_the_layers(kind):
    handlers = getsource(SerfNode.handle_timeout) + getsource(SwimNode.handle_timeout)
    assert handlers.count(f"case {kind.__name__}(") == 1


def test_a_timer_that_nobody_knows_is_an_error():
    class Unknown(Timer, frozen=True):
        pass

    rig = rig_of()
    rig.node.swim.deadlines.set(Unknown(), rig.now)
    with pytest.raises(AssertionError, match="nobody handles Unknown"):
        rig.advance(0.0)


def test_a_node_that_moves_announces_its_new_address():
    rig = rig_of("n1")
    rig.quiet()
    rig.node.move(host("n7"), rig.now)
    assert rig.node.member(ME).address == home("n7")
    assert len(rig.node.swim.queue) == 1


def test_paths_are_checked_to_members_but_not_to_strangers():
    rig = rig_of("n1")
    assert rig.node.check_paths("n1", rig.now)
    assert not rig.node.check_paths("nobody", rig.now)


def test_a_second_witness_of_a_suspicion_is_told():
    rig = rig_of("n1", "n2", "n3", "n4")
    rig.hear(Suspect(1, "n1", "n2"))
    rig.forget()
    rig.hear(Suspect(1, "n1", "n3"))
    (confirmed,) = rig.emitted(SuspicionConfirmed)
    assert (confirmed.member.name, confirmed.evidence.reporter) == ("n1", "n3")


def test_a_stream_that_fails_while_no_probe_runs_accuses_nobody():
    rig = rig_of("n1")
    rig.node.stream_ping_failed(7, "connection refused", rig.now)
    assert rig.node.suspects() == []


def test_the_clocks_of_a_node_that_has_heard_nothing_are_at_their_start():
    assert len(rig_of().node.clocks) == 3
