"""The limits of the wire are the numbers that docs/design/limits.md gives. Others show that they hold."""

import pytest

from gossip.wire import (
    address,
    codec,
    coordinate_codec,
    lzw,
    messages,
    packet,
    replay,
    serf_codec,
    serf_messages,
    stream,
)


@pytest.mark.parametrize(
    ("limit", "number"),
    [
        (address.MAX_PORT, 65_535),
        (address.REMEMBERED_ADDRESSES, 8_192),
        (codec.MAX_GOSSIP_BYTES, 2_048),
        (codec.REMEMBERED_GOSSIP, 8_192),
        (coordinate_codec.MAX_ERROR, 1.5),
        (coordinate_codec.MAX_EXTENT, 10.0),
        (lzw.MAX_EARLY_CLEARS, 16),
        (messages.MAX_U32, 4294967295),
        (messages.MAX_NAME_BYTES, 128),
        (messages.MAX_META_BYTES, 512),
        (messages.MAX_NODES, 32_768),
        (messages.MAX_USER_BYTES, 8_388_608),
        (packet.MAX_UNSEALED_BYTES, 16_384),
        (packet.MAX_EXPANSION, 32),
        (packet.MAX_COMPRESSED_BYTES, 4_096),
        (packet.MAX_NESTING, 4),
        (replay.MAX_NONCES, 16_384),
        (replay.REPLAY_SECONDS, 30.0),
        (serf_codec.MAX_SERF_GOSSIP_BYTES, 9_216),
        (serf_codec.REMEMBERED_SERF_GOSSIP, 8_192),
        (serf_codec.LONGEST_REMEMBERED, 512),
        (serf_codec.MAX_MEMBERS, 131_072),
        (serf_codec.MAX_PAST_TIMES, 2_048),
        (serf_codec.MAX_EVENTS_PER_TIME, 256),
        (serf_messages.MAX_U64, 18446744073709551615),
        (stream.MAX_FRAME_BYTES, 20_971_520),
        (stream.MAX_MESSAGE_BYTES, 16_777_216),
        (stream.MAX_EXPANSION, 64),
        (stream.MAX_COMPRESSED_BYTES, 4_194_304),
    ],
)
def test_a_limit_is_the_number_that_is_documented(limit, number):
    assert limit == number
