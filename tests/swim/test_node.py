from collections import Counter
from itertools import pairwise
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.swim.config import SwimConfig
from gossip.swim.deadlines import Timer
from gossip.swim.effects import MessageRejected, OpenPushPull
from gossip.swim.node import (
    GOSSIP,
    MAX_QUEUED_MESSAGES,
    MAX_REPORTED_ROWS,
    MAX_REQUESTS,
    GossipDue,
    PushPullDue,
)
from gossip.swim.view import SuspicionEnds
from gossip.wire.address import Address
from gossip.wire.codec import encode
from gossip.wire.messages import (
    Ack,
    Dead,
    IndirectPing,
    MemberState,
    Nack,
    Ping,
    PushPull,
    Suspect,
    UserMessage,
)
from tests.swim.rig import ME, PORT, STRANGER, Rig, alive, home, host, row

OTHERS = ("n1", "n2", "n3", "n4", "n5")
EVENT = b"\x08event"


def rig_of(*members: str, config: SwimConfig | None = None, seed: int = 1) -> Rig:
    rig = Rig(config, members=members, seed=seed)
    rig.stop_probing()
    rig.stop_anti_entropy()
    rig.advance(10.0)
    rig.drain_queue()
    rig.forget()
    return rig


def gossip_times(rig: Rig, ticks: int) -> list[float]:
    """Return the times of the next gossip ticks."""
    times = []
    for _ in range(ticks):
        rig.fire_until(GossipDue)
        times.append(rig.now)
    return times


# --- packets ----------------------------------------------------------------------------------------------


def test_a_broken_part_is_counted_reported_and_does_not_spoil_the_others():
    rig = rig_of()
    rig.hear_bytes(b"\xfe nonsense", encode(alive("n1")), b"", b"\x03\xc1")
    assert rig.state("n1") is MemberState.ALIVE
    assert rig.node.rejected == 3
    assert [effect.source for effect in rig.emitted(MessageRejected)] == [str(STRANGER)] * 3


def ask(number: int) -> Ping:
    return Ping(number, ME)


def ask_to_probe(number: int) -> IndirectPing:
    return IndirectPing(number, host("n2"), PORT, "n2")


@pytest.mark.parametrize(("ask", "answer"), [(ask, Ack), (ask_to_probe, Ping)])
def test_requests_in_a_datagram_are_answered_up_to_the_limit_and_not_one_more(ask, answer):
    rig = rig_of()
    rig.hear(*map(ask, range(1, MAX_REQUESTS + 2)), alive("n1"))
    assert len(rig.sent(answer)) == MAX_REQUESTS
    assert [effect.reason for effect in rig.emitted(MessageRejected)] == [
        "more than 2 requests of one kind in a datagram"
    ]
    assert rig.state("n1") is MemberState.ALIVE
    rig.forget()
    rig.hear(ask(9))
    assert len(rig.sent(answer)) == 1


def test_requests_of_two_kinds_do_not_count_together():
    rig = rig_of()
    rig.hear(ask(1), ask(2), ask_to_probe(1), ask_to_probe(2))
    assert rig.node.rejected == 0


def test_a_request_that_is_repeated_in_a_datagram_is_answered_once():
    rig = rig_of()
    rig.hear(ask(1), ask(1), ask(1), ask(2))
    assert [ack.seq for ack, _ in rig.sent(Ack)] == [1, 2]
    assert rig.node.rejected == 0


def test_an_announcement_that_does_not_decode_is_rejected():
    rig = rig_of()
    rig.hear_bytes(encode(alive("n1"))[:-1])
    assert rig.node.rejected == 1


def test_an_empty_packet_is_no_event():
    rig = rig_of("n1")
    rig.now += 1.0
    rig.node.receive_packet([], home("n1"), rig.now)
    assert rig.node.last_heard < rig.now
    assert rig.effects == []


def test_nobody_was_heard_before_the_first_packet():
    assert Rig().node.last_heard == -inf


def test_a_valid_packet_of_a_known_member_is_a_sign_of_life():
    rig = rig_of("n1")
    rig.hear(Nack(1), source=home("n1"))
    assert rig.node.last_heard == rig.now


@pytest.mark.parametrize(
    "prepare", [lambda r: r.suspect("n1"), lambda r: r.bury("n1"), lambda r: r.bury("n1", "n1")]
)
def test_suspects_and_the_gone_are_no_sign_of_life(prepare):
    rig = rig_of("n1")
    prepare(rig)
    rig.now += 1.0
    rig.hear(Nack(1), source=home("n1"))
    assert rig.node.last_heard < rig.now


def test_strangers_are_no_sign_of_life():
    rig = rig_of("n1")
    rig.now += 1.0
    rig.hear(Nack(1), source=STRANGER)
    assert rig.node.last_heard < rig.now


def test_an_ack_that_ends_our_probe_is_a_sign_of_life_from_whatever_address():
    rig = Rig(members=["n1"])
    ping, _ = rig.begin_probe()
    rig.ack(ping, source=STRANGER)
    assert rig.node.last_heard == rig.now


def test_an_ack_that_nobody_asked_for_is_no_sign_of_life():
    rig = Rig(members=["n1"])
    ping, _ = rig.begin_probe()
    rig.hear(Ack(ping.seq + 1), source=STRANGER)
    assert rig.node.last_heard < rig.now


def test_an_ack_for_somebody_elses_probe_is_no_sign_of_life():
    rig = rig_of("n1")
    rig.now += 1.0
    rig.hear(IndirectPing(5, host("n9"), PORT, "n9", True), source=STRANGER)
    (ping,) = (message for message, _ in rig.sent(Ping))
    rig.hear(Ack(ping.seq), source=STRANGER)
    assert len(rig.sent(Ack)) == 1
    assert rig.node.last_heard < rig.now


def test_nonsense_from_a_members_address_is_no_sign_of_life():
    rig = rig_of("n1")
    rig.now += 1.0
    rig.hear_bytes(b"\xfe", b"\xff", source=home("n1"))
    assert rig.node.last_heard < rig.now
    rig.hear_bytes(b"\xfe", encode(Nack(1)), source=home("n1"))
    assert rig.node.last_heard == rig.now


def test_a_known_announcement_is_skipped_however_often_it_comes():
    rig = rig_of("n1", "n2")
    rig.bury("n2")
    rig.drain_queue()
    before = list(map(str, rig.node.local_state(join=False).nodes))
    for _ in range(3):
        rig.hear_bytes(encode(alive("n1")), encode(alive("n2")), encode(alive(ME)))
    assert list(map(str, rig.node.local_state(join=False).nodes)) == before
    assert rig.queued() == []


# --- leave broadcasts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", [Suspect(1, "n1", "n2"), Dead(1, "n1", "n2")])
def test_a_reporter_that_accuses_a_member_that_left_is_told_of_the_leave(claim):
    rig = rig_of("n1", "n2")
    rig.bury("n1", "n1", incarnation=3)
    rig.forget()
    rig.hear(claim)
    assert rig.sent(Dead) == [(Dead(3, "n1", "n1"), home("n2"))]


@pytest.mark.parametrize(
    ("accused", "incarnation", "reporter"),
    [
        ("n1", 2, "n2"),  # it has come back since, as far as we know
        ("n3", 1, "n2"),  # it has not left
        ("n9", 1, "n2"),  # it is unknown
        ("n1", 1, "n9"),  # the reporter is unknown
        ("n1", 1, "n4"),  # the reporter is gone
        ("n1", 1, "n1"),  # it reports itself
        ("n1", 1, ME),
    ],
)
def test_no_other_reporter_is_told_of_a_leave_broadcast(accused, incarnation, reporter):
    rig = rig_of("n1", "n2", "n3", "n4")
    rig.bury("n1", "n1")
    rig.bury("n4")
    rig.forget()
    rig.hear(Dead(incarnation, accused, reporter))
    assert rig.sent(Dead) == []


# --- streams ----------------------------------------------------------------------------------------------


def test_the_local_state_has_every_row_in_any_state():
    rig = rig_of("n1", "n2", "n3", "n4")
    rig.suspect("n2")
    rig.bury("n3")
    rig.bury("n4", "n4")
    state = rig.node.local_state(join=True)
    assert state.join
    assert [(r.name, r.state) for r in state.nodes] == [
        (ME, MemberState.ALIVE),
        ("n1", MemberState.ALIVE),
        ("n2", MemberState.SUSPECT),
        ("n3", MemberState.DEAD),
        ("n4", MemberState.LEFT),
    ]


def test_a_peer_of_incompatible_versions_is_refused():
    rig = rig_of()
    foreign = bytes((1, 9, 9, 2, 5, 5))
    with pytest.raises(RemoteProtocolError, match="protocol version"):
        rig.merge(row("n1", versions=foreign), row("n2", versions=foreign))
    assert list(rig.node.table.by_name) == [ME]


def test_rejected_rows_are_reported_up_to_the_limit_and_all_are_counted():
    rig = rig_of()
    rig.merge(*(row(f"n{number}", meta=bytes(513)) for number in range(MAX_REPORTED_ROWS + 1)))
    assert len(rig.emitted(MessageRejected)) == MAX_REPORTED_ROWS
    assert rig.node.rejected == MAX_REPORTED_ROWS + 1


@pytest.mark.parametrize("name", [ME, ""])
def test_a_ping_over_a_stream_is_answered_without_payload(name):
    assert rig_of().node.answer_stream_ping(Ping(5, name)) == Ack(5, None)


@pytest.mark.parametrize("name", ["a", "z"])
def test_a_ping_over_a_stream_for_another_name_is_not_answered(name):
    assert rig_of().node.answer_stream_ping(Ping(5, name)) is None


# --- gossip -----------------------------------------------------------------------------------------------


def test_an_idle_node_has_no_gossip_timer():
    rig = rig_of("n1")
    assert GOSSIP not in rig.node.deadlines


def test_alone_a_node_does_not_gossip():
    rig = Rig()
    assert len(rig.node.queue) == 1
    assert GOSSIP not in rig.node.deadlines


def test_gossip_keeps_the_phase_of_a_free_running_ticker():
    rig = rig_of("n1")
    rig.node.queue.enqueue(EVENT)
    rig.node.wake(rig.now)
    (first,) = gossip_times(rig, 1)
    rig.drain_queue()
    rig.advance(7.77)
    rig.node.queue.enqueue(EVENT)
    rig.node.wake(rig.now)
    (second,) = gossip_times(rig, 1)
    assert rig.now - 7.97 - first <= 0.2
    assert (second - first) / 0.2 == pytest.approx(round((second - first) / 0.2))


@pytest.mark.parametrize("late", [0.007, 0.19, 0.2, 0.75])
def test_a_driver_that_wakes_late_does_not_move_the_phase(late):
    rig = rig_of("n1")
    rig.node.queue.enqueue(EVENT)
    rig.node.wake(rig.now)
    phase = rig.node.deadlines.when(GOSSIP)
    for _ in range(50):
        rig.node.queue.enqueue(EVENT)
        rig.node.wake(rig.now)
        at = rig.node.deadlines.when(GOSSIP)
        assert at > rig.now - 1e-9
        assert (at - phase) / 0.2 == pytest.approx(round((at - phase) / 0.2))
        rig.now = at + late
        rig.fire()


@given(st.floats(0.001, 3.0), st.integers(0, 2**32), st.lists(st.floats(0.0, 5.0), max_size=12))
def test_two_gossip_ticks_are_never_closer_than_the_interval(interval, seed, pauses):
    rig = rig_of("n1", config=SwimConfig(gossip_interval=interval, retransmit_mult=1), seed=seed)
    times = []
    for pause in pauses:
        rig.now += pause
        rig.node.queue.enqueue(EVENT)
        rig.node.wake(rig.now)
        times += gossip_times(rig, 1)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(gap >= interval * (1 - 1e-9) - 1e-9 for gap in gaps)


@pytest.mark.parametrize("interval", [0.2, 1.5])
def test_the_ticker_has_a_random_phase(interval):
    phases = []
    for seed in range(300):
        rig = Rig(SwimConfig(gossip_interval=interval), seed=seed, members=["n1"])
        rig.fire_until(GossipDue)
        phases.append(rig.now - 1000.0)
    assert 0.0 <= min(phases) < 0.1 * interval
    assert 0.9 * interval < max(phases) <= interval


def test_news_from_a_push_pull_is_gossiped():
    rig = rig_of("n1")
    rig.merge(row("n2"))
    assert GOSSIP in rig.node.deadlines


def test_gossip_stops_when_everything_was_sent_often_enough():
    rig = rig_of("n1")
    rig.node.queue.enqueue(EVENT)
    rig.node.wake(rig.now)
    rig.advance(60.0)
    assert sum(packet.parts.count(EVENT) for packet in rig.packets()) == rig.node.retransmit_limit == 4
    assert GOSSIP not in rig.node.deadlines


@pytest.mark.parametrize(("others", "limit"), [(1, 4), (2, 5), (7, 7), (63, 13), (99, 14)])
def test_how_often_a_broadcast_is_sent_follows_the_size_of_the_cluster(others, limit):
    check_transmissions(others, limit, SwimConfig())


@pytest.mark.parametrize(("others", "limit"), [(8, 4), (9, 8), (98, 8), (99, 12)])
def test_how_often_a_broadcast_is_sent_can_follow_memberlist(others, limit):
    check_transmissions(others, limit, SwimConfig(memberlist_gossip=True))


def check_transmissions(others: int, limit: int, config: SwimConfig) -> None:
    rig = rig_of(*(f"n{number}" for number in range(1, others + 1)), config=config)
    assert rig.node.retransmit_limit == limit
    rig.node.queue.enqueue(EVENT)
    rig.node.wake(rig.now)
    rig.advance(30.0)
    assert sum(packet.parts.count(EVENT) for packet in rig.packets()) == limit


def test_a_new_node_knows_how_often_it_would_send():
    assert Rig().node.retransmit_limit == 3


def told(rig: Rig, broadcasts: int) -> list[Address]:
    """Let the node send broadcasts, one after the other; return the targets, in order."""
    for _ in range(broadcasts):
        rig.node.queue.enqueue(EVENT)
        rig.node.wake(rig.now)
        rig.advance(5.0)
    return [packet.to for packet in rig.packets()]


def test_every_member_gets_gossip_before_any_gets_it_again():
    rig = rig_of(*OTHERS, config=SwimConfig(retransmit_mult=1))
    rig.forget()
    addresses = told(rig, 10)
    limit = rig.node.retransmit_limit
    assert len(addresses) == 10 * limit
    for start in range(0, len(addresses), len(OTHERS)):
        assert len(set(addresses[start : start + len(OTHERS)])) == len(OTHERS)


def test_memberlists_gossip_goes_to_members_at_random():
    rig = rig_of(*OTHERS, config=SwimConfig(retransmit_mult=1, memberlist_gossip=True))
    rig.forget()
    addresses = told(rig, 50)
    rounds = [addresses[start : start + 5] for start in range(0, len(addresses), 5)]
    assert len(addresses) == 50
    assert any(len(set(of_a_round)) < 5 for of_a_round in rounds)
    assert set(addresses) == {home(name) for name in OTHERS}


def test_a_tick_sends_to_as_many_different_members_as_configured():
    rig = rig_of(*OTHERS)
    rig.node.queue.enqueue(EVENT)
    rig.node.wake(rig.now)
    gossip_times(rig, 1)
    assert len({packet.to for packet in rig.packets()}) == len(rig.packets()) == 3


def test_a_tick_ends_when_nothing_is_left():
    rig = rig_of(*OTHERS, config=SwimConfig(retransmit_mult=1, memberlist_gossip=True))
    rig.node.queue.enqueue(EVENT)
    rig.node.wake(rig.now)
    gossip_times(rig, 1)
    assert len(rig.packets()) == 1


@pytest.mark.parametrize("reporter", ["n2", "n1"])
@pytest.mark.parametrize(("ago", "told"), [(29.7, True), (30.1, False)])
def test_the_dead_and_the_left_are_gossiped_to_for_the_configured_time(ago, told, reporter):
    rig = rig_of("n1")
    rig.bury("n1", reporter)
    rig.drain_queue()
    rig.advance(ago)
    rig.node.queue.enqueue(EVENT)
    rig.node.wake(rig.now)
    rig.advance(0.2)
    assert bool(rig.packets()) is told


def test_with_a_time_of_zero_the_dead_still_get_gossip_at_the_moment_of_death():
    rig = rig_of("n1", config=SwimConfig(gossip_to_the_dead=0.0))
    rig.bury("n1")
    assert GOSSIP in rig.node.deadlines


def test_a_member_that_is_reported_as_left_hears_of_it():
    rig = rig_of("n1", "n2")
    rig.bury("n1", "n1", incarnation=4)
    rig.advance(0.2)
    assert (Dead(4, "n1", "n1"), home("n1")) in rig.sent(Dead)


def test_suspects_are_gossiped_to():
    rig = rig_of("n1")
    rig.suspect("n1")
    gossip_times(rig, 1)
    assert [packet.to for packet in rig.packets()] == [home("n1")]


def test_a_finished_broadcast_is_reported_with_its_token():
    rig = rig_of("n1")
    rig.node.announce(b"new", rig.now, token=7)
    rig.advance(2.0)
    assert rig.layer.finished == [7]


def test_a_replaced_broadcast_is_reported_as_finished():
    rig = rig_of("n1")
    rig.node.announce(b"new", rig.now, token=7)
    rig.node.announce(b"newer", rig.now, token=8)
    assert rig.layer.finished == [7]


def test_the_queue_can_hold_a_claim_about_every_member():
    assert SwimConfig().max_members < MAX_QUEUED_MESSAGES


# --- push/pull --------------------------------------------------------------------------------------------


def push_pulls(rig: Rig, count: int) -> list[tuple[float, str]]:
    """Return the times and partners of the next push/pulls."""
    found = []
    while len(found) < count:
        rig.forget()
        rig.fire_until(PushPullDue)
        found += [(rig.now, effect.node) for effect in rig.emitted(OpenPushPull)]
    return found


def test_anti_entropy_picks_a_random_alive_member_every_interval():
    rig = Rig(members=OTHERS)
    rig.stop_probing()
    rig.suspect("n1", ME)
    rig.bury("n2")
    rig.bury("n3", "n3")
    found = push_pulls(rig, 40)
    assert set(Counter(name for _, name in found)) == {"n4", "n5"}
    gaps = {round(later - earlier, 6) for (earlier, _), (later, _) in pairwise(found)}
    assert gaps == {30.0}


def test_anti_entropy_is_no_join():
    rig = Rig(members=["n1"])
    rig.stop_probing()
    rig.fire_until(PushPullDue)
    assert rig.emitted(OpenPushPull) == [OpenPushPull(home("n1"), "n1", join=False)]


def test_alone_a_node_asks_nobody():
    rig = Rig()
    rig.fire_until(PushPullDue)
    assert rig.emitted(OpenPushPull) == []


def test_the_first_push_pull_comes_a_whole_interval_after_a_random_part_of_one():
    starts = []
    for seed in range(300):
        rig = Rig(seed=seed)
        rig.fire_until(PushPullDue)
        starts.append(rig.now - 1000.0)
    assert 30.0 <= min(starts) < 31.5
    assert 58.5 < max(starts) < 60.0


def test_the_first_push_pull_waits_the_interval_for_the_cluster_size_at_that_time():
    rig = Rig(members=[f"n{number}" for number in range(1, 33)])
    rig.stop_probing()
    ((first, _),) = push_pulls(rig, 1)
    assert 60.0 <= first - 1000.0 < 90.0


def test_beyond_32_members_anti_entropy_is_rarer():
    rig = Rig(members=[f"n{number}" for number in range(1, 33)])
    rig.stop_probing()
    (first, _), (second, _) = push_pulls(rig, 2)
    assert second - first == pytest.approx(60.0)


def test_a_push_pull_with_a_member_can_be_asked_for():
    rig = rig_of("n1")
    rig.node.push_pull_with(rig.member("n1"), join=True)
    assert rig.emitted(OpenPushPull) == [OpenPushPull(home("n1"), "n1", join=True)]


# --- the whole --------------------------------------------------------------------------------------------


def test_the_next_deadline_is_the_earliest_of_all_timers():
    rig = Rig(members=["n1"])
    assert rig.now <= rig.node.next_deadline() <= rig.now + 0.2


def test_company_is_a_member_that_would_answer():
    rig = rig_of("n1")
    assert rig.node.any_other_alive()
    rig.bury("n1")
    assert not rig.node.any_other_alive()


def test_a_node_that_left_tells_everybody_and_reports_when_it_has():
    rig = rig_of("n1")
    rig.node.leave(rig.now, token=9)
    rig.advance(2.0)
    assert Counter(rig.sent(Dead)) == {(Dead(1, ME, ME), home("n1")): 4}
    assert rig.layer.finished == [9]


def test_a_node_that_left_still_answers():
    rig = rig_of("n1")
    rig.node.leave(rig.now, token=0)
    rig.forget()
    rig.hear(Ping(5, ME))
    assert rig.sent(Ack) == [(Ack(5), STRANGER)]


def test_equal_seeds_and_inputs_make_equal_effects():
    def run(seed: int) -> list[object]:
        rig = Rig(seed=seed, members=OTHERS)
        rig.suspect("n1", "n2")
        rig.advance(20.0)
        return list(rig.effects)

    assert run(3) == run(3) != run(4)


MESSAGES = st.one_of(
    st.builds(alive, st.sampled_from([ME, *OTHERS]), st.integers(1, 5), port=st.sampled_from([7946, 1])),
    st.builds(Suspect, st.integers(1, 5), st.sampled_from([ME, *OTHERS]), st.sampled_from(OTHERS)),
    st.builds(Dead, st.integers(1, 5), st.sampled_from([ME, *OTHERS]), st.sampled_from(OTHERS)),
    st.builds(Ping, st.integers(0, 9)),
    st.builds(Ack, st.integers(0, 9)),
    st.just(UserMessage(b"up")),
)


@given(
    st.lists(st.tuples(st.lists(MESSAGES, max_size=3), st.floats(0.0, 3.0)), max_size=40), st.integers(0, 9)
)
def test_whatever_is_heard_tables_agree_with_each_other(steps, seed):
    rig = Rig(seed=seed)
    shuffled = Random(seed)
    for messages, pause in steps:
        source = home(shuffled.choice(OTHERS))
        rig.hear(*messages, source=source)
        rig.advance(pause)
        view, members = rig.node.view, rig.node.table.by_name
        suspects = {name for name, member in members.items() if member.state is MemberState.SUSPECT}
        assert set(view.suspicions) == suspects
        timers = rig.node.deadlines._at
        assert {timer.name for timer in timers if isinstance(timer, SuspicionEnds)} == suspects
        assert all(members[name].address == address for address, name in rig.node.table.name_at.items())
        assert len(rig.node.table) == len(members)
        assert rig.me is members[ME]
        assert rig.state(ME) is MemberState.ALIVE
        assert len(rig.node.queue) <= len(members) + 1


def test_a_join_of_strangers_shares_one_object_for_one_announcement():
    first, second = Rig(members=["n1"]), Rig(members=["n1"])
    assert first.member("n1").alive is second.member("n1").alive
    assert first.member("n1").alive.addr == host("n1")


def test_a_push_pull_reply_is_merged_like_a_request():
    rig = rig_of()
    rig.node.merge_remote_state(PushPull(True, (row("n1"),), b""), rig.now)
    assert rig.state("n1") is MemberState.ALIVE


def test_a_timer_that_no_part_set_is_a_bug():
    rig = Rig()
    with pytest.raises(AssertionError, match="nobody handles"):
        rig.node.handle_timeout(Timer(), rig.now)


def test_a_direct_message_goes_alone_to_one_address():
    rig = Rig(members=("n1", "n2"))
    rig.forget()
    rig.node.send_user(home("n1"), b"payload")
    assert [(packet.to, packet.parts) for packet in rig.packets()] == [(home("n1"), (b"\x08payload",))]
