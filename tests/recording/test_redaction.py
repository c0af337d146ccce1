"""Keys stay out of recordings, and what stands in their place has the same effect."""

import base64

import pytest
from hypothesis import given

from gossip.recording.graph import dump_state
from gossip.recording.recording import encode_recording
from gossip.recording.redaction import redacted, redacted_payload
from gossip.wire.codec import encode
from gossip.wire.messages import UserMessage
from gossip.wire.serf_codec import decode_serf, encode_serf
from gossip.wire.serf_messages import OtherSerfMessage, Query, QueryResponse, SerfMessageType, UserEvent
from tests.properties.claims import HOSTILE, PARTS
from tests.recording.rig import START, Recorded, new_node
from tests.serf.rig import PORT, alive, home, host

KEY = base64.b64encode(bytes(range(32)))


def key_query(name: str = "_serf_install-key", payload: bytes = b"\x07\x81\xa3Key\xc4\x2c" + KEY) -> bytes:
    return encode_serf(Query(3, 9, host("n1"), PORT, "n1", (), 0, 0, 10**9, name, payload))


def part(payload: bytes) -> bytes:
    return encode(UserMessage(payload))


@pytest.mark.parametrize("name", ["_serf_install-key", "_serf_use-key", "_serf_remove-key"])
def test_a_query_that_carries_a_key_keeps_all_but_the_key(name):
    told, shown = decode_serf(key_query(name)), decode_serf(redacted_payload(key_query(name)))
    assert KEY in told.payload
    assert shown.payload == bytes(len(told.payload))
    assert (shown.ltime, shown.id, shown.name, shown.flags) == (told.ltime, told.id, told.name, told.flags)
    assert len(redacted_payload(key_query(name))) == len(key_query(name))


def test_the_length_stays_when_a_peer_writes_numbers_longer_than_need_be():
    wordy = key_query().replace(b"\xa5LTime\x03", b"\xa5LTime\xcf" + bytes(7) + b"\x03")
    assert decode_serf(wordy) == decode_serf(key_query())
    assert len(redacted_payload(wordy)) == len(wordy)
    assert KEY not in redacted_payload(wordy)


@pytest.mark.parametrize(
    "payload",
    [
        encode_serf(QueryResponse(3, 9, "n1", 0, b"\x08" + KEY)),
        encode_serf(OtherSerfMessage(SerfMessageType.KEY_REQUEST, KEY)),
        encode_serf(OtherSerfMessage(SerfMessageType.KEY_RESPONSE, KEY)),
        encode_serf(OtherSerfMessage(SerfMessageType.RELAY, KEY)),
        b"\x05" + KEY,  # broken
        b"\x04" + KEY,
        b"\x63" + KEY,  # unknown
        key_query(payload=bytes(9000) + KEY),  # too long
    ],
)
def test_what_may_hold_keys_is_left_out(payload):
    assert KEY not in redacted(part(payload))


@pytest.mark.parametrize(
    "payload", [key_query("uptime"), encode_serf(UserEvent(3, "deploy", KEY)), key_query(payload=b""), b""]
)
def test_what_people_send_stays(payload):
    assert redacted(part(payload)) == part(payload)


@given(PARTS | HOSTILE)
def test_a_redacted_message_has_the_same_effect(message):
    told, shown = new_node(), new_node()
    told.receive_packet([message], home("n1"), START)
    shown.receive_packet([redacted(message)], home("n1"), START)
    assert dump_state(told) == dump_state(shown)
    assert redacted(redacted(message)) == redacted(message)


@pytest.mark.parametrize("settles", [True, False])
def test_no_key_gets_into_a_recording_by_any_way(settles):
    recorded = Recorded(max_inputs=7)
    response = encode_serf(QueryResponse(3, 9, "n1", 0, b"\x08" + KEY))
    recorded.node.receive_packet([encode(alive("n1"))], home("n1"), START)
    for number in range(4):
        told = Query(3 + number, 9, host("n1"), PORT, "n1", (), 0, 0, 10**9, "_serf_use-key", KEY)
        recorded.node.receive_packet([part(encode_serf(told)), part(response)], home("n1"), START + number)
        recorded.node.receive_user_message(key_query(), START + number)
        recorded.node.handle_timeout(START + number + 0.5)
        if settles:
            recorded.settle()
        data = encode_recording(recorded.recorder.snapshot(), "", START)
        assert KEY not in data
        assert b"_serf_use-key" in data
        assert b"_serf_install-key" in data
    assert recorded.recorder.renewals
    recorded.check()
    assert KEY in b"".join(recorded.bare._broadcasts.queries.take(10_000, 1))  # it is passed on as it came
