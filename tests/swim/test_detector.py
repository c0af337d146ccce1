from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.swim.config import SwimConfig
from gossip.swim.detector import FailureDetector, PingLate, ProbeDue, VerdictDue
from gossip.swim.effects import OpenStreamPing
from gossip.swim.node import GossipDue
from gossip.wire.address import Address, pack_address
from gossip.wire.codec import decode, encode
from gossip.wire.messages import (
    MAX_U32,
    Ack,
    IndirectPing,
    MemberState,
    Nack,
    Ping,
    Suspect,
)
from tests.swim.rig import ME, PORT, STRANGER, Rig, alive, home, host

OTHERS = ("n1", "n2", "n3", "n4", "n5")
NACKS = bytes((1, 4, 2, 2, 5, 5))  # the first protocol with nacks
STREAM_PINGS = bytes((1, 3, 2, 2, 5, 5))  # the first with stream pings
NEITHER = bytes((1, 2, 2, 2, 5, 5))


class Drawn(Random):
    """A generator that always draws the same number."""

    def __init__(self, drawn: float) -> None:
        super().__init__(1)
        self.drawn = drawn

    def random(self) -> float:
        return self.drawn


def detector(rig: Rig) -> FailureDetector:
    return rig.node.detector


def rig_of(*members: str, config: SwimConfig | None = None, seed: int = 1) -> Rig:
    rig = Rig(config, members=members, seed=seed)
    rig.drain_queue()
    return rig


def name_at(address: Address) -> str:
    return next(name for name in OTHERS if home(name) == address)


# --- direct probes ----------------------------------------------------------------------------------------


def test_a_probe_pings_a_member_and_says_who_asks():
    rig = rig_of("n1")
    ping, to = rig.begin_probe()
    assert to == home("n1")
    assert ping == Ping(ping.seq, "n1", host(ME), PORT, ME)


def test_without_members_to_probe_the_next_attempt_comes_an_interval_later():
    rig = rig_of()
    rig.fire_until(ProbeDue)
    start = rig.now
    assert rig.packets() == []
    rig.fire_until(ProbeDue)
    assert rig.now - start == pytest.approx(1.0)


@pytest.mark.parametrize("interval", [0.5, 5.0])
def test_first_probes_are_staggered_over_an_interval(interval):
    starts = []
    for seed in range(300):
        rig = Rig(SwimConfig(probe_interval=interval), seed=seed)
        rig.fire_until(ProbeDue)
        starts.append((rig.now - 1000.0) / interval)
    assert 0.0 <= min(starts) < 0.05
    assert 0.95 < max(starts) < 1.0


def test_after_a_success_the_next_probe_begins_exactly_one_interval_after_this_one():
    rig = rig_of("n1", "n2")
    ping, _ = rig.begin_probe()
    start = rig.now
    rig.advance(0.3)
    rig.ack(ping)
    rig.fire_until(ProbeDue)
    assert rig.now == start + 1.0


def test_after_a_failure_the_next_probe_begins_at_once():
    rig = rig_of("n1", "n2")
    rig.begin_probe()
    start = rig.now
    rig.fire_until(ProbeDue)
    assert rig.now == start + 1.0
    assert detector(rig).probes == 2
    assert detector(rig).failed_probes == 1


def test_poor_local_health_stretches_a_failing_probe():
    rig = rig_of("n1", "n2")
    rig.node.health.apply(2)
    rig.begin_probe()
    start = rig.now
    rig.fire_until(VerdictDue)
    assert rig.now == start + 3.0


def test_poor_local_health_does_not_stretch_the_wait_for_the_direct_ack():
    rig = rig_of("n1", "n2")
    rig.node.health.apply(2)
    rig.begin_probe()
    start = rig.now
    rig.fire_until(PingLate)
    assert rig.now == start + 0.5


def test_a_late_answer_in_a_stretched_probe_is_followed_at_once():
    rig = rig_of("n1", "n2")
    rig.node.health.apply(2)
    ping, _ = rig.begin_probe()
    start = rig.now
    rig.advance(1.7)
    rig.ack(ping)
    rig.fire_until(ProbeDue)
    assert rig.now == start + 1.7


def test_a_round_probes_every_member_once_in_its_own_order():
    rig = rig_of(*OTHERS)
    rounds = []
    for _ in range(6):
        names = []
        for _ in OTHERS:
            ping, _ = rig.begin_probe()
            names.append(ping.node)
            rig.ack(ping)
        rounds.append(names)
    assert all(sorted(names) == list(OTHERS) for names in rounds)
    assert len(set(map(tuple, rounds))) > 1


def test_an_ack_restores_health():
    rig = rig_of("n1")
    rig.node.health.apply(2)
    ping, _ = rig.begin_probe()
    rig.ack(ping)
    assert rig.node.health.score == 1


def test_an_ack_is_matched_by_its_number_alone():
    rig = rig_of("n1")
    ping, _ = rig.begin_probe()
    rig.ack(ping, source=STRANGER)
    rig.advance(0.9)
    assert rig.state("n1") is MemberState.ALIVE
    assert rig.sent(IndirectPing) == []


@pytest.mark.parametrize("seq", [0, 2, 77])
def test_an_unexpected_ack_changes_nothing(seq):
    rig = rig_of("n1")
    rig.begin_probe()
    rig.hear(Ack(seq))
    rig.fire_until(VerdictDue)
    assert rig.state("n1") is MemberState.SUSPECT


def test_a_second_ack_changes_nothing():
    rig = rig_of("n1")
    rig.node.health.apply(5)
    ping, _ = rig.begin_probe()
    rig.ack(ping)
    rig.ack(ping)
    assert rig.node.health.score == 4


def test_the_layer_above_hears_how_long_an_answer_took_and_what_it_carried():
    rig = rig_of("n1")
    ping, _ = rig.begin_probe()
    rig.advance(0.25)
    rig.hear(Ack(ping.seq, b"there"))
    assert rig.layer.completed == [("n1", 0.25, b"there")]


@pytest.mark.parametrize(("after", "payload"), [(0.25, None), (0.25, b""), (0.5, b"there"), (0.75, b"there")])
def test_an_answer_without_a_payload_or_after_the_timeout_gives_no_round_trip(after, payload):
    rig = rig_of("n1")
    ping, _ = rig.begin_probe()
    rig.advance(after)
    rig.hear(Ack(ping.seq, payload))
    assert rig.layer.completed == []
    assert rig.state("n1") is MemberState.ALIVE


def test_silence_makes_a_suspect():
    rig = rig_of("n1")
    rig.begin_probe()
    rig.fire_until(VerdictDue)
    assert rig.state("n1") is MemberState.SUSPECT
    assert rig.layer.heard == [("suspected", "n1", ME)]
    assert rig.node.health.score == 1


def test_a_member_that_renewed_itself_during_its_probe_is_not_accused():
    rig = rig_of("n1")
    rig.begin_probe()
    rig.hear(alive("n1", 2))
    rig.fire_until(VerdictDue)
    assert rig.state("n1") is MemberState.ALIVE


def test_a_member_that_left_during_its_probe_is_not_accused():
    rig = rig_of("n1")
    rig.begin_probe()
    rig.bury("n1", "n1")
    rig.fire_until(VerdictDue)
    assert rig.state("n1") is MemberState.LEFT


def test_a_suspect_is_told_so_with_its_ping():
    rig = rig_of("n1")
    rig.suspect("n1", "n2", incarnation=4)
    rig.drain_queue()
    rig.node.queue.enqueue(b"\x08 not in this packet")
    ping, _ = rig.begin_probe()
    packet = rig.packets()[-1]
    assert [decode(part) for part in packet.parts] == [ping, Suspect(4, "n1", ME)]
    assert packet.crc


def test_without_the_buddy_system_a_suspect_gets_an_ordinary_ping():
    rig = rig_of("n1", config=SwimConfig(tell_suspects=False))
    rig.suspect("n1", "n2", incarnation=4)
    rig.drain_queue()
    ping, _ = rig.begin_probe()
    (packet,) = rig.packets()
    assert packet.parts == (encode(ping),)


def test_sequence_numbers_cannot_be_guessed():
    rig = rig_of("n1")
    seqs = []
    for _ in range(50):
        ping, _ = rig.begin_probe()
        rig.ack(ping)
        seqs.append(ping.seq)
    steps = {after - before for before, after in pairwise(seqs)}
    assert len(steps) == 49
    assert max(seqs) > 2**31 > min(seqs)


@given(st.floats(0, 1, exclude_max=True))
def test_sequence_numbers_fill_32_bits_without_zero(drawn):
    rig = rig_of("n1")
    rig.node.detector._pings._rng = Drawn(drawn)
    assert 1 <= rig.node.detector._pings.new_seq() <= MAX_U32


def test_members_gone_for_long_are_forgotten_at_the_end_of_a_round():
    rig = rig_of("n1", "n2")
    rig.bury("n1", "n3")
    rig.stop_anti_entropy()
    end = rig.now + 30.0
    while rig.now <= end:
        assert "n1" in rig.node.table.by_name
        assert home("n1") in rig.node.table.name_at
        ping, _ = rig.begin_probe()
        rig.ack(ping)
    ping, _ = rig.begin_probe()
    assert "n1" not in rig.node.table.by_name
    assert home("n1") not in rig.node.table.name_at


# --- indirect probes --------------------------------------------------------------------------------------


def test_when_the_direct_ack_is_late_others_are_asked_with_the_same_number():
    rig = rig_of(*OTHERS)
    ping, to = rig.begin_probe()
    rig.fire_until(PingLate)
    asked = rig.sent(IndirectPing)
    target = name_at(to)
    expected = IndirectPing(ping.seq, host(target), PORT, target, True, host(ME), PORT, ME)
    assert [message for message, _ in asked] == [expected] * 3
    relays = {name_at(address) for _, address in asked}
    assert len(relays) == 3
    assert target not in relays


def test_only_the_alive_are_asked():
    rig = rig_of("n1", "n2", "n3", "n4")
    _, to = rig.begin_probe()
    target = name_at(to)
    suspect, dead, left = (name for name in OTHERS[:4] if name != target)
    rig.suspect(suspect, ME)
    rig.bury(dead, ME)
    rig.bury(left, left)
    rig.fire_until(PingLate)
    assert rig.sent(IndirectPing) == []


def test_an_indirect_ack_saves_the_member():
    rig = rig_of(*OTHERS)
    ping, to = rig.begin_probe()
    rig.fire_until(PingLate)
    rig.ack(ping, source=STRANGER)
    rig.advance(0.4)
    assert rig.state(name_at(to)) is MemberState.ALIVE
    assert rig.node.health.score == 0


def test_missing_nacks_cost_health_even_if_one_nack_comes_repeatedly():
    rig = rig_of(*OTHERS)
    ping, _ = rig.begin_probe()
    rig.fire_until(PingLate)
    for _ in range(3):
        rig.hear(Nack(ping.seq), source=home("n2"))
    rig.fire_until(VerdictDue)
    assert rig.node.health.score == 2


def test_without_local_health_no_nacks_are_requested_and_refutations_cost_nothing():
    rig = rig_of(*OTHERS, config=SwimConfig(awareness_max=1))
    rig.begin_probe()
    rig.fire_until(PingLate)
    assert [message.nack for message, _ in rig.sent(IndirectPing)] == [False] * 3
    rig.fire_until(VerdictDue)
    rig.suspect(ME)  # to be refuted
    assert rig.node.view.refutations == 1
    assert rig.node.health.score == 0


def test_nacks_from_all_relays_leave_our_health_unchanged():
    rig = rig_of(*OTHERS)
    ping, _ = rig.begin_probe()
    rig.fire_until(PingLate)
    for name in ("n2", "n3", "n4"):
        rig.hear(Nack(ping.seq), source=home(name))
    rig.fire_until(VerdictDue)
    assert rig.node.health.score == 0


def test_a_nack_without_a_probe_changes_nothing():
    rig = rig_of("n1")
    rig.hear(Nack(1))
    assert rig.node.rejected == 0
    assert rig.node.health.score == 0


@pytest.mark.parametrize(("versions", "asked"), [(NACKS, True), (STREAM_PINGS, False)])
def test_relays_are_asked_for_nacks_from_protocol_4_on(versions, asked):
    rig = rig_of("n1")
    rig.hear(alive("n2", versions=versions))
    rig.suspect("n2", "n1")  # so that the probe goes to n1
    while rig.begin_probe()[0].node != "n1":
        pass
    rig.hear(alive("n2", 2, versions=versions))
    rig.fire_until(PingLate)
    assert [message.nack for message, _ in rig.sent(IndirectPing)] == [asked]


# --- the fallback over a stream ---------------------------------------------------------------------------


def test_when_the_direct_ack_is_late_a_stream_is_tried_until_the_verdict():
    rig = rig_of("n1")
    rig.node.health.apply(1)
    ping, _ = rig.begin_probe()
    start = rig.now
    rig.suspect(ME)  # health changes meanwhile; the verdict's time does not
    rig.fire_until(PingLate)
    (stream,) = rig.emitted(OpenStreamPing)
    assert stream == OpenStreamPing(home("n1"), "n1", ping.seq, encode(ping), start + 2.0)
    rig.fire_until(VerdictDue)
    assert rig.now == stream.deadline


def test_an_answer_over_a_stream_saves_the_member():
    rig = rig_of("n1")
    ping, _ = rig.begin_probe()
    rig.fire_until(PingLate)
    rig.node.stream_ping_answered(ping.seq)
    rig.fire_until(VerdictDue)
    assert rig.state("n1") is MemberState.ALIVE
    assert detector(rig).stream_only_probes == 1
    assert rig.node.health.score == 0


def test_an_answer_over_a_stream_after_the_verdict_changes_nothing():
    rig = rig_of()
    rig.node.stream_ping_answered(1)
    assert rig.effects == []


@pytest.mark.parametrize(("versions", "pinged"), [(STREAM_PINGS, True), (NEITHER, False)])
def test_members_are_pinged_over_a_stream_from_protocol_3_on(versions, pinged):
    rig = rig_of()
    rig.hear(alive("n1", versions=versions))
    rig.begin_probe()
    rig.fire_until(PingLate)
    assert bool(rig.emitted(OpenStreamPing)) is pinged


def test_a_probe_timeout_beyond_the_interval_never_fires():
    rig = rig_of("n1", config=SwimConfig(probe_interval=0.3, probe_timeout=0.5))
    rig.begin_probe()
    rig.bury("n1", ME)
    assert isinstance(rig.fire(), VerdictDue | GossipDue)
    rig.advance(2.0)
    assert rig.sent(IndirectPing) == []


# --- answering --------------------------------------------------------------------------------------------


def test_a_ping_is_answered_to_its_source_fields():
    rig = rig_of()
    rig.hear(Ping(5, ME, pack_address("10.7.7.7"), 99, "stranger"))
    assert rig.sent(Ack) == [(Ack(5, None), Address("10.7.7.7", 99))]


@pytest.mark.parametrize("ping", [Ping(5), Ping(5, ME, source_port=9), Ping(5, ME, b"\x0a\7\7\7", 0)])
def test_a_ping_without_source_fields_is_answered_to_where_it_came_from(ping):
    rig = rig_of()
    rig.hear(ping)
    assert rig.sent(Ack) == [(Ack(5, None), STRANGER)]


def test_a_members_ping_is_answered_with_the_payload_of_the_layer_above():
    rig = rig_of("n1")
    rig.layer.payload = b"here"
    rig.hear(Ping(7, ME, host("n1"), PORT, "n1"))
    rig.hear(Ping(8, ME, host("n2"), PORT, "n2"))
    assert rig.sent(Ack) == [(Ack(7, b"here"), home("n1")), (Ack(8), home("n2"))]


@pytest.mark.parametrize("name", ["anybody else", "somebody else"])
def test_a_ping_for_another_name_is_ignored(name):
    rig = rig_of()
    rig.hear(Ping(5, name, host("n1"), PORT, "n1"))
    assert rig.effects == []
    assert rig.node.rejected == 0


# --- serving indirect probes ------------------------------------------------------------------------------

REQUEST = IndirectPing(77, host("n2"), PORT, "n2", True, host("n1"), PORT, "n1")


def relayed(rig: Rig, request: IndirectPing = REQUEST) -> int:
    """Let a request arrive; return the sequence number of the resulting ping."""
    rig.hear(request)
    return rig.sent(Ping)[-1][0].seq


def test_an_indirect_ping_is_made_in_our_own_name():
    rig = rig_of()
    seq = relayed(rig)
    assert rig.sent(Ping) == [(Ping(seq, "n2", host(ME), PORT, ME), home("n2"))]


def test_a_relayed_ack_carries_the_requesters_number_and_no_payload():
    rig = rig_of()
    rig.hear(Ack(relayed(rig), b"coordinates"))
    assert rig.sent(Ack) == [(Ack(77, None), home("n1"))]


def test_a_relayed_ack_goes_to_the_packets_source_if_the_request_names_none():
    rig = rig_of()
    rig.hear(Ack(relayed(rig, IndirectPing(77, host("n2"), PORT, "n2"))))
    assert rig.sent(Ack) == [(Ack(77, None), STRANGER)]


def test_port_zero_in_a_request_means_our_own_port():
    rig = rig_of()
    rig.hear(IndirectPing(77, host("n2"), 0, "n2"))
    assert rig.sent(Ping)[0][1] == home("n2")


def test_a_late_relayed_ack_is_a_nack_if_one_was_asked_for():
    rig = rig_of()
    seq = relayed(rig)
    rig.advance(0.49)
    assert rig.sent(Nack) == []
    rig.advance(0.01)
    assert rig.sent(Nack) == [(Nack(77), home("n1"))]
    rig.hear(Ack(seq))
    assert rig.sent(Ack) == []


def test_without_being_asked_for_a_nack_a_relay_stays_silent():
    rig = rig_of()
    rig.hear(IndirectPing(77, host("n2"), PORT, "n2", False, host("n1"), PORT, "n1"))
    rig.advance(0.5)
    assert rig.sent(Nack) == []
    assert len(detector(rig).relays) == 0


def test_after_a_relayed_ack_no_nack_follows():
    rig = rig_of()
    rig.hear(Ack(relayed(rig)))
    rig.advance(5.0)
    assert rig.sent(Nack) == []


def test_relays_are_served_up_to_the_limit_and_not_one_more():
    rig = rig_of(config=SwimConfig(max_relays=2))
    for _ in range(3):
        rig.hear(REQUEST)
    assert len(rig.sent(Ping)) == 2
    assert len(detector(rig).relays) == 2
    rig.advance(0.5)
    rig.hear(REQUEST)
    assert len(rig.sent(Ping)) == 3


def test_relaying_does_not_disturb_our_own_probe():
    rig = rig_of("n1", "n9")
    ping, _ = rig.begin_probe()
    rig.hear(REQUEST)
    ours = rig.sent(Ping)[-1][0]
    assert ours.seq != ping.seq
    rig.hear(Ack(ours.seq))
    rig.ack(ping)
    rig.advance(1.0)
    assert Counter(rig.state(name) for name in ("n1", "n9")) == {MemberState.ALIVE: 2}
