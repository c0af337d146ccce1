"""A real Serf agent that joins while one of ours drains shows it as leaving, not as alive."""

import socket
from pathlib import Path
from random import Random

import pytest

from gossip.serf.config import SerfConfig
from gossip.serf.node import LocalMember, SerfNode
from gossip.wire.address import pack_address
from gossip.wire.codec import encode_push_pull
from gossip.wire.stream import StreamReader, seal_stream
from tests.agents import SERF, agents, eventually

pytestmark = pytest.mark.serf

SECONDS = 10.0


def push_pull(node: SerfNode, host: str) -> None:
    """Join `node` to the agent at `host`, as a driver would."""
    message = encode_push_pull(node.local_state(join=True))
    reader = StreamReader(encryption=None)
    with socket.create_connection((host, 7946), SECONDS) as stream:
        stream.sendall(seal_stream(message, compress=False, encryption=None, nonce=b""))
        while reader.next_event() is None:
            reader.receive_data(stream.recv(65_536))


def test_serf_shows_a_member_that_drains_as_leaving(tmp_path: Path) -> None:
    with agents(tmp_path) as cluster:
        serf = cluster.start(SERF, "serf-1")
        me = LocalMember("drains", pack_address(serf.host), 7999, {})
        node = SerfNode(SerfConfig(), me, rng=Random(1), now=0.0)
        node.begin_leave(0.0)
        push_pull(node, serf.host)
        eventually(lambda: serf.statuses().get("drains") == "leaving", SECONDS, "Serf to see the drain")
