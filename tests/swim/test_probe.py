from gossip.swim.evidence import ProbeRecord
from gossip.swim.member import Member
from gossip.swim.probe import MAX_REASON_LENGTH, Probe
from tests.swim.rig import STRANGER, alive, home


def member(name: str) -> Member:
    return Member(alive(name, 4), 0.0)


def ask(cycle: Probe, *names: str) -> None:
    """Ask members that can nack."""
    for name in names:
        cycle.ask(member(name), can_nack=True)


def probe(seq: int = 7) -> Probe:
    return Probe(member("n1"), seq, 10.0, 11.0)


def test_silence_is_a_failure_that_costs_one_point_of_health():
    cycle = probe()
    assert not cycle.succeeded
    assert cycle.health_delta == 1


def test_an_ack_is_a_success_that_restores_one_point():
    cycle = probe()
    assert cycle.receive_ack(7)
    assert cycle.succeeded
    assert cycle.health_delta == -1


def test_an_ack_for_another_cycle_counts_for_nothing():
    cycle = probe()
    assert not cycle.receive_ack(6)
    assert not cycle.succeeded


def test_an_answer_over_a_stream_saves_the_member():
    cycle = probe()
    cycle.receive_stream_ack(7)
    assert cycle.succeeded
    assert cycle.health_delta == -1


def test_an_answer_over_a_stream_to_another_cycle_saves_nobody():
    cycle = probe()
    cycle.receive_stream_ack(6)
    assert not cycle.succeeded


def test_every_missing_nack_costs_a_point():
    cycle = probe()
    ask(cycle, "n2", "n3", "n4")
    cycle.receive_nack(7, home("n2"))
    assert cycle.health_delta == 2


def test_a_nack_that_arrives_three_times_is_one_nack():
    cycle = probe()
    ask(cycle, "n2", "n3", "n4")
    for _ in range(3):
        cycle.receive_nack(7, home("n2"))
    assert cycle.health_delta == 2


def test_a_relays_nack_from_another_address_of_its_own_counts():
    cycle = probe()
    ask(cycle, "n2", "n3")
    cycle.receive_nack(7, STRANGER)
    assert cycle.health_delta == 1


def test_a_nack_of_an_earlier_or_later_probe_does_not_count():
    cycle = probe()
    ask(cycle, "n2", "n3", "n4")
    for seq in (6, 8):
        cycle.receive_nack(seq, home("n2"))
    assert cycle.health_delta == 3
    assert cycle.record().nacked == ()


def test_a_relay_that_cannot_nack_owes_none():
    cycle = probe()
    cycle.ask(member("n2"), can_nack=False)
    cycle.receive_nack(7, home("n2"))
    assert cycle.health_delta == 1
    assert cycle.record().nacked == ()


def test_a_record_has_the_relays_asked_and_those_that_answered():
    cycle = probe()
    ask(cycle, "n2", "n3", "n4")
    cycle.receive_nack(7, home("n3"))
    cycle.receive_nack(7, STRANGER)
    assert cycle.record() == ProbeRecord(10.0, ("n2", "n3", "n4"), ("n3", str(STRANGER)), 11.0)


def test_a_record_has_the_result_of_the_stream_ping():
    cycle = probe()
    cycle.receive_stream_failure(8, "of another probe")
    assert cycle.record().stream is None
    cycle.try_stream()
    assert cycle.record().stream == ""
    cycle.receive_stream_failure(7, "connection refused" + "!" * MAX_REASON_LENGTH)
    assert cycle.record().stream.startswith("connection refused!")
    assert len(cycle.record().stream) == MAX_REASON_LENGTH


def test_a_failure_with_all_nacks_costs_nothing():
    cycle = probe()
    ask(cycle, "n2")
    cycle.receive_nack(7, home("n2"))
    assert cycle.health_delta == 0


def test_more_nacks_than_were_expected_earn_nothing():
    cycle = probe()
    ask(cycle, "n2")
    cycle.receive_nack(7, home("n2"))
    cycle.receive_nack(7, home("n3"))
    assert cycle.health_delta == 0


def test_a_nack_for_another_cycle_counts_for_nothing():
    cycle = probe()
    ask(cycle, "n2")
    cycle.receive_nack(6, home("n2"))
    assert cycle.health_delta == 1


def test_answers_are_matched_by_number_however_large_it_is():
    number = 3_000_000_000
    cycle = probe(number)
    ask(cycle, "n2")
    cycle.receive_nack(int(str(number)), home("n2"))
    assert cycle.health_delta == 0
    cycle.receive_stream_ack(int(str(number)))
    assert cycle.succeeded
    assert probe(number).receive_ack(int(str(number)))


def test_the_cycle_remembers_the_incarnation_that_it_probes():
    cycle = probe()
    cycle.target.incarnation = 5
    assert cycle.incarnation == 4
