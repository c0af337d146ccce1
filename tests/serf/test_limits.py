"""Limits of the Serf layer are the numbers that docs/design/limits.md and the protocol give."""

import pytest

from gossip.serf import (
    answers,
    coordinate,
    events,
    join,
    lamport,
    lost_members,
    pattern,
    query_exchange,
    rejoin,
    seeds,
)
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
        (answers.MAX_RELAYS, 16),
        (coordinate.MAX_RTT, 10.0),
        (join.MAX_JOIN_ADDRESSES, 256),
        (join.MAX_CONTACTS, 8),
        (join.MAX_ATTEMPTS, 128),
        (lamport.MAX_JOIN_TIME, 9223372036854775808),
        (lamport.LAST_TIME, 18446744073709551614),
        (lost_members.MAX_LOST, 256),
        (pattern.MAX_PATTERN_CHARS, 4_096),
        (query_exchange.MAX_QUERY_ID, 2147483648),
        (rejoin.FIRST_PAUSE, 1.0),
        (rejoin.JITTER, 0.5),
        (rejoin.ASKERS, 3),
        (rejoin.MAX_AGAIN, 5),
        (seeds.MAX_SEEDS, 64),
    ],
)
def test_a_limit_is_the_number_that_is_documented(limit: float, number: float) -> None:
    assert limit == number


def test_a_known_peer_of_an_earlier_life_is_a_value() -> None:
    peer = KnownPeer("n1", Address("192.0.2.1", 7946))
    with pytest.raises(AttributeError):
        peer.name = "n2"
