"""What queries carry: against what real agents sent, and against broken bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.wire.codec import decode
from gossip.wire.packet import unseal
from gossip.wire.query_codec import (
    KeyResponse,
    KnownMember,
    NodeFilter,
    RelayedMessage,
    TagFilter,
    decode_conflict_response,
    decode_filter,
    decode_key_request,
    decode_key_response,
    decode_relay,
    encode_conflict_response,
    encode_filter,
    encode_key_request,
    encode_key_response,
    encode_relay,
)
from gossip.wire.serf_codec import decode_serf
from gossip.wire.serf_messages import OtherSerfMessage, Query, QueryResponse
from tests.wire.recorded import keyring_of, load

TEXT = st.text(max_size=20)
READERS = (
    decode_filter,
    decode_relay,
    decode_conflict_response,
    decode_key_request,
    decode_key_response,
)


def recorded():
    """Yield every Serf message that real agents were recorded to send."""
    for entry in load("udp_packets"):
        for part in unseal(bytes.fromhex(entry["hex"]), encryption=keyring_of(entry)):
            message = decode(part)
            if hasattr(message, "payload"):
                yield decode_serf(message.payload)


RECORDED = list(recorded())
PAYLOADS = [m.payload for m in RECORDED if isinstance(m, QueryResponse) and m.payload]


def test_recorded_relays_are_read_and_written_again():
    relays = [m.body for m in RECORDED if isinstance(m, OtherSerfMessage)]
    assert len(relays) >= 2
    for body in relays:
        relay = decode_relay(body)
        assert isinstance(decode_serf(relay.message), QueryResponse)
        assert encode_relay(relay) == body


def test_recorded_filters_are_read_and_written_again():
    filters = [data for m in RECORDED if isinstance(m, Query) for data in m.filters]
    for data in filters:
        assert encode_filter(decode_filter(data)) == data


def test_a_recorded_conflict_response_is_read_and_written_again():
    payload = next(p for p in PAYLOADS if p[0] == 6 and b"py1" in p)
    assert decode_conflict_response(payload) == (bytes((127, 0, 0, 77)), 7946)
    member = KnownMember(
        name="py1",
        addr=bytes((127, 0, 0, 77)),
        port=7946,
        tags={"role": "py"},
        status=1,
        versions=bytes((1, 5, 2, 2, 5, 5)),
    )
    assert encode_conflict_response(member) == payload


def test_an_unknown_member_has_no_address():
    assert decode_conflict_response(encode_conflict_response(None)) == (b"", 0)


def test_recorded_key_responses_are_read_and_written_again():
    payloads = [p for p in PAYLOADS if p[0] == 8]
    assert payloads
    for payload in payloads:
        assert encode_key_response(decode_key_response(payload)) == payload


def test_recorded_key_requests_are_read_and_written_again():
    payloads = [m.payload for m in RECORDED if isinstance(m, Query) and m.payload[:1] == b"\x07"]
    assert payloads
    for payload in payloads:
        assert encode_key_request(decode_key_request(payload)) in (payload, payload.replace(b"\xc0", b"\xa0"))


@given(st.lists(TEXT, max_size=20), TEXT, TEXT)
def test_filters_survive(nodes, tag, expression):
    for wanted in (NodeFilter(tuple(nodes)), TagFilter(tag, expression)):
        assert decode_filter(encode_filter(wanted)) == wanted


@given(st.binary(min_size=4, max_size=4), st.integers(0, 65535), TEXT, st.binary(min_size=1, max_size=50))
def test_relays_survive(addr, port, name, message):
    relay = RelayedMessage(addr, port, name, message)
    assert decode_relay(encode_relay(relay)) == relay


@given(st.booleans(), TEXT, st.lists(TEXT, max_size=5), TEXT)
def test_key_responses_survive(result, message, keys, primary):
    response = KeyResponse(result=result, message=message, keys=tuple(keys), primary=primary)
    assert decode_key_response(encode_key_response(response)) == response


@pytest.mark.parametrize(
    ("reader", "data", "reason"),
    [
        (decode_filter, b"", "unknown query filter type missing"),
        (decode_filter, b"\x02", "unknown query filter type 02"),
        (decode_filter, b"\x00\x01", "no list of names"),
        (decode_filter, b"\x00\x91\x01", "expected text"),
        (decode_relay, encode_relay(RelayedMessage(b"abcd", 1, "n", b"")), "relay without a message"),
        (decode_relay, b"\xc1", "malformed relay"),
        (decode_relay, b"", "malformed relay"),
        (decode_key_request, b"", "message type missing, expected 07"),
        (decode_key_response, b"\x07\x80", "message type 07, expected 08"),
        (decode_conflict_response, b"\x08", "message type 08, expected 06"),
    ],
)
def test_broken_bytes_are_refused_with_a_reason(reader, data, reason):
    with pytest.raises(RemoteProtocolError, match=reason):
        reader(data)


@given(st.sampled_from(READERS), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(reader, data):
    for kind in (b"", b"\x00", b"\x01", b"\x06", b"\x07", b"\x08"):
        try:
            reader(kind + data)
        except RemoteProtocolError:
            continue
