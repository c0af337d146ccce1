import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.wire.compression import COMPRESSED, expand, pack_compressed


@given(st.binary(max_size=1000))
def test_a_compressed_message_comes_back(message):
    packed = pack_compressed(message)
    assert packed[0] == 9
    assert expand(COMPRESSED.decode(packed), len(message)) == message


@pytest.mark.parametrize("algorithm", [1, 255])
def test_lzw_is_the_only_algorithm(algorithm):
    with pytest.raises(RemoteProtocolError, match=f"unknown compression algorithm {algorithm}"):
        expand(COMPRESSED.read({b"Algo": algorithm, b"Buf": b"\x00\x03\x02"}), 10)


@pytest.mark.parametrize("fields", [{b"Algo": 256}, {b"Algo": b""}, {b"Buf": 1}, {}])
def test_malformed_fields_are_refused(fields):
    with pytest.raises(RemoteProtocolError):
        expand(COMPRESSED.read(fields), 10)
