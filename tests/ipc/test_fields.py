from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.ipc.fields import MAX_UINT64, as_fields, flag, items, number, raw_bytes, text, text_map, texts

READERS = [text, flag, number, raw_bytes, items, texts, text_map]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.binary(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("read", "zero"),
    [(text, ""), (flag, False), (number, 0), (raw_bytes, b""), (items, []), (texts, ()), (text_map, {})],
)
@pytest.mark.parametrize("fields", [{}, {"K": None}, {"k": "other case"}])
def test_a_missing_key_and_nil_are_the_zero_value(read, zero, fields):
    assert read(fields, "K") == zero


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (text, "x"),
        (flag, True),
        (number, 7),
        (raw_bytes, b"\x00"),
        (items, [1, "x"]),
        (text_map, {"a": "b"}),
    ],
)
def test_a_value_of_the_right_type_comes_out(read, value):
    assert read({"K": value}, "K") == value


def test_texts_come_out_as_a_tuple():
    assert texts({"K": ["a", "b"]}, "K") == ("a", "b")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (text, b"bin is no text"),
        (text, 1),
        (flag, 1),
        (number, True),
        (number, 1.0),
        (number, "1"),
        (raw_bytes, [1]),
        (items, {}),
        (texts, ["a", 1]),
        (text_map, ["a"]),
        (text_map, {"a": 1}),
        (text_map, {b"a": "b"}),
    ],
)
def test_a_value_of_the_wrong_type_is_the_peers_fault(read, value):
    with pytest.raises(RemoteProtocolError):
        read({"K": value}, "K")


def test_text_for_bytes_is_taken_byte_by_byte():
    assert raw_bytes({"K": "\udcffa"}, "K") == b"\xffa"


def test_numbers_are_accepted_up_to_their_bounds_and_not_beyond():
    assert number({"K": 5}, "K", least=-1, most=5) == 5
    assert number({"K": -1}, "K", least=-1, most=5) == -1
    assert number({"K": MAX_UINT64}, "K") == MAX_UINT64
    for value, least, most in ((6, -1, 5), (-2, -1, 5), (MAX_UINT64 + 1, 0, MAX_UINT64), (-1, 0, 9)):
        with pytest.raises(RemoteProtocolError, match=f"K is {value}: expected {least}..{most}"):
            number({"K": value}, "K", least=least, most=most)


def test_nil_is_a_struct_of_zero_values():
    assert as_fields(None) == {}


@pytest.mark.parametrize("message", [[], "x", 1, b"x", True])
def test_what_is_no_map_is_no_struct(message):
    with pytest.raises(RemoteProtocolError, match="expected a map, got"):
        as_fields(message)


@given(VALUES)
def test_nothing_but_the_one_error_escapes(value):
    for read in READERS:
        with suppress(RemoteProtocolError):
            read({"K": value}, "K")
