import pytest

from gossip.errors import LocalProtocolError
from gossip.serf.effects import QueryAcked, QueryAnswered, QueryFinished
from gossip.serf.open_queries import MAX_OPEN_QUERIES, OpenQueries, default_timeout
from gossip.serf.queries import WANTS_ACK
from gossip.swim.deadlines import Deadlines
from gossip.wire.serf_messages import QueryResponse
from tests.serf.rig import query


def opened(limit=10):
    """Return open queries with one of time 3 and id 1, and the list of effects."""
    effects = []
    open_queries = OpenQueries(Deadlines(), effects.append)
    assert open_queries.open(query(3), limit, now=100.0) == 1
    return open_queries, effects


def response(origin, *, ack=False, payload=None, number=1):
    return QueryResponse(3, number, origin, WANTS_ACK if ack else 0, payload)


@pytest.mark.parametrize(("alive", "seconds"), [(1, 3.2), (9, 3.2), (10, 6.4), (99, 6.4), (100, 9.6)])
def test_the_default_timeout_grows_with_the_digits_of_the_cluster(alive, seconds):
    assert default_timeout(0.2, alive) == pytest.approx(seconds)


def test_an_ack_and_a_response_of_each_member_count_once():
    open_queries, effects = opened()
    for _ in range(2):
        open_queries.receive(response("n1", ack=True))
        open_queries.receive(response("n1", payload=b"up"))
        open_queries.receive(response("n2"))
    assert effects == [QueryAcked(1, "n1"), QueryAnswered(1, "n1", b"up"), QueryAnswered(1, "n2", b"")]


def test_no_more_answers_than_members_were_alive():
    open_queries, effects = opened(limit=2)
    for number in range(3):
        open_queries.receive(response(f"n{number}"))
    assert [effect.origin for effect in effects] == ["n0", "n1"]


def test_an_answer_to_no_query_of_ours_is_counted_as_late():
    open_queries, effects = opened()
    open_queries.receive(response("n1", number=2))
    assert (open_queries.late, effects) == (1, [])


def test_after_its_deadline_a_query_takes_no_answers():
    open_queries, effects = opened()
    open_queries.finish(1)
    open_queries.receive(response("n1"))
    assert (open_queries.late, effects) == (1, [QueryFinished(1)])


def test_a_bounded_number_of_queries_may_run():
    open_queries, _ = opened()
    for number in range(MAX_OPEN_QUERIES - 1):
        open_queries.check_room()
        open_queries.open(query(4, number), 1, 100.0)
    with pytest.raises(LocalProtocolError, match="256 queries of this agent are running"):
        open_queries.check_room()
