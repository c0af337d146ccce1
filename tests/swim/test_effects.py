import pytest

from gossip.swim.effects import (
    BroadcastFinished,
    MessageRejected,
    NameConflict,
    OpenPushPull,
    OpenStreamPing,
    SendPacket,
)
from gossip.wire.address import Address

HERE, THERE = Address("10.0.0.1", 1), Address("10.0.0.2", 2)
EFFECTS = [
    lambda: SendPacket(HERE, (b"a", b"b")),
    lambda: OpenPushPull(HERE, "n1", join=True),
    lambda: OpenStreamPing(HERE, "n1", 7, b"ping", 3.5),
    lambda: BroadcastFinished(7),
    lambda: MessageRejected("10.0.0.1:1", "nonsense"),
    lambda: NameConflict("n1", HERE, THERE),
]


@pytest.mark.parametrize("make", EFFECTS)
def test_effects_are_values(make):
    assert make() == make()
    assert hash(make()) == hash(make())


@pytest.mark.parametrize("make", EFFECTS)
def test_effects_cannot_be_changed(make):
    effect = make()
    with pytest.raises(AttributeError, match="immutable"):
        setattr(effect, effect.__struct_fields__[0], None)


@pytest.mark.parametrize("make", EFFECTS)
def test_the_garbage_collector_need_not_look_at_effects(make):
    # A join storm makes tens of thousands a second, and none can be part of a cycle.
    assert not make().__struct_config__.gc


def test_a_packet_has_no_checksum_unless_asked_for():
    assert not SendPacket(HERE, ()).crc
