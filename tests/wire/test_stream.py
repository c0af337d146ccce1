import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import packb

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.wire import stream
from gossip.wire.codec import encode, encode_push_pull
from gossip.wire.compression import pack_compressed
from gossip.wire.dialect import MAX_ELEMENTS
from gossip.wire.keyring import Keyring
from gossip.wire.lzw import compress
from gossip.wire.messages import (
    MAX_NODES,
    MAX_USER_BYTES,
    PROTOCOL_VERSIONS,
    Ack,
    ErrorMessage,
    MemberState,
    NodeState,
    Ping,
    PushPull,
    UserMessage,
)
from gossip.wire.stream import StreamReader, seal_stream
from tests.wire.lzw_writer import zeros
from tests.wire.recorded import streams
from tests.wire.strategies import payloads, stream_messages

KEYS = Keyring([b"k" * 16])
NONCE = bytes(12)
ROW = NodeState("n1", b"\x7f\0\0\x01", 7946, b"\xff\x80", 1, MemberState.ALIVE, PROTOCOL_VERSIONS)
STATE = PushPull(True, (ROW, ROW), b"\x02\x80" * 10)
PLAIN = encode_push_pull(STATE)


def encoded(message):
    return encode_push_pull(message) if isinstance(message, PushPull) else encode(message)


def struct(**fields):
    return packb(fields, use_bin_type=False)


def fed(reader, data, step):
    """Feed `data` in steps; return the messages that came, and how many bytes had been fed by then."""
    for start in range(0, len(data), step):
        reader.receive_data(data[start : start + step])
        message = reader.next_event()
        if message is not None:
            return message, min(start + step, len(data))
    return None, len(data)


def read(data, encryption=None, **options):
    reader = StreamReader(encryption=encryption, **options)
    reader.receive_data(data)
    return reader.next_event()


def user_message(payload):
    return b"\x08" + struct(UserMsgLen=len(payload)) + payload


@given(stream_messages, st.booleans(), st.sampled_from([None, KEYS]), st.binary(max_size=3), st.booleans())
def test_every_stream_message_survives_the_wire(message, compress, encryption, label, reply):
    options = {"encryption": encryption, "label": label}
    sealed = seal_stream(encoded(message), compress=compress, nonce=NONCE, reply=reply, **options)
    assert read(sealed, **options, header=b"" if reply else label) == message


@given(payloads)
def test_a_user_message_survives_the_wire(payload):
    assert read(user_message(payload)) == UserMessage(payload)


RECORDED = [
    each
    for each in streams()
    if isinstance(each[3], dict) and "message" in each[3] and each[1][:1] != b"\xf4"
]
READABLE = [each for each in RECORDED if (each[1][0] == 0x0A) == (each[2] is not None)]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(("name", "data", "keys", "written"), READABLE, ids=[each[0] for each in READABLE])
def test_any_chunking_gives_the_same_message_and_not_before_its_last_byte(name, data, keys, written, step):
    message, used = fed(StreamReader(encryption=keys), data, step)
    assert message == read(data, keys)
    assert used == len(data)


@given(stream_messages, st.booleans(), st.lists(st.floats(0, 1), max_size=5))
def test_any_cuts_give_the_same_message(message, compress, cuts):
    sealed = seal_stream(encoded(message), compress=compress, encryption=None, nonce=b"")
    places = sorted(int(cut * len(sealed)) for cut in cuts)
    reader = StreamReader(encryption=None)
    events = []
    for start, end in zip([0, *places], [*places, len(sealed)], strict=True):
        reader.receive_data(sealed[start:end])
        events.append(reader.next_event())
    assert [event for event in events if event is not None] == [message]


def test_the_message_comes_once_and_what_follows_is_ignored():
    reader = StreamReader(encryption=None)
    assert reader.next_event() is None
    reader.receive_data(PLAIN + b"\xc1 more")
    assert reader.next_event() == STATE
    reader.receive_data(b"\xc1 and more")
    assert reader.next_event() is None
    reader.receive_eof()
    assert reader.next_event() is None


@pytest.mark.parametrize("wrap", [lambda data: data, pack_compressed])
def test_the_end_of_the_stream_in_the_middle_is_an_error_that_stays(wrap):
    data = wrap(PLAIN)
    for length in range(1, len(data)):
        reader = StreamReader(encryption=None)
        reader.receive_data(data[:length])
        assert reader.next_event() is None
        reader.receive_eof()
        for _ in range(2):
            with pytest.raises(
                RemoteProtocolError, match=f"ended after {length} bytes, in the middle of a message"
            ):
                reader.next_event()


def test_a_stream_that_ends_at_once_says_so():
    reader = StreamReader(encryption=None)
    reader.receive_eof()
    with pytest.raises(RemoteProtocolError, match="stream ended after 0 bytes, before a message"):
        reader.next_event()


def test_data_after_the_end_is_a_mistake_of_the_caller():
    reader = StreamReader(encryption=None)
    reader.receive_eof()
    with pytest.raises(LocalProtocolError, match="4 bytes after the end of the stream"):
        reader.receive_data(b"late")


@pytest.mark.parametrize("data", [PLAIN, pack_compressed(PLAIN), encode(ErrorMessage("no"))])
def test_plaintext_is_refused_at_its_first_byte_when_keys_are_set(data):
    with pytest.raises(RemoteProtocolError, match=f"^{stream.NOT_ENCRYPTED}$"):
        read(data[:1], KEYS)


def test_ciphertext_is_refused_at_its_first_byte_without_keys():
    sealed = seal_stream(PLAIN, compress=False, encryption=KEYS, nonce=NONCE)
    with pytest.raises(RemoteProtocolError, match=f"^{stream.NOT_CONFIGURED}$"):
        read(sealed[:1])


def test_another_key_does_not_open_a_frame():
    sealed = seal_stream(PLAIN, compress=False, encryption=KEYS, nonce=NONCE)
    with pytest.raises(RemoteProtocolError, match="no installed key could decrypt"):
        read(sealed, Keyring([b"x" * 16]))


@pytest.mark.parametrize("kind", [1, 3, 4, 5, 7, 11, 12, 0x55])
def test_other_types_are_not_carried_by_streams(kind):
    for data in (bytes((kind, 1, 2)), pack_compressed(bytes((kind,)))):
        with pytest.raises(RemoteProtocolError, match=f"message type {kind:02x}: no stream carries it"):
            read(data)


@pytest.mark.parametrize("layer", [pack_compressed, lambda data: b"\x0a\0\0\0\x1d" + data])
def test_compression_and_encryption_do_not_repeat_inside_compression(layer):
    with pytest.raises(RemoteProtocolError, match="no stream carries it"):
        read(pack_compressed(layer(PLAIN)))


def test_compression_that_makes_it_longer_is_written_and_read():
    ping = encode(Ping(1, "n"))
    sealed = seal_stream(ping, compress=True, encryption=None, nonce=b"")
    assert len(sealed) > len(ping)
    assert read(sealed) == Ping(1, "n")


def test_what_compresses_to_more_than_peers_take_is_sent_as_it_is(monkeypatch):
    message = encode_push_pull(PushPull(False, (), bytes(range(256)) * 4))
    compressed = seal_stream(message, compress=True, encryption=None, nonce=b"")
    monkeypatch.setattr(stream, "MAX_COMPRESSED_BYTES", len(compressed))
    assert seal_stream(message, compress=True, encryption=None, nonce=b"") == compressed
    monkeypatch.setattr(stream, "MAX_COMPRESSED_BYTES", len(compressed) - 1)
    plain = seal_stream(message, compress=True, encryption=None, nonce=b"")
    assert plain == message
    assert read(plain) == PushPull(False, (), bytes(range(256)) * 4)


def test_an_impossible_row_is_left_out_and_a_malformed_one_is_an_error():
    header = b"\x06" + struct(Nodes=2, UserStateLen=1, Join=False)
    good = encode_push_pull(PushPull(False, (ROW,), b""))[
        len(b"\x06" + struct(Join=False, Nodes=1, UserStateLen=0)) :
    ]
    assert read(header + b"\x80" + good + b"u") == PushPull(False, (ROW,), b"u")
    with pytest.raises(RemoteProtocolError, match="Name is int, expected text"):
        read(header + struct(Name=1))


def test_headers_may_be_arrays():
    assert read(b"\x06\x93\x00\x01\xc3u") == PushPull(True, (), b"u")
    assert read(b"\x02\x92\x07\xc0") == Ack(7)


@pytest.mark.parametrize(
    ("fields", "limit"),
    [({"Nodes": MAX_NODES}, "Nodes"), ({"UserStateLen": MAX_USER_BYTES}, "UserStateLen")],
)
def test_a_push_pull_is_limited_by_its_header(fields, limit):
    assert read(b"\x06" + struct(**fields)) is None
    with pytest.raises(RemoteProtocolError, match=f"{limit} is {fields[limit] + 1}, expected"):
        read(b"\x06" + struct(**{limit: fields[limit] + 1}))


def test_a_user_message_is_limited_by_its_header():
    assert read(b"\x08" + struct(UserMsgLen=MAX_USER_BYTES)) is None
    with pytest.raises(RemoteProtocolError, match=f"UserMsgLen is {MAX_USER_BYTES + 1}, expected"):
        read(b"\x08" + struct(UserMsgLen=MAX_USER_BYTES + 1))


@pytest.mark.parametrize("size", [-1, 1.5, b""])
def test_lengths_are_whole_numbers(size):
    for data in (
        b"\x08" + struct(UserMsgLen=size),
        b"\x06" + struct(Nodes=size),
        b"\x06" + struct(UserStateLen=size),
    ):
        with pytest.raises(RemoteProtocolError, match="expected"):
            read(data)


def test_a_frame_is_limited_by_its_length():
    assert read(b"\x0a" + stream.MAX_FRAME_BYTES.to_bytes(4, "big"), KEYS) is None
    with pytest.raises(RemoteProtocolError, match="encrypted frame of 20971521 bytes: expected at most"):
        read(b"\x0a" + (stream.MAX_FRAME_BYTES + 1).to_bytes(4, "big"), KEYS)


def test_a_frame_that_peers_would_refuse_is_not_sent():
    largest = bytes(stream.MAX_FRAME_BYTES - KEYS.overhead)
    assert (
        len(seal_stream(largest, compress=False, encryption=KEYS, nonce=NONCE)) == 5 + stream.MAX_FRAME_BYTES
    )
    with pytest.raises(LocalProtocolError, match="cannot send a frame of 20971521 bytes"):
        seal_stream(largest + b"x", compress=False, encryption=KEYS, nonce=NONCE)


@pytest.mark.parametrize("whole", [True, False], ids=["in one piece", "in pieces"])
def test_an_object_is_limited_in_bytes(whole):
    room = stream.MAX_OBJECT_BYTES - len(struct(Node=b"x" * 60_000)) + 60_000
    for excess in (0, 1):
        data = b"\x00" + struct(Node=b"x" * (room + excess))
        reader = StreamReader(encryption=None)
        if excess:
            with pytest.raises(
                RemoteProtocolError, match=r"msgpack object of \d+ or more bytes: expected at most 65536"
            ):
                fed(reader, data, len(data) if whole else 1000)
        else:
            assert fed(reader, data, len(data) if whole else 1000)[0] == Ping(0, "x" * room)


def test_an_object_that_never_ends_is_refused_in_time():
    reader = StreamReader(encryption=None)
    with pytest.raises(RemoteProtocolError, match=r"msgpack object of \d+ or more bytes"):
        fed(reader, b"\x00\x81\xa1x\xdb\xff\xff\xff\xff" + bytes(100_000), 500)


def test_elements_of_an_object_are_limited():
    for count in (MAX_ELEMENTS, MAX_ELEMENTS + 1):
        data = b"\x00" + packb({str(number): 0 for number in range(count)})
        compressed = b"\x09" + packb(
            {str(number): 0 for number in range(count - 1)} | {"Buf": compress(data[:1] + b"\x80")}
        )
        if count == MAX_ELEMENTS:
            assert read(data) == read(compressed) == Ping(0)
        else:
            with pytest.raises(RemoteProtocolError, match="257 exceeds max_map_len"):
                read(data)
            with pytest.raises(RemoteProtocolError, match="map of 257 elements: expected at most 256"):
                read(compressed)


def test_compressed_data_is_limited():
    def compressed(length):
        return (
            b"\x09\x82\xa4Algo\x00\xa3Buf\xdb"
            + length.to_bytes(4, "big")
            + compress(encode(Ack(1))).ljust(length, b"x")
        )

    at_the_limit = stream.MAX_COMPRESSED_BYTES - 5
    assert read(compressed(at_the_limit)) == Ack(1)
    with pytest.raises(RemoteProtocolError, match=f"expected at most {stream.MAX_COMPRESSED_BYTES}"):
        read(compressed(at_the_limit + 1))


def compressed_zeros(length, prefix=b""):
    return b"\x09" + packb({"Algo": 0, "Buf": zeros(length, prefix)}, use_bin_type=False)


def test_a_message_is_limited_after_decompression():
    noise = Random(1).randbytes(200_000)  # lest the ratio is the limit that is reached
    header = b"\x06" + struct(Nodes=0, UserStateLen=MAX_USER_BYTES, Join=False)
    room = stream.MAX_MESSAGE_BYTES - len(header + noise)
    state = noise.ljust(MAX_USER_BYTES, b"\0")
    assert read(compressed_zeros(room, header + noise)) == PushPull(False, (), state)
    with pytest.raises(RemoteProtocolError, match=f"gives more than {stream.MAX_MESSAGE_BYTES} bytes"):
        read(compressed_zeros(room + 1, header + noise))


def test_a_message_is_limited_by_what_it_was_decompressed_from():
    header = b"\x06" + struct(Nodes=0, UserStateLen=1000, Join=False)

    def exceeds(run):
        return len(header) + run > stream.MAX_EXPANSION * len(zeros(run, header))

    run = next(run for run in range(1000, 100_000) if exceeds(run))
    assert read(compressed_zeros(run - 1, header)) == PushPull(False, (), bytes(1000))
    with pytest.raises(RemoteProtocolError, match="gives more than"):
        read(compressed_zeros(run, header))


def test_a_stream_in_the_clear_is_limited():
    header = b"\x06" + struct(Nodes=MAX_NODES)
    row = struct(Meta=bytes(1000))
    rows = row * ((stream.MAX_MESSAGE_BYTES - len(header)) // len(row))
    at_the_limit = (header + rows).ljust(stream.MAX_MESSAGE_BYTES, b"\x80")
    reader = StreamReader(encryption=None)
    assert fed(reader, at_the_limit, 2**20) == (None, stream.MAX_MESSAGE_BYTES)
    reader.receive_data(b"\x80")
    with pytest.raises(RemoteProtocolError, match=f"stream of more than {stream.MAX_MESSAGE_BYTES} bytes"):
        reader.next_event()


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xc1",
        b"\x00\x01",
        b"\x02\x81\x90\x01",
        b"\x06\xdd\xff\xff\xff\xff",
        b"\x06\xdf\xff\xff\xff\xff",
        b"\x08" + b"\x91" * 5000,
        b"\x09\xc0",
        b"\x09\x92\x00\xa0",
        b"\x09\x81\x01\x02",
        b"\x09\x81\x80\x02",
        b"\x09\x81\xa3Buf\x91\x01",
        b"\x09\xdf\xff\xff\xff\xff",
        b"\x09\x82\xa4Algo\x01\xa3Buf\xa0",
        b"\x09\x82\xa4Algo\x00\xa3Buf\xa0",
        b"\x0a\x00\x00\x00\x00",
        b"\x0d\x81\xa5Error\x01",
    ],
    ids=lambda data: data[:8].hex(),
)
def test_malformed_streams_are_refused_without_waiting_for_more(data):
    keys = KEYS if data[0] == 0x0A else None
    for step in (1, len(data)):
        with pytest.raises(RemoteProtocolError):
            fed(StreamReader(encryption=keys), data, step)


MANY = 2**18


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x06\x81\xa5Nodes\xce\x00\x10\x00\x00" + b"\xdc\x01\x00" * MANY,
        b"\x06\x81\xa3New" + b"\xdc\x01\x00" * MANY,
        b"\x06\x81\xa3New" + b"\x82\xa1a\x80\xa1b" * MANY,
        b"\x09\x81\xa3New" + b"\xdc\xff\xff" * MANY,
        b"\x09\x82\xa1a" + b"\x80" * MANY,
        compressed_zeros(100 * 2**20, b"\x06"),
    ],
    ids=lambda bomb: bomb[:12].hex(),
)
def test_a_bomb_takes_little_memory(bomb):
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError):
            read(bomb)
        # One message of the full length, twice while it is put together, and a table.
        assert tracemalloc.get_traced_memory()[1] < 2 * stream.MAX_MESSAGE_BYTES + 16 * 2**20
    finally:
        tracemalloc.stop()


def test_reading_byte_by_byte_costs_in_proportion_to_the_bytes(monkeypatch):
    # Counted, not timed: how often msgpack is asked, for one byte at a time.
    asked = 0
    real = stream.Unpacker

    class Counting(real):
        def unpack(self):
            nonlocal asked
            asked += 1
            return super().unpack()

        def feed(self, data):
            assert len(data) == 1
            super().feed(data)

    monkeypatch.setattr(stream, "Unpacker", Counting)
    for rows in (10, 100):
        asked = 0
        data = encode_push_pull(PushPull(False, (ROW,) * rows, b""))
        message, _ = fed(StreamReader(encryption=None), data, 1)
        assert len(message.nodes) == rows
        assert asked <= len(data) + rows + 1


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("keys", [None, KEYS])
def test_a_reader_that_pauses_says_when_much_work_comes_next(compress, keys):
    data = seal_stream(PLAIN, compress=compress, encryption=keys, nonce=NONCE)
    reader = StreamReader(encryption=keys, pauses=True)
    reader.receive_data(data)
    pauses = 0
    while (message := reader.next_event()) is None:
        assert reader.has_work
        pauses += 1
    assert (message, pauses) == (STATE, int(compress) + (keys is not None))
    assert (reader.has_work, reader.rows) == (False, 2)


def test_a_reader_has_no_work_after_an_error():
    reader = StreamReader(encryption=None, pauses=True)
    reader.receive_data(b"\x09" + packb({"Algo": 1, "Buf": b""}, use_bin_type=False))
    assert reader.next_event() is None
    assert reader.has_work
    with pytest.raises(RemoteProtocolError, match="unknown compression"):
        reader.next_event()
    assert not reader.has_work
