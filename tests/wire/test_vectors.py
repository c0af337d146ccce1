"""Traffic recorded from real Serf agents decodes to what was written down, and is written again alike."""

import pytest

from gossip.errors import RemoteProtocolError
from gossip.wire.codec import decode, encode, encode_push_pull
from gossip.wire.messages import MessageType, PushPull, UserMessage
from gossip.wire.packet import HAS_CRC, seal, unseal
from gossip.wire.serf_codec import decode_serf, encode_serf
from gossip.wire.stream import StreamReader, seal_stream
from tests.wire.recorded import (
    expected_message,
    in_words,
    keyring_of,
    leaves,
    load,
    parametrized,
    streams,
)

CAPTURED = load("udp_packets")
PROBES = load("udp_probe_replies")
PROBES_WITH_A_MESSAGE = [entry for entry in PROBES if "message" in entry["decoded"]]
ANSWERS = [
    {"name": f"{entry['name']} answer {number}", "hex": reply["hex"], "decoded": reply["decoded"]}
    for entry in PROBES
    for number, reply in enumerate(entry["replies"], start=1)
]
# A checksum inside compression is recorded because real agents refuse it.
REFUSED_INSIDE = ("udp-crc-inside-compress",)
READABLE = [entry for entry in PROBES_WITH_A_MESSAGE if entry["name"] not in REFUSED_INSIDE]
STREAMS = [stream for stream in streams() if stream[1]]


def parts_of(entry):
    return unseal(bytes.fromhex(entry["hex"]), encryption=keyring_of(entry))


def is_by_hand(payload):
    """Whether the recording script wrote this Serf message: its keys are not sorted, as Go's always are."""
    return payload[0] in (3, 4, 5) and payload[2:8] == b"\xa5LTime"


def read(data, keys):
    reader = StreamReader(encryption=keys)
    reader.receive_data(data)
    return reader.next_event()


@pytest.mark.parametrize("entry", **parametrized(CAPTURED + READABLE + ANSWERS))
def test_a_recorded_packet_decodes_to_what_was_written_down(entry):
    decoded = [in_words(decode(part), decode_serf) for part in parts_of(entry)]
    assert decoded == [expected_message(leaf) for leaf in leaves(entry["decoded"]["message"])]


@pytest.mark.parametrize("entry", **parametrized(CAPTURED + ANSWERS))
def test_every_captured_message_is_encoded_again_byte_for_byte(entry):
    for part in parts_of(entry):
        message = decode(part)
        assert encode(message) == part
        if isinstance(message, UserMessage) and not is_by_hand(message.payload):
            assert encode_serf(decode_serf(message.payload)) == message.payload


@pytest.mark.parametrize("entry", **parametrized(CAPTURED))
def test_every_captured_packet_is_sealed_again_byte_for_byte(entry):
    datagram, keys = bytes.fromhex(entry["hex"]), keyring_of(entry)
    plain = keys.decrypt(datagram, b"") if keys else datagram
    again = seal(
        parts_of(entry),
        compress="nocompress" not in entry["name"],
        crc=plain.startswith(HAS_CRC),
        encryption=keys,
        nonce=datagram[1:13],
    )
    assert again == datagram


def test_the_captured_packets_hold_every_message_type():
    kinds = {part[0] for entry in CAPTURED for part in parts_of(entry)}
    assert kinds == {0, 1, 2, 3, 4, 5, 8, 11}
    assert len(CAPTURED) == 129


def test_a_checksum_inside_compression_is_refused():
    entry = next(entry for entry in PROBES if entry["name"] == "udp-crc-inside-compress")
    (part,) = parts_of(entry)
    assert part[0] == MessageType.HAS_CRC
    with pytest.raises(RemoteProtocolError, match="message type 0c"):
        decode(part)


def test_a_recorded_packet_with_a_wrong_checksum_is_refused():
    entry = next(entry for entry in PROBES if entry["name"] == "udp-ping-bad-crc")
    with pytest.raises(RemoteProtocolError, match="wrong checksum"):
        parts_of(entry)


NOT_WRITTEN_DOWN = {
    "tcp-bad-type request": "message type 55: no stream carries it",
    "tcp-encrypted-to-plain-agent request": "Remote state is encrypted and encryption is not configured",
    "tcp-label-to-plain-agent request": "labelled, but no label is configured",
    "tcp | aes128-nocompress | ping #1 request": "Encryption is configured but remote state is not encrypted",
}
USER_MESSAGE = "tcp-usermsg-userevent request"


@pytest.mark.parametrize(("name", "data", "keys", "written"), STREAMS, ids=[stream[0] for stream in STREAMS])
def test_a_recorded_stream_reads_as_what_was_written_down(name, data, keys, written):
    if name in NOT_WRITTEN_DOWN:
        with pytest.raises(RemoteProtocolError, match=NOT_WRITTEN_DOWN[name]):
            read(data, keys)
    elif name == USER_MESSAGE:
        assert read(data, keys) == UserMessage(data[-40:])
    else:
        assert [in_words(read(data, keys), decode_serf)] == [
            expected_message(leaf) for leaf in leaves(written["message"])
        ]


def plaintext(data, written):
    """Return the message of a stream, and whether it was compressed, from what was written down."""
    message = written["message"]
    if message["name"] == "compress":
        return bytes.fromhex(message["decompressed_hex"]), True
    return bytes.fromhex(written.get("plaintext_hex", data.hex())), False


SORTED_BEGINNINGS = (b"\x00\x85\xa4Node", b"\x02\x82\xa7Payload", b"\x06\x83\xa4Join", b"\x0d\x81\xa5Error")
BY_SERF = [
    stream
    for stream in STREAMS
    if isinstance(stream[3], dict) and plaintext(stream[1], stream[3])[0].startswith(SORTED_BEGINNINGS)
]


@pytest.mark.parametrize(("name", "data", "keys", "written"), BY_SERF, ids=[stream[0] for stream in BY_SERF])
def test_every_stream_that_serf_wrote_is_sealed_again_byte_for_byte(name, data, keys, written):
    message, compressed = plaintext(data, written)
    event = read(data, keys)
    encoded = encode_push_pull(event) if isinstance(event, PushPull) else encode(event)
    assert encoded == message
    assert seal_stream(encoded, compress=compressed, encryption=keys, nonce=data[6:18]) == data


def test_the_recorded_streams_hold_each_layer():
    kinds = {(stream[3]["message"]["name"], stream[2] is not None) for stream in BY_SERF}
    assert kinds >= {("pushPull", False), ("pushPull", True), ("compress", False), ("compress", True)}
