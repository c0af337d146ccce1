"""What is worth compressing."""

from gossip.agent.envelope import COMPRESSION_PAYS_FROM, Envelope
from gossip.serf.coordinate import ORIGIN
from gossip.wire.codec import encode
from gossip.wire.coordinate_codec import encode_coordinate
from gossip.wire.messages import Ack

ENVELOPE = Envelope(compress=True, keyring=None)


def test_the_longest_ack_with_a_coordinate_is_sent_as_it_is():
    ack = encode(Ack(2**32 - 1, encode_coordinate(ORIGIN)))
    assert ENVELOPE.packet([ack], crc=False) == ack


def test_a_packet_worth_compressing_is_compressed():
    assert len(ENVELOPE.packet([bytes(COMPRESSION_PAYS_FROM)], crc=False)) < COMPRESSION_PAYS_FROM
