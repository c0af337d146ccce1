import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.wire.lzw import CLEAR, END, MAX_EARLY_CLEARS, compress, decompress
from tests.wire.lzw_writer import written, zeros
from tests.wire.recorded import load, parametrized

CASES = [(bytes.fromhex(each["decoded"]["plain_hex"]), bytes.fromhex(each["hex"])) for each in load("lzw")]
RANDOM = next(plain for plain, _ in CASES if len(plain) == 6000)
REPETITIVE = next(plain for plain, _ in CASES if len(plain) == 50_000)


@pytest.mark.parametrize("entry", **parametrized(load("lzw")))
def test_both_directions_are_gos_byte_for_byte(entry):
    plain, packed = bytes.fromhex(entry["decoded"]["plain_hex"]), bytes.fromhex(entry["hex"])
    assert compress(plain) == packed
    assert decompress(packed, len(plain)) == plain


@given(st.binary(max_size=3000) | st.text(alphabet="ab", max_size=5000).map(str.encode))
def test_what_was_compressed_comes_back(data):
    assert decompress(compress(data), len(data)) == data


def without_repeated_pairs(length):
    """Return bytes of which no two neighbours come twice: every byte is a code of its own."""
    value, values = 0, []
    for place in range(length):
        values.append(value)
        value = (value + 1 + 2 * (place // 256)) % 256  # an odd step visits all values before it repeats
    return bytes(values)


@pytest.mark.parametrize("codes_to_the_edge", [255, 767, 1791, 3838, 2 * 3838])
def test_it_comes_back_wherever_a_width_or_the_table_ends(codes_to_the_edge):
    for length in range(codes_to_the_edge - 3, codes_to_the_edge + 4):
        data = without_repeated_pairs(length)
        assert decompress(compress(data), length) == data


def test_a_table_that_ends_with_the_data_is_cleared_before_the_end():
    data = without_repeated_pairs(3838)
    assert compress(data) == written([CLEAR, *data, CLEAR, END])


def test_a_table_that_stays_full_is_still_read():
    # Other writers than Go's may go on with a full table instead of clearing it; nothing is added any more.
    literals = 2**12 - 256
    packed = written([CLEAR, *[0] * literals, 1, 2**12 - 1, END])
    assert decompress(packed, 5000) == bytes(literals) + b"\x01" + bytes(2)


@pytest.mark.parametrize("length", [0, 1, 5, 20_000_000])
def test_the_writer_of_these_tests_writes_zeros(length):
    assert decompress(zeros(length, b"ab"), length + 2) == b"ab" + bytes(length)


def test_bytes_after_the_end_are_ignored():
    assert decompress(compress(b"abab") + b"more", 4) == b"abab"


@pytest.mark.parametrize("plain", [b"", b"a", REPETITIVE])
def test_output_is_limited(plain):
    packed = compress(plain + b"x")
    assert decompress(packed, len(plain) + 1) == plain + b"x"
    with pytest.raises(RemoteProtocolError, match=f"gives more than {len(plain)} bytes"):
        decompress(packed, len(plain))


def test_a_missing_end_code_is_an_error():
    for packed in (b"", written([CLEAR]), written([CLEAR, 65]), compress(RANDOM)[:-2], compress(b"")[:-1]):
        with pytest.raises(RemoteProtocolError, match="ends without its end code"):
            decompress(packed, 10_000)


@pytest.mark.parametrize("values", [(CLEAR, 258), (258,), (CLEAR, 65, 259), (CLEAR, 65, 66, 300)])
def test_a_code_that_is_not_in_the_table_is_an_error(values):
    with pytest.raises(RemoteProtocolError, match=f"has code {values[-1]}, the table only"):
        decompress(written([*values, END]), 10_000)


def test_a_code_may_mean_the_entry_that_it_completes():
    assert decompress(written([CLEAR, 65, 258, END]), 10) == b"AAA"


def test_clearing_the_table_early_is_limited():
    assert decompress(written([*[CLEAR] * MAX_EARLY_CLEARS, 65, END]), 10) == b"A"
    with pytest.raises(RemoteProtocolError, match="clears its table again and again"):
        decompress(written([*[CLEAR] * (MAX_EARLY_CLEARS + 1), 65, END]), 10)


def test_gos_own_clears_are_not_limited():
    data = (RANDOM + RANDOM[::-1]) * 8
    assert decompress(compress(data), len(data)) == data


def test_a_bomb_takes_no_more_memory_than_its_limit_and_a_table():
    packed = zeros(30 * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError, match="gives more than 65536 bytes"):
            decompress(packed, 65_536)
        assert tracemalloc.get_traced_memory()[1] < 12 * 2**20
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200))
def test_any_bytes_decompress_or_are_an_error(data):
    with suppress(RemoteProtocolError):
        assert len(decompress(data, 1000)) <= 1000
