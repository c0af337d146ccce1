"""Limits of the Serf layer are the numbers that docs/design/limits.md and the protocol give."""

import pytest

from gossip.serf import answers, events, pattern, rejoin
from gossip.serf.config import SerfConfig
from gossip.serf.saved_state import KnownPeer
from gossip.wire.address import Address


@pytest.mark.parametrize(
    ("limit", "number"),
    [
        (SerfConfig().buffered_messages, 32_768),
        (answers.MAX_UNANSWERED, 1_024),
        (events.MAX_HISTORY_BYTES, 1_048_576),
        (pattern.MAX_PROGRAM_BYTES, 1_048_576),
        (rejoin.AGAIN_AFTER, 1.0),
    ],
)
def test_a_limit_is_the_number_that_is_documented(limit: float, number: float) -> None:
    assert limit == number


def test_what_is_known_of_a_peer_of_an_earlier_life_is_a_value() -> None:
    peer = KnownPeer("n1", Address("192.0.2.1", 7946))
    with pytest.raises(AttributeError):
        peer.name = "n2"
