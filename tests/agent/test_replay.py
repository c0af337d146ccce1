"""Recorded ciphertext sent again to a real agent: only a counter moves."""

import socket

import trio

from gossip.agent.transport import connect
from gossip.wire.codec import encode, encode_push_pull
from gossip.wire.messages import PROTOCOL_VERSIONS, Alive, MemberState, NodeState, PushPull
from tests.agent.harness import eventually, running, statuses, where

KEY = "AAECAwQFBgcICQoLDA0ODw=="
ADDR = socket.inet_aton("127.1.81.99")


async def test_a_packet_that_is_sent_again_is_counted_and_not_heard():
    async with running("a", "127.1.81.1", encrypt_key=KEY) as a:
        alive = Alive(1, "ghost", ADDR, 7946, b"", PROTOCOL_VERSIONS)
        datagram = a.driver._envelope.packet([encode(alive)], crc=False)
        heard = []
        receive = a.driver.node.receive_packet
        a.driver.node.receive_packet = lambda *args: (heard.append(args), receive(*args))
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(3):
                await sender.sendto(datagram, (where(a).host, where(a).port))
        await eventually(lambda: a.driver.refusals.replayed == 2, "both copies to be counted")
        assert len(heard) == 1
        assert "ghost" in statuses(a)


async def test_a_state_that_is_sent_again_is_counted_and_not_merged():
    async with running("a", "127.1.81.2", encrypt_key=KEY) as a:
        row = NodeState("ghost", ADDR, 7946, b"", 1, MemberState.ALIVE, PROTOCOL_VERSIONS)
        data = a.driver._envelope.stream(encode_push_pull(PushPull(True, (row,), b"")), reply=False)

        async def send() -> None:
            async with await connect(where(a)) as stream:
                await stream.send_all(data)
                while await stream.receive_some(65536):
                    pass

        await send()
        assert "ghost" in statuses(a)
        a.driver.apply(lambda node, now: node.force_leave("ghost", prune=True, now=now))
        await eventually(lambda: "ghost" not in statuses(a), "the member to be erased")
        await send()
        await eventually(lambda: a.driver.refusals.replayed == 1, "the copy to be counted")
        assert "ghost" not in statuses(a)
