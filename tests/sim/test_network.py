"""Links: latency, loss, partitions, held, clogged and narrow ones."""

from random import Random

import pytest

from gossip.sim.network import (
    MAX_HELD,
    RETRANSMISSIONS,
    RETRANSMIT_AFTER,
    Burst,
    Conditions,
    Imposed,
    Latency,
    Network,
)
from gossip.sim.schedule import Schedule

CALM = Conditions()
FIXED = Latency(shape="constant", low=0.01)


class Wire:
    """A network between a, b and c, and when things arrive."""

    def __init__(self, conditions=CALM, latency=FIXED):
        self.schedule = Schedule()
        self.network = Network(self.schedule, latency, conditions, Random(1))
        self.arrived = []

    def send(self, name, source="a", target="b", size=100):
        self.network.send(source, target, size, lambda: self.arrived.append((name, self.schedule.now)))

    def impose(self, *, sources="a", targets="b", both_ways=False, **conditions):
        imposed = Imposed(Conditions(**conditions), sources, targets, both_ways=both_ways)
        self.network.impose(imposed)
        return imposed


@pytest.mark.parametrize("shape", ["constant", "uniform", "exponential", "lognormal"])
def test_no_latency_is_below_its_least(shape):
    sample = Latency(shape=shape, low=0.5, spread=0.25).sampler(Random(3))
    drawn = [sample() for _ in range(200)]
    assert min(drawn) >= 0.5
    assert len(set(drawn)) == (1 if shape == "constant" else 200)


def test_uniform_latency_stays_within_its_spread():
    sample = Latency(shape="uniform", low=1.0, spread=0.5).sampler(Random(3))
    assert max(sample() for _ in range(200)) < 1.5


def test_a_packet_arrives_after_its_latency():
    wire = Wire()
    wire.send("x")
    wire.schedule.run(1.0)
    assert wire.arrived == [("x", 0.01)]


def test_loss_is_drawn_per_packet():
    wire = Wire(Conditions(loss=0.25))
    for number in range(1000):
        wire.send(number)
    wire.schedule.run(1.0)
    assert 700 < len(wire.arrived) < 800
    assert wire.network.lost == 1000 - len(wire.arrived)


def test_bursty_loss_comes_in_runs():
    wire = Wire(Conditions(burst=Burst(enter=0.02, leave=0.1, loss=1.0)))
    for number in range(3000):
        wire.send(number)
    wire.schedule.run(1.0)
    got = {name for name, _ in wire.arrived}
    runs = [0]
    for number in range(3000):
        runs.append(0) if number in got else runs.__setitem__(-1, runs[-1] + 1)
    lengths = [length for length in runs if length]
    assert 5 < sum(lengths) / len(lengths) < 20  # uniform loss of the same amount would give 1.2


def test_a_duplicated_packet_arrives_twice():
    wire = Wire(Conditions(duplicate=1.0))
    wire.send("x")
    wire.schedule.run(1.0)
    assert [name for name, _ in wire.arrived] == ["x", "x"]
    assert wire.network.duplicated == 1


def test_reordered_packets_are_overtaken():
    wire = Wire(Conditions(reorder=0.5, reorder_by=1.0))
    for number in range(50):
        wire.send(number)
    wire.schedule.run(5.0)
    names = [name for name, _ in wire.arrived]
    assert sorted(names) == list(range(50))
    assert names != list(range(50))


def test_a_one_way_partition_blocks_one_direction():
    wire = Wire()
    wire.impose(loss=1.0)
    wire.send("there")
    wire.send("back", source="b", target="a")
    wire.schedule.run(1.0)
    assert [name for name, _ in wire.arrived] == ["back"]
    assert not wire.network.is_reachable("a", "b")
    assert wire.network.is_reachable("b", "a")


def test_a_symmetric_partition_blocks_both_directions_until_it_is_lifted():
    wire = Wire()
    partition = wire.impose(loss=1.0, both_ways=True)
    wire.send("there")
    wire.send("back", source="b", target="a")
    wire.send("aside", source="a", target="c")
    wire.network.lift(partition)
    wire.send("later")
    wire.schedule.run(1.0)
    assert [name for name, _ in wire.arrived] == ["aside", "later"]


def test_lifting_twice_is_harmless():
    wire = Wire()
    partition = wire.impose(loss=1.0)
    wire.network.lift(partition)
    wire.network.lift(partition)
    assert wire.network.is_reachable("a", "b")


def test_held_packets_set_out_when_the_link_is_released():
    wire = Wire()
    clog = wire.impose(hold=True)
    wire.send("x")
    wire.schedule.run(2.0)
    assert wire.arrived == []
    assert not wire.network.is_reachable("a", "b")
    wire.network.lift(clog)
    wire.schedule.run(3.0)
    assert wire.arrived == [("x", 2.01)]


def test_a_held_link_loses_what_exceeds_its_bound():
    wire = Wire()
    clog = wire.impose(hold=True)
    clog.held = [("a", "b", 1, lambda: None)] * (MAX_HELD - 1)
    wire.send("last that fits")
    assert wire.network.lost == 0
    wire.send("one too many")
    assert wire.network.lost == 1
    assert len(clog.held) == MAX_HELD


def test_lift_all_ends_what_was_imposed_and_soften_the_rest():
    wire = Wire(Conditions(loss=1.0))
    wire.impose(loss=1.0)
    wire.network.lift_all()
    assert not wire.network.is_reachable("a", "b")
    wire.network.soften()
    assert wire.network.is_reachable("a", "b")


def test_udp_may_be_blocked_while_tcp_works():
    wire = Wire()
    wire.impose(loss=1.0, only="udp")
    wire.send("x")
    wire.schedule.run(1.0)
    assert not wire.arrived
    assert wire.network.segments("a", "b", 100) == 0.01


def test_packets_queue_for_bandwidth_and_a_full_queue_drops():
    wire = Wire()
    wire.impose(bandwidth=1000, backlog=0.25)
    for number in range(10):
        wire.send(number)
    wire.schedule.run(5.0)
    assert [round(at, 3) for _, at in wire.arrived] == [0.11, 0.21, 0.31]
    assert wire.network.lost == 7


def test_a_packet_at_the_size_limit_passes_and_one_byte_more_is_lost():
    wire = Wire(Conditions(max_bytes=100))
    wire.send("fits", size=100)
    wire.send("too long", size=101)
    wire.schedule.run(1.0)
    assert [name for name, _ in wire.arrived] == ["fits"]


def test_a_lost_segment_costs_time_and_a_dead_link_gives_up():
    assert Wire(Conditions(loss=1.0)).network.segments("a", "b", 100) is None
    wire = Wire(Conditions(loss=0.5))
    times = {
        round(time - 0.01, 6)
        for time in (wire.network.segments("a", "b", 1) for _ in range(200))
        if time is not None
    }
    possible = [round(RETRANSMIT_AFTER * (2**tries - 1), 6) for tries in range(RETRANSMISSIONS + 1)]
    assert times <= set(possible)
    assert len(times) > 3


def test_segments_wait_for_delay_and_bandwidth_but_not_through_a_clog():
    wire = Wire(Conditions(delay=0.5, bandwidth=1000))
    assert wire.network.segments("a", "b", 1000) == pytest.approx(1.51)
    wire.impose(hold=True)
    assert wire.network.segments("a", "b", 1000) is None
