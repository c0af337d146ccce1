import pytest

from gossip.errors import RemoteProtocolError
from gossip.serf.config import SerfConfig
from gossip.serf.queries import NO_REBROADCAST, Queries
from gossip.wire.serf_messages import MAX_U64
from tests.serf.rig import query

ACK = 1


@pytest.mark.parametrize("flags", [0, ACK])
def test_a_query_is_passed_on_once(flags):
    known = Queries(SerfConfig())
    assert known.receive(query(3, flags=flags))
    assert not known.receive(query(3, flags=flags))


@pytest.mark.parametrize("flags", [NO_REBROADCAST, NO_REBROADCAST | ACK])
def test_a_query_whose_sender_reaches_everybody_is_not_passed_on(flags):
    assert not Queries(SerfConfig()).receive(query(3, flags=flags))


def test_queries_are_told_apart_by_time_and_number():
    known = Queries(SerfConfig())
    known.receive(query(3, 1))
    assert known.receive(query(3, 2))
    assert known.receive(query(4, 1))


def test_a_time_is_witnessed_even_if_the_query_is_stale():
    known = Queries(SerfConfig())
    known.recent.minimum = 100
    assert not known.receive(query(50))
    assert known.clock.time == 51


def test_a_query_out_of_time_is_refused():
    known = Queries(SerfConfig())
    with pytest.raises(RemoteProtocolError):
        known.receive(query(MAX_U64))
    assert known.clock.time == 1


def test_64_queries_of_one_time_are_kept_and_no_more():
    known = Queries(SerfConfig())
    assert [known.receive(query(3, number)) for number in range(65)] == [True] * 64 + [False]
