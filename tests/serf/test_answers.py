import pytest

from gossip.errors import LocalProtocolError
from gossip.serf.answers import MAX_RELAYS, MAX_UNANSWERED, RELAYS_SINCE_PROTOCOL
from gossip.serf.effects import QueryReceived
from gossip.serf.queries import WANTS_ACK
from gossip.swim.effects import SendPacket
from gossip.wire.query_codec import RelayedMessage, encode_relay
from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import OtherSerfMessage, Query, QueryResponse, SerfMessageType
from tests.serf.rig import ME, PORT, Rig, alive, home, host

STRANGE = host("n77")


def asked(rig, *, ltime=3, number=1, flags=0, relay_factor=0, addr=None, name="uptime"):
    """Let a query of n1 arrive; return the delivered query, None if it was not delivered."""
    rig.forget()
    rig.say(
        Query(ltime, number, addr or host("n1"), PORT, "n1", (), flags, relay_factor, 10**9, name, b"payload")
    )
    received = rig.emitted(QueryReceived)
    return received[0].query if received else None


def answers(rig):
    """Return the answers with their destinations."""
    responses = []
    for packet in rig.emitted(SendPacket):
        responses += [(packet.to, part[1:]) for part in packet.parts if part[1:2] in (b"\x05", b"\x09")]
    return responses


def test_a_query_that_wants_it_is_acknowledged_at_once():
    rig = Rig(members=["n1"])
    incoming = asked(rig, flags=WANTS_ACK)
    assert answers(rig) == [(home("n1"), encode_serf(QueryResponse(3, 1, ME, WANTS_ACK)))]
    assert (incoming.name, incoming.payload, incoming.deadline) == ("uptime", b"payload", rig.now + 1)


def test_a_response_goes_to_the_member_that_asked():
    rig = Rig(members=["n1"])
    rig.node.respond(asked(rig), b"12 days", rig.now)
    assert answers(rig) == [(home("n1"), encode_serf(QueryResponse(3, 1, ME, 0, b"12 days")))]


def test_there_is_one_response():
    rig = Rig(members=["n1"])
    incoming = asked(rig)
    rig.node.respond(incoming, b"", rig.now)
    with pytest.raises(LocalProtocolError, match="response already sent"):
        rig.node.respond(incoming, b"", rig.now)


def test_a_response_may_come_until_the_deadline():
    rig = Rig(members=["n1"])
    incoming = asked(rig)
    with pytest.raises(LocalProtocolError, match="past the deadline"):
        rig.node.respond(incoming, b"", incoming.deadline + 0.001)
    rig.node.respond(incoming, b"", incoming.deadline)


def test_a_response_one_byte_too_long_is_refused_and_may_be_replaced():
    rig = Rig(members=["n1"])
    incoming = asked(rig)
    longest = 1024 - len(encode_serf(QueryResponse(3, 1, ME, 0, bytes(900)))) + 900
    with pytest.raises(LocalProtocolError, match="response exceeds limit of 1024 bytes"):
        rig.node.respond(incoming, bytes(longest + 1), rig.now)
    rig.node.respond(incoming, bytes(longest), rig.now)


def test_no_answer_goes_to_an_address_without_a_member():
    rig = Rig(members=["n1"])
    incoming = asked(rig, flags=WANTS_ACK, addr=STRANGE)
    rig.node.respond(incoming, b"", rig.now)
    assert answers(rig) == []


def test_the_oldest_unanswered_query_makes_room():
    rig = Rig(members=["n1"])
    first = asked(rig, ltime=1)
    second = asked(rig, ltime=2)
    for number in range(MAX_UNANSWERED - 1):
        asked(rig, ltime=3 + number)
    with pytest.raises(LocalProtocolError):
        rig.node.respond(first, b"", rig.now)
    rig.node.respond(second, b"", rig.now)


def relays(rig):
    return sorted(to.host for to, message in answers(rig) if message[0] == SerfMessageType.RELAY)


def test_answers_are_relayed_through_as_many_members_as_the_query_asks():
    rig = Rig(members=["n1", "n2", "n3"])
    asked(rig, flags=WANTS_ACK, relay_factor=2)
    assert len(relays(rig)) == 2
    (relay,) = {message for _, message in answers(rig) if message[0] == SerfMessageType.RELAY}
    inner = encode_serf(QueryResponse(3, 1, ME, WANTS_ACK))
    expected = RelayedMessage(host("n1"), PORT, "n1", inner)
    assert relay == encode_serf(OtherSerfMessage(SerfMessageType.RELAY, encode_relay(expected)))


def test_nothing_is_relayed_in_a_cluster_that_is_too_small():
    rig = Rig(members=["n1", "n2"])
    asked(rig, flags=WANTS_ACK, relay_factor=3)
    assert relays(rig) == []


def test_the_number_of_relays_is_limited():
    rig = Rig(members=[f"n{number}" for number in range(1, MAX_RELAYS + 4)])
    asked(rig, flags=WANTS_ACK, relay_factor=255)
    assert len(relays(rig)) == MAX_RELAYS


def test_old_members_and_failed_ones_relay_nothing():
    rig = Rig(members=["n1", "n2"])
    rig.hear(alive("n3", versions=bytes((1, RELAYS_SINCE_PROTOCOL - 1, 2, 2, 5, 4))))
    rig.fail("n2")
    asked(rig, flags=WANTS_ACK, relay_factor=3)
    assert relays(rig) == [home("n1").host]


def test_a_relayed_answer_is_bounded_like_a_direct_one():
    rig = Rig(members=["n1", "n2"])
    incoming = asked(rig, relay_factor=1)
    rig.node.respond(incoming, bytes(960), rig.now)
    assert (len(answers(rig)), relays(rig)) == (1, [])


def relay_to(addr):
    inner = encode_serf(QueryResponse(9, 9, "n5", 0, b"x"))
    return OtherSerfMessage(
        SerfMessageType.RELAY, encode_relay(RelayedMessage(addr, PORT, "n1", inner))
    ), inner


def test_a_relayed_message_is_forwarded_unchanged():
    rig = Rig(members=["n1"])
    message, inner = relay_to(host("n1"))
    rig.say(message)
    assert answers(rig) == [(home("n1"), inner)]


def test_nothing_is_forwarded_to_strangers():
    rig = Rig(members=["n1"])
    rig.say(relay_to(STRANGE)[0])
    assert answers(rig) == []
