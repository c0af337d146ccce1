import pytest

from gossip.errors import RemoteProtocolError
from gossip.serf.config import SerfConfig
from gossip.serf.queries import IncomingQuery, Queries, QueryRequest, filters_of, is_for
from gossip.wire.serf_messages import MAX_U64, Query
from tests.serf.rig import PORT, host, query


def test_a_query_is_new_once():
    known = Queries(SerfConfig())
    assert known.receive(query(3))
    assert not known.receive(query(3))


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


def filtered(*filters: bytes, **wanted: object) -> Query:
    """Return a query with filters, given as bytes or as a request's."""
    filters = filters or filters_of(QueryRequest(name="x", **wanted))
    return Query(1, 1, host("n1"), PORT, "n1", filters, 0, 0, 10**9, "x")


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ({}, True),
        ({"nodes": ("n0", "n1")}, True),
        ({"nodes": ("n1",)}, False),
        ({"tags": {"role": "^web"}}, True),
        ({"tags": {"role": "eb"}}, True),
        ({"tags": {"role": "db"}}, False),
        ({"tags": {"absent": "^$"}}, True),
        ({"tags": {"absent": "."}}, False),
        ({"tags": {"role": "web", "absent": "."}}, False),
        ({"nodes": ("n0",), "tags": {"role": "db"}}, False),
        ({"tags": {"role": "("}}, False),
    ],
)
def test_all_filters_must_match(wanted, matches):
    assert is_for(filtered(**wanted), "n0", {"role": "web-server"}) is matches


@pytest.mark.parametrize("data", [b"", b"\x07", b"\x00\xc1", b"\x00\x01", b"\x01\x01"])
def test_a_filter_that_cannot_be_read_matches_nobody(data):
    assert not is_for(filtered(data), "n0", {})


@pytest.mark.parametrize(("name", "is_internal"), [("_serf_ping", True), ("uptime", False)])
def test_queries_of_agents_are_told_by_their_names(name, is_internal):
    assert IncomingQuery(1, 1, name, b"", "n1", b"", 0, 0, 0.0).is_internal is is_internal


def test_as_many_queries_of_one_time_are_kept_as_there_is_room_for():
    known = Queries(SerfConfig(buffered_messages=100))
    assert all(known.receive(query(3, number)) for number in range(100))
    with pytest.raises(RemoteProtocolError, match=" dropped: "):
        known.receive(query(3, 100))
