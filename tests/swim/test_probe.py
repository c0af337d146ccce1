from gossip.swim.member import Member
from gossip.swim.probe import Probe
from tests.swim.rig import alive


def probe(seq: int = 7) -> Probe:
    return Probe(Member(alive("n1", 4), 0.0), seq, 10.0, 11.0)


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
    for _ in range(3):
        cycle.expect_nack()
    cycle.receive_nack(7)
    assert cycle.health_delta == 2


def test_a_failure_with_all_nacks_costs_nothing():
    cycle = probe()
    cycle.expect_nack()
    cycle.receive_nack(7)
    assert cycle.health_delta == 0


def test_more_nacks_than_were_expected_earn_nothing():
    cycle = probe()
    cycle.expect_nack()
    cycle.receive_nack(7)
    cycle.receive_nack(7)
    assert cycle.health_delta == 0


def test_a_nack_for_another_cycle_counts_for_nothing():
    cycle = probe()
    cycle.expect_nack()
    cycle.receive_nack(6)
    assert cycle.health_delta == 1


def test_answers_are_told_by_the_number_however_large():
    number = 3_000_000_000
    cycle = probe(number)
    cycle.expect_nack()
    cycle.receive_nack(int(str(number)))
    assert cycle.health_delta == 0
    cycle.receive_stream_ack(int(str(number)))
    assert cycle.succeeded
    assert probe(number).receive_ack(int(str(number)))


def test_the_cycle_remembers_the_incarnation_that_it_probes():
    cycle = probe()
    cycle.target.incarnation = 5
    assert cycle.incarnation == 4
