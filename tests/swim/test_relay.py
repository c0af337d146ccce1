import pytest

from gossip.swim.relay import Relay, Relays
from gossip.wire.address import Address

RELAY = Relay(Address("10.0.0.1", 7946), 5, True)


def test_a_relay_is_handed_out_once():
    relays = Relays(2)
    relays.add(9, RELAY)
    assert relays.pop(9) == RELAY
    assert relays.pop(9) is None


def test_relays_are_full_at_their_limit_and_not_below():
    relays = Relays(2)
    relays.add(1, RELAY)
    assert not relays.is_full
    relays.add(2, RELAY)
    assert relays.is_full
    assert len(relays) == 2


def test_a_relay_is_a_value_that_cannot_be_changed_and_costs_the_garbage_collector_nothing():
    assert Relay(Address("10.0.0.1", 7946), 5, True) == RELAY
    with pytest.raises(AttributeError, match="immutable"):
        RELAY.seq = 6
    assert not RELAY.__struct_config__.gc
