import tracemalloc
from bisect import bisect_left as bisect
from random import Random
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import packb

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.wire.codec import decode, encode
from gossip.wire.compression import pack_compressed
from gossip.wire.keyring import Keyring
from gossip.wire.messages import Nack
from gossip.wire.packet import (
    MAX_COMPRESSED_BYTES,
    MAX_DATAGRAM_BYTES,
    MAX_EXPANSION,
    MAX_NESTING,
    MAX_PARTS,
    MAX_PARTS_SENT,
    MAX_UNSEALED_BYTES,
    seal,
    unseal,
)
from tests.wire.lzw_writer import zeros

KEYS = Keyring([b"k" * 32])
NONCE = bytes(12)
LEAF = encode(Nack(1))


def sealed(parts, **changes):
    return seal(parts, **({"compress": False, "crc": False, "encryption": None, "nonce": b""} | changes))


def opened(datagram):
    return unseal(datagram, encryption=None)


def compound(parts):
    sizes = b"".join(len(part).to_bytes(2, "big") for part in parts)
    return b"\x07" + bytes((len(parts),)) + sizes + b"".join(parts)


leaves = st.binary(min_size=1, max_size=300).filter(lambda part: part[0] not in (7, 9))


@given(
    parts=st.lists(leaves, min_size=1, max_size=5),
    compress=st.booleans(),
    encryption=st.sampled_from([None, KEYS]),
    label=st.binary(max_size=5),
)
def test_what_was_sealed_is_unsealed(parts, compress, encryption, label):
    datagram = seal(parts, compress=compress, crc=True, encryption=encryption, nonce=NONCE, label=label)
    assert unseal(datagram, encryption=encryption, label=label) == parts


def test_one_part_is_sent_bare_and_several_as_a_compound():
    assert sealed([LEAF]) == LEAF
    assert sealed([LEAF, LEAF]) == compound([LEAF, LEAF])


def test_layers_nest_from_compression_to_label():
    part = b"\x08" + b"a" * 200
    inner = pack_compressed(part)
    with_crc = b"\x0c" + crc32(inner).to_bytes(4, "big") + inner
    datagram = sealed([part], compress=True, crc=True, encryption=KEYS, nonce=NONCE, label=b"blue")
    assert datagram == b"\xf4\x04blue" + KEYS.encrypt(1, NONCE, with_crc, b"blue")


def test_compression_is_used_only_if_it_is_strictly_smaller():
    sizes = {length: len(pack_compressed(bytes(length))) for length in range(1, 60)}
    assert any(packed == length for length, packed in sizes.items())
    for length, packed in sizes.items():
        expected = pack_compressed(bytes(length)) if packed < length else bytes(length)
        assert sealed([bytes(length)], compress=True) == expected


def test_parts_sent_are_limited_in_number():
    assert opened(sealed([LEAF] * MAX_PARTS_SENT)) == [LEAF] * MAX_PARTS_SENT
    for count in (0, MAX_PARTS_SENT + 1):
        with pytest.raises(LocalProtocolError, match=f"cannot send {count} parts: expected 1 to 127"):
            sealed([LEAF] * count)


def test_a_part_of_a_compound_has_at_most_65535_bytes():
    with pytest.raises(LocalProtocolError, match="cannot send a part of 65536 bytes"):
        sealed([LEAF, bytes(65_536)])
    with pytest.raises(LocalProtocolError, match=r"cannot send \d+ bytes: a datagram holds 65535"):
        sealed([LEAF, bytes(65_535)])


def test_datagrams_are_limited_in_length():
    largest = b"\x08" + bytes(MAX_DATAGRAM_BYTES - 1)
    assert opened(sealed([largest])) == [largest]
    with pytest.raises(LocalProtocolError, match="cannot send 65536 bytes: a datagram holds 65535"):
        sealed([largest + b"x"])
    with pytest.raises(RemoteProtocolError, match="datagram of 65536 bytes: expected at most 65535"):
        opened(largest + b"x")


def test_plaintext_is_refused_when_keys_are_set():
    with pytest.raises(RemoteProtocolError):
        unseal(LEAF, encryption=KEYS)


def test_a_checksum_is_verified():
    datagram = sealed([LEAF], crc=True)
    for place in range(1, len(datagram)):
        broken = bytearray(datagram)
        broken[place] ^= 1
        with pytest.raises(RemoteProtocolError, match=f"wrong checksum of {len(LEAF)} bytes"):
            opened(bytes(broken))


@pytest.mark.parametrize("inside", [compound, lambda parts: pack_compressed(parts[0])])
def test_a_checksum_counts_only_outermost(inside):
    with_crc = sealed([LEAF], crc=True)
    (part,) = opened(inside([with_crc]))
    with pytest.raises(RemoteProtocolError, match="message type 0c: no packet carries it"):
        decode(part)


def test_compounds_and_compression_nest_either_way():
    assert opened(pack_compressed(compound([LEAF, LEAF]))) == [LEAF, LEAF]
    assert opened(compound([pack_compressed(LEAF), LEAF])) == [LEAF, LEAF]


def test_parts_keep_their_order():
    a, b, c, d = (encode(Nack(number)) for number in range(4))
    assert opened(compound([a, compound([b, c]), d])) == [a, b, c, d]


def test_of_a_truncated_compound_the_leading_parts_count():
    whole = compound([LEAF, LEAF, LEAF])
    assert opened(whole[:-1]) == [LEAF, LEAF]
    assert opened(whole[: -len(LEAF) - 1]) == [LEAF]
    with pytest.raises(RemoteProtocolError, match="holds no message"):
        opened(whole[: 8 + len(LEAF) - 1])


@pytest.mark.parametrize("datagram", [b"\x07", b"\x07\x01", b"\x07\x02\x00\x01\x00"])
def test_a_compound_shorter_than_its_table_is_refused(datagram):
    with pytest.raises(
        RemoteProtocolError, match=f"compound of {len(datagram)} bytes is shorter than its table"
    ):
        opened(datagram)


@pytest.mark.parametrize("datagram", [b"", b"\x07\x00", compound([b"", b""]), pack_compressed(b"")])
def test_a_packet_without_a_message_is_refused(datagram):
    with pytest.raises(RemoteProtocolError, match=f"datagram of {len(datagram)} bytes holds no message"):
        opened(datagram)


@pytest.mark.parametrize("broken", [b"\x09\x80", b"\x09\xc1", b"\x07\x05"])
def test_a_broken_inner_part_leaves_its_neighbours_alone(broken):
    assert opened(compound([LEAF, broken, LEAF])) == [LEAF, broken, LEAF]
    with pytest.raises(RemoteProtocolError, match="no packet carries it"):
        decode(broken)
    with pytest.raises(RemoteProtocolError):
        opened(broken)


def test_nesting_is_limited():
    nested = LEAF
    for _ in range(MAX_NESTING):
        nested = compound([nested])
    assert opened(nested) == [LEAF]
    (too_deep,) = opened(compound([nested]))
    with pytest.raises(RemoteProtocolError, match="message type 07: no packet carries it"):
        decode(too_deep)


def test_parts_received_are_limited_in_number():
    quarter = compound([LEAF] * (MAX_PARTS // 8))
    assert opened(compound([quarter] * 8)) == [LEAF] * MAX_PARTS
    with pytest.raises(RemoteProtocolError, match=f"datagram of more than {MAX_PARTS} messages"):
        opened(compound([quarter] * 8 + [LEAF]))


def filled(size, incompressible=700):
    """Return a message of `size` bytes that compresses to a little more than its incompressible part."""
    return b"\x08" + Random(1).randbytes(incompressible) + bytes(size - 1 - incompressible)


def test_decompressed_bytes_are_limited():
    assert opened(pack_compressed(filled(MAX_UNSEALED_BYTES))) == [filled(MAX_UNSEALED_BYTES)]
    with pytest.raises(RemoteProtocolError, match=f"gives more than {MAX_UNSEALED_BYTES} bytes"):
        opened(pack_compressed(filled(MAX_UNSEALED_BYTES + 1)))


def test_decompressed_bytes_are_limited_over_all_parts_together():
    half = filled(MAX_UNSEALED_BYTES // 2)
    first, second, third = opened(compound([pack_compressed(half)] * 3))
    assert first == second == half
    assert third == pack_compressed(half)


def test_decompressed_bytes_are_limited_by_the_bytes_received():
    sizes = range(1, 20_000)
    size = bisect(sizes, True, key=lambda n: n > MAX_EXPANSION * len(pack_compressed(filled(n, 0))))
    (largest,) = opened(pack_compressed(filled(size, 0)))
    assert len(largest) == size
    with pytest.raises(RemoteProtocolError, match="gives more than"):
        opened(pack_compressed(filled(size + 1, 0)))


def test_a_full_datagram_of_a_member_may_be_as_compressible_as_it_likes():
    full = b"\x08" + bytes(1399)
    assert opened(pack_compressed(full)) == [full]


def test_compressed_bytes_are_limited():
    part = pack_compressed(LEAF)
    padded = part.ljust(MAX_COMPRESSED_BYTES, b"\x00")  # what follows the object is ignored
    assert opened(padded) == [LEAF]
    with pytest.raises(RemoteProtocolError, match=f"more than {MAX_COMPRESSED_BYTES} compressed bytes"):
        opened(padded + b"\x00")


def test_an_expansion_that_fails_is_charged_like_one_that_succeeds():
    broken = pack_compressed(bytes(300))[:-2].ljust(MAX_COMPRESSED_BYTES // 2, b"\x00")
    small = pack_compressed(LEAF)
    assert opened(compound([broken, small])) == [broken, LEAF]
    assert opened(compound([broken, broken, small])) == [broken, broken, small]


def test_bombs_take_little_memory():
    bomb = b"\x09" + packb({"Algo": 0, "Buf": zeros(30 * 2**20)}, use_bin_type=False)
    nested = pack_compressed(pack_compressed(pack_compressed(bytes(65_000))))
    tracemalloc.start()
    try:
        for datagram in (bomb, nested, b"\x09" + b"\xdc\xff\xff" * 20_000, b"\x09\x82" * 30_000):
            with pytest.raises(RemoteProtocolError):
                list(map(decode, opened(datagram)))
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()
