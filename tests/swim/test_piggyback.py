import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.swim.config import SwimConfig
from gossip.swim.detector import RelayLate
from gossip.swim.dissemination import COMPOUND_ENTRY_BYTES, COMPOUND_HEADER_BYTES
from gossip.swim.effects import SendPacket
from gossip.swim.node import GossipDue
from gossip.wire.codec import decode, encode
from gossip.wire.messages import Ack, IndirectPing, Nack, Ping, Suspect
from gossip.wire.packet import MAX_PARTS_SENT
from tests.swim.rig import STRANGER, Rig, alive, home


def size(packet: SendPacket) -> int:
    """Return the bytes of a packet before checksum and encryption: a compound for two or more messages."""
    messages = sum(map(len, packet.parts))
    if len(packet.parts) == 1:
        return messages
    return COMPOUND_HEADER_BYTES + COMPOUND_ENTRY_BYTES * len(packet.parts) + messages


def rig_of(*members: str, config: SwimConfig | None = None) -> Rig:
    rig = Rig(config, members=members)
    rig.drain_queue()
    return rig


def test_with_nothing_queued_a_message_travels_alone():
    rig = rig_of("n1")
    rig.hear(Ping(5), source=STRANGER)
    assert rig.packets() == [SendPacket(STRANGER, (encode(Ack(5)),))]


def test_a_message_comes_first_then_swims_broadcasts_then_the_upper_layers():
    rig = rig_of("n1")
    rig.suspect("n1", "n2")
    rig.layer.queue.enqueue(b"\x08event")
    rig.hear(Ping(5), source=home("n1"))
    assert rig.packets()[-1].parts == (encode(Ack(5)), encode(Suspect(1, "n1", "n2")), b"\x08event")


def test_a_stranger_gets_an_answer_and_no_news():
    rig = rig_of("n1")
    rig.suspect("n1", "n2")
    rig.hear(Ping(5), IndirectPing(6, b"\xc0\0\2\3", 7, "x", nack=True), source=STRANGER)
    rig.fire_until(RelayLate)
    to_strangers = [packet for packet in rig.packets() if packet.to != home("n1")]
    assert [type(decode(packet.parts[0])) for packet in to_strangers] == [Ack, Ping, Nack]
    assert {len(packet.parts) for packet in to_strangers} == {1}
    assert len(rig.node.queue) == 1


def test_a_direct_message_carries_no_checksum():
    rig = rig_of("n1")
    rig.begin_probe()
    assert not rig.packets()[0].crc


@pytest.mark.parametrize(("newest", "crc"), [(4, False), (5, True)])
def test_gossip_carries_a_checksum_from_protocol_5_on(newest, crc):
    rig = rig_of()
    rig.hear(alive("n1", versions=bytes((1, newest, 2, 2, 5, 5))))
    rig.fire_until(GossipDue)
    assert [packet.crc for packet in rig.packets() if packet.to == home("n1")] == [crc]


def test_a_single_broadcast_may_fill_a_packet_to_the_last_byte():
    config = SwimConfig(packet_budget=1000, packet_overhead=29)
    rig = rig_of("n1", config=config)
    fits = 1000 - 29 - COMPOUND_HEADER_BYTES - COMPOUND_ENTRY_BYTES
    rig.node.queue.enqueue(bytes([8]) * (fits + 1))
    assert len(rig.node.queue) == 0
    rig.node.queue.enqueue(bytes([8]) * fits)
    rig.node.wake(rig.now)
    rig.forget()
    rig.fire_until(GossipDue)
    assert [len(packet.parts[0]) for packet in rig.packets()] == [fits]


def test_a_packet_has_at_most_127_parts():
    rig = rig_of("n1")
    for _ in range(200):
        rig.node.queue.enqueue(b"\x08")
    for _ in range(50):
        rig.layer.queue.enqueue(b"\x08")
    rig.hear(Ping(5), source=home("n1"))
    assert len(rig.packets()[-1].parts) == MAX_PARTS_SENT
    rig.forget()
    rig.fire_until(GossipDue)
    assert [len(packet.parts) for packet in rig.packets()] == [MAX_PARTS_SENT]


@pytest.mark.parametrize("swims", [MAX_PARTS_SENT - 1, MAX_PARTS_SENT - 2])
def test_the_upper_layer_gets_only_the_room_that_is_left(swims):
    rig = rig_of("n1")
    for _ in range(swims):
        rig.node.queue.enqueue(b"\x08")
    for _ in range(5):
        rig.layer.queue.enqueue(b"\x08up")
    rig.hear(Ping(5), source=home("n1"))
    assert rig.packets()[-1].parts.count(b"\x08up") == MAX_PARTS_SENT - 1 - swims


LENGTHS = st.lists(st.integers(1, 1500), max_size=40)


@given(LENGTHS, LENGTHS, st.integers(200, 1400), st.sampled_from([0, 29, 60]), st.integers(0, 300))
def test_no_packet_exceeds_the_budget_with_overhead(swims, uppers, budget, overhead, name):
    rig = rig_of("n1", config=SwimConfig(packet_budget=budget, packet_overhead=overhead))
    for length in swims:
        rig.node.queue.enqueue(b"\x08" * length)
    for length in uppers:
        rig.layer.queue.enqueue(b"\x08" * min(length, budget - overhead - 4))
    rig.hear(Ping(5, source_node="x" * name), source=home("n1"))
    rig.node.wake(rig.now)
    rig.advance(0.2)
    for packet in rig.packets():
        assert len(packet.parts) == 1 or size(packet) + overhead <= budget
