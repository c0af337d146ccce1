import pytest
from hypothesis import given
from msgpack import packb

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.wire.codec import (
    MAX_GOSSIP_BYTES,
    NODE_STATE,
    REMEMBERED_GOSSIP,
    decode,
    decode_gossip,
    encode,
    encode_push_pull,
    padded_ping,
    read_node_state,
)
from gossip.wire.dialect import unpack_struct
from gossip.wire.messages import (
    PROTOCOL_VERSIONS,
    Ack,
    Alive,
    ErrorMessage,
    IndirectPing,
    MemberState,
    Nack,
    NodeState,
    Ping,
    PushPull,
    Suspect,
)
from tests.wire.strategies import gossip_messages, packet_messages

ALIVE = Alive(1, "n1", b"\x7f\0\0\x01", 7946, b"\xff\x80", PROTOCOL_VERSIONS)
ROW = {
    "Name": "n1",
    "Addr": b"\x7f\0\0\x01",
    "Port": 1,
    "Meta": b"",
    "Incarnation": 1,
    "State": 0,
    "Vsn": b"",
}


def part(kind, **fields):
    return bytes((kind,)) + packb(fields, use_bin_type=False)


def alive(**changes):
    fields = {"Incarnation": 1, "Node": "n1", "Addr": b"\x7f\0\0\x01", "Port": 7946, "Vsn": PROTOCOL_VERSIONS}
    return part(4, **(fields | changes))


@given(packet_messages)
def test_every_message_of_a_packet_survives_the_wire(message):
    assert decode(encode(message)) == message


@given(gossip_messages)
def test_the_memoised_decoder_agrees_with_the_plain_one(message):
    assert decode_gossip(encode(message)) == message


def test_keys_are_written_in_ascii_order():
    ping = Ping(1, "n2", b"\x7f\0\0\x0b", 7946, "n1")
    assert encode(ping).hex() == (
        "0085a44e6f6465a26e32a55365714e6f01aa536f7572636541646472a47f00000b"
        "aa536f757263654e6f6465a26e31aa536f75726365506f7274cd1f0a"
    )


def test_only_the_source_of_a_ping_is_left_out_when_empty():
    assert encode(Ping(1)) == part(0, Node="", SeqNo=1)
    assert encode(IndirectPing(1, b"\0\0\0\0", 0, "")) == part(
        1, Nack=False, Node="", Port=0, SeqNo=1, Target=b"\0\0\0\0"
    )


def test_an_error_message_is_written_for_streams():
    assert encode(ErrorMessage("no")) == part(13, Error="no")


def test_equal_gossip_is_the_identical_object():
    data = encode(ALIVE)
    assert decode_gossip(bytes(bytearray(data))) is decode_gossip(bytes(bytearray(data)))


def test_remembered_gossip_is_bounded():
    for incarnation in range(REMEMBERED_GOSSIP + 1):
        decode_gossip(encode(Suspect(incarnation, "n", "m")))
    assert decode_gossip.cache_info().currsize == REMEMBERED_GOSSIP


@pytest.mark.parametrize("decoder", [decode, decode_gossip])
def test_gossip_is_limited_in_length(decoder):
    room = MAX_GOSSIP_BYTES - len(alive(Meta=b"x" * 256)) + 256
    assert decoder(alive(Meta=b"x" * room)).meta == b"x" * room
    with pytest.raises(
        RemoteProtocolError, match=f"gossip of {MAX_GOSSIP_BYTES + 1} bytes: expected at most"
    ):
        decoder(alive(Meta=b"x" * (room + 1)))


def test_what_is_not_gossip_is_refused_as_gossip():
    with pytest.raises(RemoteProtocolError, match="message type 02 is not gossip"):
        decode_gossip(encode(Ack(1)))


@pytest.mark.parametrize(
    "data", [b"", b"\x06\x80", b"\x07\x00", b"\x09\x80", b"\x0a", b"\x0c", b"\x0d\x80", b"\xff"]
)
def test_other_types_are_not_carried_by_packets(data):
    with pytest.raises(RemoteProtocolError, match=f"message type {data[:1].hex() or 'missing'}: no packet"):
        decode(data)


@pytest.mark.parametrize("length", [0, 3, 5, 15, 17])
def test_an_alive_needs_an_address_of_4_or_16_bytes(length):
    with pytest.raises(RemoteProtocolError, match=f"Addr has {length} bytes, expected 4 or 16"):
        decode(alive(Addr=b"x" * length))


@pytest.mark.parametrize("length", [1, 5])
def test_an_alive_with_too_few_versions_is_refused(length):
    with pytest.raises(RemoteProtocolError, match=f"Vsn has {length} bytes, expected 6 or none"):
        decode(alive(Vsn=b"\1" * length))


@pytest.mark.parametrize(("sent", "kept"), [(b"", b""), (b"123456", b"123456"), (b"12345678", b"123456")])
def test_an_alive_has_six_versions_or_none(sent, kept):
    assert decode(alive(Vsn=sent)).versions == kept


def test_port_zero_stays_zero():
    assert decode(alive(Port=0)).port == 0


def test_a_relay_needs_a_possible_target():
    with pytest.raises(RemoteProtocolError, match="Target has 0 bytes, expected 4 or 16"):
        decode(part(1, SeqNo=1))


@pytest.mark.parametrize("sent", [b"", None])
def test_a_ping_may_leave_the_address_to_its_packet(sent):
    assert decode(part(0, SeqNo=1, SourceAddr=sent)) == Ping(1)


def test_a_ping_with_an_impossible_source_is_refused():
    with pytest.raises(RemoteProtocolError, match="SourceAddr has 3 bytes, expected 4 or 16"):
        decode(part(0, SeqNo=1, SourceAddr=b"abc"))


@pytest.mark.parametrize(("kind", "key"), [(0, "SeqNo"), (2, "SeqNo"), (3, "Incarnation"), (11, "SeqNo")])
def test_counters_have_32_bits(kind, key):
    decode(part(kind, **{key: 2**32 - 1}))
    with pytest.raises(RemoteProtocolError, match=f"{key} is 4294967296, expected"):
        decode(part(kind, **{key: 2**32}))


@pytest.mark.parametrize("length", [1, 5])
def test_versions_that_crash_old_peers_are_never_sent(length):
    versions = b"\1" * length
    with pytest.raises(LocalProtocolError, match=f"cannot send {length} version bytes"):
        encode(Alive(1, "n", b"\0\0\0\0", 1, b"", versions))
    row = NodeState("n", b"\0\0\0\0", 1, b"", 1, MemberState.ALIVE, versions)
    with pytest.raises(LocalProtocolError, match=f"cannot send {length} version bytes"):
        encode_push_pull(PushPull(False, (row,), b""))


def row(**changes):
    return read_node_state(unpack_struct(packb(ROW | changes, use_bin_type=False), NODE_STATE.order))


def test_a_row_of_a_push_pull_is_read():
    expected = NodeState("n1", b"\x7f\0\0\x01", 1, b"", 1, MemberState.LEFT, PROTOCOL_VERSIONS)
    assert row(State=3, Vsn=PROTOCOL_VERSIONS + b"\7") == expected


@pytest.mark.parametrize(
    "change", [{"Addr": b""}, {"Addr": b"12345"}, {"State": 4}, {"Vsn": b"\1"}, {"Vsn": b"12345"}]
)
def test_a_row_of_no_possible_member_is_left_out(change):
    assert row(**change) is None


@pytest.mark.parametrize("change", [{"Name": 1}, {"State": -1}, {"Port": 2**16}, {"Incarnation": 2**32}])
def test_a_malformed_row_is_an_error(change):
    with pytest.raises(RemoteProtocolError):
        row(**change)


def test_a_nack_as_nil_is_all_zero():
    assert decode(b"\x0b\xc0") == Nack(0)


@pytest.mark.parametrize("length", [400, 1371, 1400, 9000])
def test_a_padded_ping_has_its_length_and_is_read_as_the_same_ping(length):
    ping = Ping(7, "n2", b"\x0a\x00\x00\x01", 7946, "n1")
    padded = padded_ping(ping, length, bytes)
    assert len(padded) == length
    assert decode(padded) == ping


@pytest.mark.parametrize("length", [0, 50, 270])
def test_a_ping_that_needs_hardly_any_padding_stays_as_it_is(length):
    ping = Ping(7, "n2")
    assert padded_ping(ping, length, bytes) == encode(ping)
