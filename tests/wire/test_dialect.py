"""Which msgpack is accepted as what; the shapes that go-msgpack was seen to accept are in the vectors."""

import pytest
from msgpack import packb

from gossip.errors import RemoteProtocolError
from gossip.wire.codec import decode, encode
from gossip.wire.dialect import (
    MAX_ELEMENTS,
    as_bytes,
    pack_struct,
    read_bytes,
    read_list,
    read_text,
    read_uint,
    unpack_struct,
    unpack_value,
)
from gossip.wire.layout import BOOL, BYTES_OR_NIL, I64, Layout
from gossip.wire.messages import Alive, Nack
from tests.wire.recorded import load, parametrized

ADDR = bytes.fromhex("a441646472a47f000001")
NEWER_PEERS_SEND_IT = ("string as bin8", "map key bin8")
"""Refused by go-msgpack 0.5.5, accepted by version 2 and by us."""


@pytest.mark.parametrize("entry", **parametrized(load("codec_acceptance")))
def test_an_alive_is_accepted_exactly_if_real_agents_accept_it(entry):
    body = bytes.fromhex(entry["hex"])
    if body[0] == 0x81:  # an alive needs an address, which these maps leave out
        body = b"\x82" + ADDR + body[1:]
    accepted = entry["decoded"]["accepted_by_0.9.4"] or entry["name"] in NEWER_PEERS_SEND_IT
    if entry["name"] == "nil for whole struct":
        assert decode(b"\x0b" + body) == Nack(0)
    elif accepted:
        assert isinstance(decode(b"\x04" + body), Alive)
    else:
        with pytest.raises(RemoteProtocolError):
            decode(b"\x04" + body)


def test_a_struct_as_an_array_has_the_order_of_its_declaration():
    body = bytes.fromhex("96cd012ca16ea47f000001cd1f0aa178a6010502020505")
    alive = Alive(300, "n", b"\x7f\0\0\x01", 7946, b"x", b"\1\5\2\2\5\5")
    assert decode(b"\x04" + body) == alive
    assert unpack_struct(body, Layout(Alive).order)[b"Incarnation"] == 300


def test_a_short_array_leaves_the_rest_at_zero_and_a_long_one_is_cut():
    assert unpack_struct(b"\x91\x01", (b"A", b"B")) == {b"A": 1}
    assert unpack_struct(b"\x93\x01\x02\x03", (b"A", b"B")) == {b"A": 1, b"B": 2}


def test_bytes_after_the_object_are_ignored():
    assert unpack_value(b"\x01\xc1\xff") == 1
    nack = encode(Nack(7))
    assert decode(nack + b"more") == Nack(7)


def test_text_and_bytes_are_written_in_the_old_raw_family():
    assert pack_struct({"A": "x" * 40, "B": b"y" * 300}) == (
        b"\x82\xa1A\xda\x00\x28" + b"x" * 40 + b"\xa1B\xda\x01\x2c" + b"y" * 300
    )


@pytest.mark.parametrize("value", [-1, 2**16, 1.0, True, b"1", [], {}])
def test_a_port_is_a_whole_number_of_sixteen_bits(value):
    with pytest.raises(RemoteProtocolError, match=r"^Port is .*, expected"):
        read_uint({b"Port": value}, b"Port", 2**16 - 1)


@pytest.mark.parametrize("value", [0, 2**16 - 1])
def test_a_port_may_be_at_either_limit(value):
    assert read_uint({b"Port": value}, b"Port", 2**16 - 1) == value


def test_absent_and_nil_fields_have_the_zero_value():
    for fields in ({}, {b"X": None}):
        assert read_uint(fields, b"X", 9) == 0
        assert I64.read(fields.get(b"X"), b"X") == 0
        assert BOOL.read(fields.get(b"X"), b"X") is False
        assert read_text(fields, b"X") == ""
        assert read_bytes(fields, b"X") == b""
        assert BYTES_OR_NIL.read(fields.get(b"X"), b"X") is None
        assert read_list(fields, b"X") == []


@pytest.mark.parametrize("value", [-(2**63), 2**63 - 1])
def test_a_timeout_is_signed(value):
    assert I64.read(value, b"Timeout") == value


def test_a_timeout_above_63_bits_is_refused():
    with pytest.raises(RemoteProtocolError, match="Timeout is 9223372036854775808, expected"):
        I64.read(2**63, b"Timeout")


@pytest.mark.parametrize(
    ("read", "value", "wanted"),
    [
        (lambda fields, key: BOOL.read(fields[key], key), 1, "a boolean"),
        (read_text, 1, "text"),
        (read_bytes, 1, "bytes"),
        (read_bytes, "text", "bytes"),
        (read_bytes, [256], "only numbers"),
        (read_bytes, [-1], "only numbers"),
        (read_bytes, [True], "only numbers"),
        (read_list, b"x", "an array"),
    ],
)
def test_a_value_of_another_kind_is_refused(read, value, wanted):
    with pytest.raises(RemoteProtocolError, match=f"^X is .*, expected {wanted}"):
        read({b"X": value}, b"X")


def test_an_array_of_small_numbers_is_bytes():
    assert as_bytes([0, 255], b"Vsn") == b"\x00\xff"


def test_names_that_are_not_utf8_survive():
    name = read_text({b"Node": b"\xff\xfe\xed\xa0\x80ok"}, b"Node")
    assert pack_struct({"": name})[3:] == b"\xff\xfe\xed\xa0\x80ok"


def test_a_struct_that_is_neither_map_nor_array_is_refused():
    with pytest.raises(RemoteProtocolError, match="expected a map, got int"):
        unpack_struct(b"\x01", ())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x81",
        b"\x81\x01\x01",
        b"\x81\x90\x01",
        b"\x81\x80\x01",
        b"\xdb\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\x91" * 5000,
        b"\xc7\x03\xff123",
        b"\xd7\xff" + b"\xff" * 8,
    ],
    ids=lambda body: body[:6].hex() or "empty",
)
def test_hostile_msgpack_is_malformed_and_nothing_else(body):
    with pytest.raises(RemoteProtocolError, match="malformed msgpack in "):
        unpack_value(body)


@pytest.mark.parametrize("make", [lambda n: [0] * n, lambda n: {str(i): 0 for i in range(n)}])
def test_containers_are_limited(make):
    assert len(unpack_value(packb(make(MAX_ELEMENTS)))) == MAX_ELEMENTS
    with pytest.raises(RemoteProtocolError, match=f"{MAX_ELEMENTS + 1} exceeds max"):
        unpack_value(packb(make(MAX_ELEMENTS + 1)))
