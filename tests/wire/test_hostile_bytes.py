"""Whatever bytes arrive, only `RemoteProtocolError` comes out, and memory stays bounded.

The corpus is the recorded traffic, whole and with its layers peeled off, so that changes reach the inner
layers too: checksums and tags would otherwise catch nearly all of them.
"""

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.wire.codec import decode, decode_gossip
from gossip.wire.compression import pack_compressed
from gossip.wire.keyring import Keyring
from gossip.wire.messages import PushPull, UserMessage
from gossip.wire.packet import unseal
from gossip.wire.serf_codec import decode_serf, decode_serf_gossip, remembered_serf_gossip
from gossip.wire.stream import StreamReader
from tests.wire.recorded import keyring_of, load, streams
from tests.wire.test_vectors import plaintext

GENERATED = 100_000
KEYS = Keyring([b"k" * 16])


def swallow_serf(payload):
    """Decode `payload` in every way that a node does; whatever is refused is fine."""
    for decoder in (decode_serf, decode_serf_gossip):
        try:
            decoder(payload)
        except RemoteProtocolError:
            continue


def swallow_packet(datagram, encryption=None):
    """Take `datagram` apart as a node does; return how many messages it held."""
    try:
        parts = unseal(datagram, encryption=encryption)
    except RemoteProtocolError:
        return 0
    messages = 0
    for part in parts:
        try:
            message = decode(part)
            messages += 1
            decode_gossip(part)
        except RemoteProtocolError:
            continue
        if isinstance(message, UserMessage):
            swallow_serf(message.payload)
    return messages


def swallow_stream(data, encryption=None):
    """Read `data` as one stream up to its end; return whether it held a message."""
    reader = StreamReader(encryption=encryption)
    try:
        reader.receive_data(data)
        message = reader.next_event()
        if message is None:
            reader.receive_eof()
            message = reader.next_event()
    except RemoteProtocolError:
        return False
    if isinstance(message, PushPull):
        swallow_serf(message.user_state)
    return True


def plain(entry):
    """Return the recorded datagram without encryption and checksum."""
    datagram, keys = bytes.fromhex(entry["hex"]), keyring_of(entry)
    data = keys.decrypt(datagram, b"") if keys else datagram
    return data[5:] if data[0] == 12 else data


PACKETS = load("udp_packets") + load("udp_probe_replies")
DATAGRAMS = sorted({bytes.fromhex(entry["hex"]) for entry in PACKETS} | {plain(entry) for entry in PACKETS})
PARTS = sorted({part for entry in PACKETS for part in unseal(plain(entry), encryption=None)})
STREAMS = sorted(
    {data for _, data, _, _ in streams()}
    | {plaintext(data, written)[0] for _, data, _, written in streams() if isinstance(written, dict) and data}
)
TELLING = bytes.fromhex("00010406070809 0a0c 7f808f909fa0bf c0c1c4c9cfd3d9dbdcdddedfff")
"""Type bytes and the msgpack bytes that begin something long."""


def mutated(rng, corpus):
    """Return a recorded message with up to four small changes, or some bytes of its own."""
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.randrange(5)):
        place = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0:
                data[place : place + 1] = bytes((rng.choice(TELLING),))
            case 1:
                data[place:place] = rng.choice(TELLING).to_bytes() * rng.choice((1, 2, 8, 600))
            case 2:
                del data[place : place + rng.randrange(20)]
            case 3:
                other = rng.choice(corpus)
                start = rng.randrange(len(other) + 1)
                data[place:place] = other[start : start + rng.randrange(40)]
            case 4:
                data[place : place + 4] = rng.randbytes(rng.randrange(9))
            case 5:
                data = data[:place]
    return bytes(data)


def generated(rng):
    """Yield datagrams and streams, half each, plain and inside compression."""
    while True:
        yield swallow_packet, mutated(rng, PARTS if rng.random() < 0.5 else DATAGRAMS)
        yield swallow_stream, mutated(rng, STREAMS)
        yield swallow_packet, b"\x07\x02" + b"\x00\x30\x00\x40" + mutated(rng, PARTS) + mutated(rng, PARTS)
        yield swallow_stream, pack_compressed(mutated(rng, STREAMS)[:200])


def test_generated_datagrams_and_streams_raise_nothing_else():
    rng = random.Random(20_241_122)
    held = 0
    source = generated(rng)
    for _ in range(GENERATED):
        swallow, data = next(source)
        held += swallow(data)
    # Not all are refused at the door: a good part gets through to the last layer.
    assert held > GENERATED // 10


def test_generated_messages_keep_memory_bounded():
    rng = random.Random(7)
    source = generated(rng)
    decode_gossip.cache_clear()
    remembered_serf_gossip.cache_clear()
    tracemalloc.start()
    try:
        for _ in range(3000):
            swallow, data = next(source)
            swallow(data)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("swallow", "corpus"), [(swallow_packet, DATAGRAMS + PARTS), (swallow_stream, STREAMS)]
)
def test_every_recorded_message_may_be_cut_at_every_byte(swallow, corpus):
    for data in corpus:
        for length in range(len(data)):
            swallow(data[:length])


@pytest.mark.parametrize(
    "entry", [entry for entry in PACKETS if "key_hex" in entry][:5], ids=lambda entry: entry["name"]
)
def test_a_cut_encrypted_packet_holds_nothing(entry):
    datagram, keys = bytes.fromhex(entry["hex"]), keyring_of(entry)
    assert swallow_packet(datagram, keys) > 0
    for length in range(len(datagram)):
        assert swallow_packet(datagram[:length], keys) == 0


@given(st.binary(max_size=400))
def test_any_bytes_as_a_datagram_raise_nothing_else(data):
    swallow_packet(data)
    swallow_packet(data, KEYS)


@given(st.binary(max_size=400))
def test_any_bytes_as_a_stream_raise_nothing_else(data):
    swallow_stream(data)
    swallow_stream(data, KEYS)


@given(
    st.sampled_from([b"\x00", b"\x01", b"\x02", b"\x03", b"\x04", b"\x05", b"\x08", b"\x0b"]),
    st.binary(max_size=100),
)
def test_any_body_of_a_known_type_raises_nothing_else(kind, body):
    swallow_packet(kind + body)
    swallow_stream(kind + body)


@given(st.sampled_from([bytes((kind,)) for kind in range(10)]), st.binary(max_size=100))
def test_any_serf_body_raises_nothing_else(kind, body):
    swallow_serf(kind + body)


@given(st.sampled_from(DATAGRAMS + PARTS + STREAMS), st.data())
def test_a_recorded_message_with_any_byte_changed_raises_nothing_else(data, draw):
    place = draw.draw(st.integers(0, len(data)))
    changed = data[:place] + draw.draw(st.binary(max_size=6)) + data[place + draw.draw(st.integers(0, 6)) :]
    swallow_packet(changed)
    swallow_stream(changed)


@given(st.binary(max_size=400))
def test_any_bytes_behind_a_valid_tag_raise_nothing_else(data):
    swallow_packet(KEYS.encrypt(1, bytes(12), data, b""), KEYS)
    swallow_packet(KEYS.encrypt(0, bytes(12), data, b""), KEYS)
