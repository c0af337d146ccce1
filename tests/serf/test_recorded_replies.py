"""Replays datagrams sent to a real agent; this node must give the answers that the agent gave."""

import json
from pathlib import Path
from random import Random

import pytest

from gossip.errors import RemoteProtocolError
from gossip.serf.config import SerfConfig
from gossip.serf.node import LocalMember, SerfNode
from gossip.swim.config import SwimConfig
from gossip.swim.effects import SendPacket
from gossip.wire.address import Address, pack_address, unpack_address
from gossip.wire.codec import decode
from gossip.wire.messages import Ack, Alive, PacketMessage, Ping
from gossip.wire.packet import unseal

VECTORS = Path(__file__).parents[1] / "vectors" / "udp_probe_replies.json"
AGENT = "127.0.0.31"
PROBER = Address("127.0.0.77", 7946)
ANSWERS_TO_QUERIES = (
    "udp-query (expect ack+response)",
    "udp-query-listkeys",
)
"""Messages that the core passes on: its owner has the handlers and the keys."""
LEAVE_BROADCASTS = ("udp-dead-self",)
"""The agent does not answer these; this node repeats them, in case the sender is not the leaver."""
PAUSE = 1.5


class Conversation:
    """A node like the recorded agent: name, address, tags, profile; its own packets come back to it."""

    def __init__(self) -> None:
        self.now = 0.0
        config = SerfConfig(swim=SwimConfig.local())
        me = LocalMember("d1", pack_address(AGENT), 7946, {"role": "web"})
        self.node = SerfNode(config, me, rng=Random(1), now=self.now)
        self.home = unpack_address(pack_address(AGENT), 7946)
        self.said: set[PacketMessage] = set()

    def hear(self, datagram: bytes) -> set[PacketMessage]:
        """Return the node's answers to the prober in the pause after `datagram`."""
        self.said = set()
        try:
            parts = unseal(datagram, encryption=None)
        except RemoteProtocolError:
            parts = []
        self.node.receive_packet(parts, PROBER, self.now)
        self.carry_out()
        end = self.now + PAUSE
        while self.node.next_deadline() <= end:
            self.now = max(self.now, self.node.next_deadline())
            self.node.handle_timeout(self.now)
            self.carry_out()
        self.now = end
        return self.said

    def carry_out(self) -> None:
        """Deliver packets, our own to ourselves; the prober answers pings, to stay alive."""
        while packets := [effect for effect in self.node.effects() if isinstance(effect, SendPacket)]:
            for packet in packets:
                if packet.to == self.home:
                    self.node.receive_packet(packet.parts, self.home, self.now)
                elif packet.to == PROBER:
                    self.listen([decode(part) for part in packet.parts])

    def listen(self, messages: list[PacketMessage]) -> None:
        for message in messages:
            if isinstance(message, Ping):
                self.node.swim.detector.receive_ack(Ack(message.seq), self.now)
        self.said |= comparable(messages)


def is_first_word(message: PacketMessage) -> bool:
    return isinstance(message, Alive) and (message.node, message.incarnation) == ("d1", 1)


def comparable(messages: list[PacketMessage]) -> set[PacketMessage]:
    """Leave out messages that are not answers: probes, coordinates, the first announcement.

    Serf spends that on the first who ask, strangers included; this node keeps it for members.
    """
    kept = [message for message in messages if not isinstance(message, Ping) and not is_first_word(message)]
    return {Ack(message.seq) if isinstance(message, Ack) else message for message in kept}


def test_this_node_answers_what_the_recorded_agent_answered():
    conversation = Conversation()
    for vector in json.loads(VECTORS.read_text()):
        replies = [bytes.fromhex(reply["hex"]) for reply in vector["replies"]]
        parts = [part for reply in replies for part in unseal(reply, encryption=None)]
        expected = comparable(list(map(decode, parts)))
        answer = conversation.hear(bytes.fromhex(vector["hex"]))
        expected = comparable(list(map(decode, parts)))
        if vector["name"] in LEAVE_BROADCASTS:
            expected.add(decode(unseal(bytes.fromhex(vector["hex"]), encryption=None)[0]))
        if vector["name"] not in ANSWERS_TO_QUERIES:
            assert (vector["name"], answer) == (vector["name"], expected)


@pytest.mark.parametrize("name", ANSWERS_TO_QUERIES + LEAVE_BROADCASTS)
def test_what_is_left_out_is_in_the_record(name):
    assert name in {vector["name"] for vector in json.loads(VECTORS.read_text())}
