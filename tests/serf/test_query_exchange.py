import pytest

from gossip.errors import LocalProtocolError
from gossip.serf.effects import QueryAcked, QueryAnswered, QueryFinished, QueryReceived
from gossip.serf.queries import NO_REBROADCAST, WANTS_ACK, QueryRequest
from gossip.wire.query_codec import decode_conflict_response
from gossip.wire.serf_messages import OtherSerfMessage, Query, QueryResponse, SerfMessageType
from tests.serf.rig import ME, PORT, Rig, home, host, query


def asked(rig, **fields):
    token = rig.node.query(QueryRequest(name="uptime", **fields), rig.now)
    return token, next(message for message in rig.queued() if isinstance(message, Query))


def internal(name, payload=b"", flags=0):
    return Query(3, 1, host("n1"), PORT, "n1", (), flags, 0, 10**9, name, payload)


def test_a_query_is_gossiped_with_what_was_asked_for():
    rig = Rig(members=["n1"])
    _, sent = asked(rig, payload=b"p", nodes=("n1",), tags={"role": "w"}, relay_factor=2, timeout=2.5)
    assert (sent.name, sent.payload, sent.source_node) == ("uptime", b"p", ME)
    assert (sent.addr, sent.port, sent.ltime) == (host(ME), PORT, 1)
    assert (sent.flags, sent.relay_factor, sent.timeout_ns) == (WANTS_ACK, 2, 2_500_000_000)
    assert sent.filters == (b"\x00\x91\xa2n1", b"\x01\x82\xa4Expr\xa1w\xa3Tag\xa4role")


def test_the_asking_member_is_asked_too():
    rig = Rig()
    token, _ = asked(rig)
    (received,) = rig.emitted(QueryReceived)
    rig.node.respond(received.query, b"1 day", rig.now)
    assert rig.emitted(QueryAcked) == [QueryAcked(token, ME)]
    assert rig.emitted(QueryAnswered) == [QueryAnswered(token, ME, b"1 day")]


def test_answers_are_told_until_the_query_is_finished():
    rig = Rig(members=["n1"])
    token, sent = asked(rig, timeout=2.0, wants_acks=False)
    assert sent.flags == 0
    rig.say(QueryResponse(sent.ltime, sent.id, "n1", 0, b"up"))
    rig.advance(1.9)
    assert rig.emitted(QueryFinished) == []
    rig.advance(0.2)
    assert rig.emitted(QueryAnswered) == [QueryAnswered(token, "n1", b"up")]
    assert rig.emitted(QueryFinished) == [QueryFinished(token)]


def test_a_query_one_byte_too_long_is_refused_and_changes_nothing():
    rig = Rig()
    _, sent = asked(rig, payload=bytes(900))
    rig = Rig()
    longest = 900 + 1024 - len(rig.node._broadcasts.queries.take(10**6, 1) or b"") - encoded_length(sent)
    with pytest.raises(LocalProtocolError, match="query exceeds limit of 1024 bytes"):
        asked(rig, payload=bytes(longest + 1))
    assert (rig.queued(), rig.emitted(QueryReceived)) == ([], [])
    asked(rig, payload=bytes(longest))


def encoded_length(sent):
    from gossip.wire.serf_codec import encode_serf

    return len(encode_serf(sent))


@pytest.mark.parametrize(("flags", "queued"), [(0, 1), (NO_REBROADCAST, 0)])
def test_a_new_query_is_passed_on_unless_its_flag_forbids_it(flags, queued):
    rig = Rig(members=["n1"])
    rig.drain_queues()
    for _ in range(2):
        rig.say(query(3, flags=flags))
    assert len(rig.queued()) == queued
    assert len(rig.emitted(QueryReceived)) == 1


def test_a_query_for_others_is_passed_on_but_not_delivered():
    rig = Rig(members=["n1"])
    rig.drain_queues()
    rig.say(Query(3, 1, host("n1"), PORT, "n1", (b"\x00\x91\xa2n1",), WANTS_ACK, 0, 10**9, "uptime"))
    assert (len(rig.queued()), rig.emitted(QueryReceived), rig.sent(QueryResponse)) == (1, [], [])


def test_a_ping_query_is_answered_by_its_ack_alone():
    rig = Rig(members=["n1"])
    rig.say(internal("_serf_ping", flags=WANTS_ACK))
    assert rig.sent(QueryResponse) == [QueryResponse(3, 1, ME, WANTS_ACK)]
    assert rig.emitted(QueryReceived) == []


def test_a_conflict_query_is_answered_with_the_address_that_we_know():
    rig = Rig(members=["n1", "n2"])
    rig.say(internal("_serf_conflict", b"n2"))
    (response,) = rig.sent(QueryResponse)
    assert decode_conflict_response(response.payload) == (host("n2"), home("n2").port)


def test_a_conflict_query_about_an_unknown_name_is_answered_with_nil():
    rig = Rig(members=["n1"])
    rig.say(internal("_serf_conflict", b"n9"))
    (response,) = rig.sent(QueryResponse)
    assert response.payload == b"\x06\xc0"


def test_a_conflict_query_about_our_own_name_is_not_answered():
    rig = Rig(members=["n1"])
    rig.say(internal("_serf_conflict", ME.encode()))
    assert rig.sent(QueryResponse) == []


def test_key_queries_go_up_to_the_owner_of_the_keys():
    rig = Rig(members=["n1"])
    rig.say(internal("_serf_list-keys"))
    (received,) = rig.emitted(QueryReceived)
    assert received.query.is_internal


def test_messages_that_are_never_sent_on_their_own_are_ignored():
    rig = Rig(members=["n1"])
    rig.forget()
    rig.say(OtherSerfMessage(SerfMessageType.KEY_REQUEST, b""))
    assert (rig.effects(), rig.node.rejected) == ([], 0)


def test_members_that_failed_or_left_are_not_counted_as_alive():
    rig = Rig(members=["n1", "n2", "n3"])
    assert rig.node.count_alive() == 4
    rig.fail("n1")
    rig.leave("n2")
    assert rig.node.count_alive() == 2
