import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import LocalProtocolError
from gossip.serf.tags import TAGS_MAGIC, decode_tags, encode_tags
from gossip.wire.messages import MAX_META_BYTES

MAGIC = bytes((TAGS_MAGIC,))


def test_tags_are_a_magic_byte_and_an_old_style_map_in_sorted_order():
    assert (
        encode_tags({"role": "web", "dc": "x" * 40})
        == b"\xff\x82\xa2dc\xda\x00\x28" + b"x" * 40 + b"\xa4role\xa3web"
    )


def test_no_tags_are_an_empty_map():
    assert encode_tags({}) == b"\xff\x80"
    assert decode_tags(b"\xff\x80") == {}


@pytest.mark.parametrize(("meta", "role"), [(b"", ""), (b"web", "web"), (b"\x80\xfe", "\udc80\udcfe")])
def test_metadata_without_the_magic_byte_is_an_old_peers_role(meta, role):
    assert decode_tags(meta) == {"role": role}


def test_tags_may_fill_512_bytes():
    tags = {"k": "v" * (MAX_META_BYTES - 7)}
    assert len(encode_tags(tags)) == MAX_META_BYTES
    assert decode_tags(encode_tags(tags)) == tags


def test_tags_one_byte_above_the_limit_are_refused():
    with pytest.raises(
        LocalProtocolError, match=r"^encoded length of tags \(513\) exceeds limit of 512 bytes$"
    ):
        encode_tags({"k": "v" * (MAX_META_BYTES - 6)})


def test_values_that_are_not_utf_8_survive():
    assert encode_tags(decode_tags(b"\xff\x81\xa1k\xa2\x80\xff")) == b"\xff\x81\xa1k\xa2\x80\xff"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93\x01\x02\x03",
        b"\xc0",
        b"\x82\xa1a",
        b"\x81\x91\x01\xa1v",
        b"\xc1",
        b"\x91" * 300,
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
    ],
    ids=["empty", "array", "nil", "cut", "list as key", "reserved", "nest", "long map", "long array"],
)
def test_broken_tags_are_no_tags(body):
    assert decode_tags(MAGIC + body) == {}


def test_pairs_that_are_not_text_are_skipped():
    assert decode_tags(MAGIC + msgpack.packb({"role": "web", "weight": 3}, use_bin_type=False)) == {
        "role": "web"
    }


def test_readers_cannot_change_the_tags_of_others():
    with pytest.raises(TypeError):
        decode_tags(b"\xff\x80")["role"] = "admin"


TEXT = st.text(max_size=12)


@given(st.dictionaries(TEXT, TEXT, max_size=8))
def test_tags_survive_the_wire(tags):
    assert decode_tags(encode_tags(tags)) == tags


@given(st.dictionaries(TEXT, TEXT, max_size=8))
def test_equal_tags_make_equal_bytes(tags):
    assert encode_tags(dict(reversed(tags.items()))) == encode_tags(tags)


@given(st.binary(max_size=80))
def test_any_metadata_decodes_to_text(meta):
    for tags in (decode_tags(meta), decode_tags(MAGIC + meta)):
        assert all(isinstance(text, str) for pair in tags.items() for text in pair)
