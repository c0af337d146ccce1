import pytest

from gossip.errors import RemoteProtocolError
from gossip.serf.anti_entropy import leaving_members, read_state
from gossip.serf.config import SerfConfig
from gossip.serf.effects import PushPullReceived
from gossip.serf.lamport import LAST_TIME, MAX_JOIN_TIME, MAX_TIME_AHEAD
from gossip.serf.members import MemberStatus
from gossip.swim.effects import MessageRejected
from gossip.wire.messages import MemberState, PushPull
from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import MAX_U64, JoinIntent, LeaveIntent, SerfPushPull, UserEvent
from tests.serf.rig import ME, Rig, past, query, rig_of, state
from tests.swim.rig import alive, row

ALIVE, LEAVING, LEFT, FAILED = (
    MemberStatus.ALIVE,
    MemberStatus.LEAVING,
    MemberStatus.LEFT,
    MemberStatus.FAILED,
)


def local(rig: Rig) -> SerfPushPull:
    said = read_state(rig.node.local_state(join=False).user_state)
    assert said is not None
    return said


# --- what this node says ----------------------------------------------------------------------------------


def test_a_new_node_knows_only_itself():
    assert local(rig_of()) == state(1, {ME: 0}, (), 1, (), 1)


def test_the_state_has_every_member_in_any_status_with_its_time():
    rig = rig_of("n1", "n2", "n3")
    rig.leave("n1", 5)
    rig.fail("n2")
    said = local(rig)
    assert said.status_ltimes == {ME: 0, "n1": 5, "n2": 0, "n3": 0}
    assert said.left_members == ("n1",)
    assert said.ltime == 6


def test_the_state_has_all_three_clocks_and_the_recent_events():
    rig = rig_of()
    rig.say(UserEvent(9, "deploy", b"deploy"), query(30))
    said = local(rig)
    assert (said.event_ltime, said.query_ltime) == (10, 31)
    assert said.events == (past(9, "deploy"),)


def test_a_leaving_member_is_listed_as_left_at_one_less_than_its_leave():
    rig = rig_of("n1", "n2")
    rig.say(LeaveIntent(5, "n1"))
    rig.node.begin_leave(rig.now)
    said = local(rig)
    assert said.status_ltimes == {ME: 5, "n1": 4, "n2": 0}
    assert said.left_members == (ME, "n1")


def test_a_leave_at_time_zero_is_listed_at_time_zero():
    rig = rig_of()
    rig.say(LeaveIntent(0, "n1"))
    rig.meet("n1")
    assert rig.status("n1") is LEAVING
    assert local(rig).status_ltimes == {ME: 0, "n1": 0}


def test_a_member_whose_leave_may_be_over_is_listed_only_with_its_time():
    rig = rig_of("n1")
    rig.say(LeaveIntent(5, "n1"))
    rig.merge(state(20, {"n1": 9}))
    said = local(rig)
    assert said.status_ltimes == {ME: 0, "n1": 9}
    assert said.left_members == ()


# --- what it makes of a peer's ----------------------------------------------------------------------------


def test_status_times_are_witnessed_even_if_they_are_stale():
    rig = rig_of("n1")
    rig.merge(state(1, {"n1": 30}))
    assert local(rig).ltime == 31


def test_a_peers_clock_is_witnessed_less_one():
    rig = rig_of()
    rig.merge(state(20, event_ltime=30, query_ltime=40))
    said = local(rig)
    assert (said.ltime, said.event_ltime, said.query_ltime) == (20, 30, 40)


def test_clocks_at_zero_are_not_witnessed():
    rig = rig_of()
    rig.merge(state())
    assert local(rig).ltime == 1


def test_a_failed_member_that_a_peer_lists_as_left_has_left_at_its_status_time():
    rig = rig_of("n1")
    rig.fail("n1")
    rig.merge(state(20, {"n1": 7}, ["n1"]))
    assert rig.status("n1") is LEFT
    assert rig.member("n1").status_ltime == 7


def test_a_failed_member_has_left_even_if_the_peer_knows_no_time_or_only_that_of_its_join():
    rig = rig_of("n1", "n2")
    rig.say(JoinIntent(7, "n2"))
    rig.fail("n1")
    rig.fail("n2")
    rig.merge(state(20, {"n2": 7}, ["n1", "n2"]))
    assert (rig.status("n1"), rig.status("n2")) == (LEFT, LEFT)


def test_a_leave_of_which_the_peer_knows_no_time_is_older_than_any_return():
    rig = rig_of("n1")
    rig.say(JoinIntent(1, "n1"))
    rig.fail("n1")
    rig.merge(state(20, {}, ["n1"]))
    assert rig.status("n1") is FAILED


def test_a_member_that_failed_after_its_return_has_not_left_at_an_earlier_time():
    rig = rig_of("n1")
    rig.say(JoinIntent(9, "n1"))
    rig.fail("n1")
    rig.merge(state(20, {"n1": 8}, ["n1"]))
    assert rig.status("n1") is FAILED


@pytest.mark.parametrize("knows_leave", [True, False])
def test_a_member_that_is_lost_while_it_drains_is_leaving_again_once_it_answers(knows_leave):
    # One past the status time, as in Serf, would be later than the leave itself.
    rig = rig_of("n1")
    if knows_leave:
        rig.say(LeaveIntent(7, "n1"))
    rig.fail("n1")
    rig.merge(state(20, {"n1": 7}, ["n1"]))
    rig.hear(alive("n1", 2))
    rig.merge(state(20, {"n1": 6}, ["n1"]), row("n1", incarnation=2))
    assert rig.status("n1") is LEAVING
    assert rig.member("n1").status_ltime == 7


def test_a_member_that_answers_has_not_left_whatever_a_peer_lists():
    rig = rig_of("n1")
    rig.merge(state(20, {"n1": 7}, ["n1"]))
    assert rig.status("n1") is ALIVE
    assert rig.member("n1").status_ltime == 0


def test_a_member_that_left_before_we_joined_may_return_at_any_lamport_time():
    rig = rig_of()
    rig.merge(state(20, {"n1": 7}, ["n1"]))
    rig.meet("n1")
    assert rig.status("n1") is ALIVE


def test_status_times_of_others_are_taken_over():
    rig = rig_of("n1")
    rig.merge(state(20, {"n1": 7}))
    assert rig.member("n1").status_ltime == 7
    assert rig.status("n1") is ALIVE


def test_a_newcomer_sees_the_drain_that_goes_on():
    knows, newcomer = rig_of("n1"), rig_of()
    knows.say(LeaveIntent(5, "n1"))
    remote = knows.node.local_state(join=True)
    newcomer.node.merge_remote_state(remote, initiated=True, now=newcomer.now)
    assert newcomer.status("n1") is LEAVING
    assert newcomer.member("n1").status_ltime == 5
    (merged,) = newcomer.emitted(PushPullReceived)
    assert merged.left == ()


def test_a_leaver_lists_its_own_leave():
    leaver, newcomer = rig_of("n1"), Rig()
    leaver.node.begin_leave(leaver.now)
    assert leaving_members(local(leaver), leaver.node.local_state(join=False).nodes) == {ME}
    assert newcomer.status(ME) is ALIVE


def test_a_member_that_the_peer_has_as_gone_and_that_answers_here_is_not_leaving():
    rig = rig_of("n1")
    rig.merge(state(20, {"n1": 7}, ["n1"]), row("n1", state=MemberState.DEAD))
    assert rig.status("n1") is ALIVE


def test_a_leave_repeated_at_a_later_time_does_not_end_the_leave():
    rig = rig_of("n1")
    rig.say(LeaveIntent(7, "n1"))
    rig.merge(state(20, {"n1": 8}, ["n1"]), row("n1"))
    assert rig.status("n1") is LEAVING
    assert rig.member("n1").status_ltime == 9


def test_a_later_status_time_ends_no_leave_but_the_member_is_asked_at_once():
    rig = rig_of("n1")
    rig.say(LeaveIntent(7, "n1"))
    rig.drain_queues()
    rig.forget()
    rig.merge(state(20, {"n1": 9}))
    rig.advance(0.0)
    assert rig.status("n1") is LEAVING
    assert rig.sent(LeaveIntent) == [LeaveIntent(10, "n1")]  # Serf refutes no leave at the time of its join
    rig.say(JoinIntent(11, "n1"))
    assert rig.status("n1") is ALIVE


def test_the_last_status_time_that_a_push_pull_may_carry_is_asked_about_at_the_end_of_time():
    rig = rig_of("n1")
    rig.say(LeaveIntent(7, "n1"))
    rig.drain_queues()
    rig.node._roster.clock.time = LAST_TIME - 1
    rig.merge(state(20, {"n1": LAST_TIME - 1}))
    rig.advance(0.0)
    assert rig.sent(LeaveIntent) == [LeaveIntent(LAST_TIME, "n1")]


@pytest.mark.parametrize(
    ("intent", "status"), [(LeaveIntent(7, "n1"), LEAVING), (JoinIntent(7, "n1"), ALIVE)]
)
def test_the_intent_behind_a_status_time_is_still_news_once(intent, status):
    rig = rig_of("n1")
    rig.merge(state(20, {"n1": 7}))
    rig.say(intent)
    assert rig.status("n1") is status
    assert rig.queued() == [intent]
    rig.drain_queues()
    rig.say(intent)
    assert rig.queued() == []


def test_an_intent_from_before_a_status_time_is_stale():
    rig = rig_of("n1")
    rig.merge(state(20, {"n1": 7}))
    rig.say(LeaveIntent(6, "n1"))
    assert rig.status("n1") is ALIVE


def test_a_name_that_left_is_not_joined_by_its_status_time():
    rig = rig_of("n1")
    rig.fail("n1")
    rig.merge(state(20, {"n1": 7}, ["n1"]))
    rig.say(JoinIntent(7, "n1"))
    assert rig.status("n1") is LEFT


def test_nothing_of_a_push_pull_is_passed_on():
    rig = rig_of("n1", "n2")
    rig.merge(state(20, {"n1": 7, "n2": 5, "n9": 4}, ["n1"], 30, [past(20, "deploy")], 40))
    assert rig.queued() == []


def test_a_claim_by_push_pull_that_we_left_is_refuted():
    rig = rig_of("n1")
    rig.merge(state(20, {ME: 7}, [ME]))
    assert rig.status(ME) is ALIVE
    assert rig.queued() == [JoinIntent(20, ME)]


def test_events_are_delivered_once():
    rig = rig_of()
    for _ in range(2):
        rig.merge(state(1, event_ltime=30, events=[past(20, "a", "b"), past(21, "c")]))
    assert rig.events() == ["a", "b", "c"]


def test_events_for_which_there_is_no_room_are_reported_and_the_others_are_delivered():
    rig = rig_of(config=SerfConfig(buffered_messages=2))
    rig.merge(state(1, event_ltime=30, events=[past(20, "a", "b", "c"), past(21, "d")]))
    assert rig.events() == ["a", "b", "d"]
    assert len(rig.emitted(MessageRejected)) == 1


def test_statuses_are_merged_before_events():
    rig = rig_of("n1")
    rig.fail("n1")
    rig.merge(state(20, {"n1": 7}, ["n1"], 30, [past(20, "deploy")]))
    kinds = [type(effect).__name__ for effect in rig.effects()]
    assert kinds.index("MemberLeft") < kinds.index("UserEventReceived") < kinds.index("PushPullReceived")


@pytest.mark.parametrize(
    ("join", "initiated", "replay", "delivered"),
    [
        (True, True, False, []),
        (True, True, True, ["old"]),
        (True, False, False, ["old"]),
        (False, True, False, ["old"]),
    ],
)
def test_only_a_join_of_ours_without_replay_ignores_old_events(join, initiated, replay, delivered):
    rig = rig_of()
    rig.merge(
        state(1, event_ltime=30, events=[past(20, "old")]), join=join, initiated=initiated, replay=replay
    )
    assert rig.events() == delivered


def test_after_a_join_events_from_now_on_are_delivered():
    rig = rig_of()
    rig.merge(state(1, event_ltime=30), join=True, initiated=True)
    rig.say(UserEvent(29, "old"), UserEvent(30, "new"))
    assert rig.events() == ["new"]


def test_a_second_join_never_moves_the_minimum_back():
    rig = rig_of()
    rig.merge(state(1, event_ltime=30), join=True, initiated=True)
    rig.merge(state(1, event_ltime=10), join=True, initiated=True)
    rig.say(UserEvent(29, "old"))
    assert rig.events() == []


def test_members_of_the_rows_are_known_before_their_statuses_come():
    rig = rig_of()
    rig.merge(state(20, {"n1": 7}), row("n1"))
    assert rig.member("n1").status_ltime == 7


def test_a_peer_without_serf_has_only_rows():
    rig = rig_of()
    rig.merge(None, row("n1"))
    assert rig.status("n1") is ALIVE


# --- refusals ---------------------------------------------------------------------------------------------


def test_no_state_is_no_error():
    assert read_state(b"") is None


@pytest.mark.parametrize("user_state", [b"\x02", b"\x02\x81", b"\xff", b"\x02\x91\x01"])
def test_a_broken_state_refuses_the_whole_push_pull(user_state):
    rig = rig_of()
    with pytest.raises(RemoteProtocolError):
        rig.node.merge_remote_state(PushPull(True, (row("n1"),), user_state), initiated=True, now=rig.now)
    assert rig.node.member("n1") is None


def test_another_message_in_place_of_the_state_is_refused():
    with pytest.raises(RemoteProtocolError, match=r"^push/pull carries a JoinIntent as Serf's state$"):
        read_state(encode_serf(JoinIntent(1, "n1")))


@pytest.mark.parametrize("joining", [False, True])
@pytest.mark.parametrize("last", [LAST_TIME, MAX_U64])
def test_clocks_at_the_end_of_time_are_refused_and_counted(last, joining):
    rig = rig_of()
    rig.merge(state(last, event_ltime=last, query_ltime=last), join=joining, initiated=joining)
    assert (local(rig).ltime, local(rig).event_ltime, local(rig).query_ltime) == (1, 1, 1)
    assert [effect.source for effect in rig.emitted(MessageRejected)] == ["push/pull"] * 3
    assert "event clock: lamport time" in rig.emitted(MessageRejected)[1].reason
    rig.say(UserEvent(1, "deploy"))
    assert rig.events() == ["deploy"]


def test_a_newcomer_joins_a_cluster_of_any_age():
    rig = rig_of()
    rig.merge(
        state(MAX_JOIN_TIME, {"n1": MAX_JOIN_TIME - 1}, event_ltime=MAX_JOIN_TIME, query_ltime=MAX_JOIN_TIME),
        row("n1"),
        join=True,
        initiated=True,
    )
    assert rig.node.rejected == 0
    assert (local(rig).ltime, local(rig).event_ltime, local(rig).query_ltime) == (MAX_JOIN_TIME,) * 3
    assert rig.member("n1").status_ltime == MAX_JOIN_TIME - 1


@pytest.mark.parametrize(("join", "initiated"), [(False, False), (False, True), (True, False)])
def test_any_other_push_pull_takes_a_clock_no_further_than_the_next_message_may_be_ahead(join, initiated):
    rig = rig_of()
    rig.merge(state(2 + MAX_TIME_AHEAD), join=join, initiated=initiated)
    assert local(rig).ltime == 1
    rig.merge(state(1 + MAX_TIME_AHEAD), join=join, initiated=initiated)
    assert local(rig).ltime == 1 + MAX_TIME_AHEAD


@pytest.mark.parametrize("lead", [0, 1, MAX_TIME_AHEAD])
def test_peers_accept_what_a_victim_of_a_forged_push_pull_sends_next(lead):
    latest = MAX_TIME_AHEAD  # of clocks that are at 1
    victim, peer = rig_of("n1"), rig_of("n1")
    times = {"n1": latest + lead}
    victim.merge(state(1 + latest, times, (), 1 + latest, [past(latest + lead, "forged")]))
    victim.node.user_event("deploy", b"", coalesce=False, now=victim.now)
    victim.node.announce_join(victim.now)
    sent = [message for message in victim.queued() if isinstance(message, UserEvent | JoinIntent)]
    assert {message.ltime for message in sent} == {1 + latest}
    peer.say(*sent)
    assert peer.events() == ["deploy"]
    assert peer.node.rejected == 0


def test_times_that_are_too_far_ahead_are_skipped_one_by_one_and_counted():
    rig = rig_of("n1", "n2", "n3", "n4")
    rig.fail("n3")
    rig.fail("n4")
    latest = MAX_TIME_AHEAD
    times = {"n1": latest + 1, "n2": 7, "n3": MAX_U64, "n4": latest}
    rig.merge(state(20, times, ["n3", "n4"], 30, [past(latest + 1, "never"), past(20, "deploy")]))
    assert [rig.member(name).status_ltime for name in times] == [0, 7, 0, 0]
    assert [rig.status(name) for name in times] == [ALIVE, ALIVE, FAILED, FAILED]
    assert rig.events() == ["deploy"]
    assert local(rig).ltime == 20
    assert [effect.reason for effect in rig.emitted(MessageRejected)] == [
        f"lamport times of 3 members: expected at most {latest}",
        f"lamport times of 1 events: expected at most {latest}",
    ]


def test_times_at_the_limit_are_taken():
    rig = rig_of("n1", "n2")
    rig.fail("n2")
    latest = MAX_TIME_AHEAD
    times = {"n1": latest, "n2": latest - 1}
    rig.merge(state(1, times, ["n2"], 1, [past(latest, "deploy")]))
    assert rig.events() == ["deploy"]
    assert rig.member("n1").status_ltime == latest
    assert rig.member("n2").status_ltime == latest - 1
