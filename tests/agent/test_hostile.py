"""Whatever arrives, the agent goes on answering, its view does not change, and memory stays bounded."""

import json
import resource
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import trio
import trio.lowlevel

from gossip.agent import streams as streams_module
from gossip.agent.transport import Transport, connect, open_transport
from gossip.wire.codec import decode, encode
from gossip.wire.messages import Ack, Ping
from gossip.wire.packet import unseal
from tests.agent.harness import PATIENCE, eventually, running, statuses, where

VECTORS = Path(__file__).parents[1] / "vectors"
MIB = 1 << 20


def recorded(name, key="hex"):
    return [bytes.fromhex(vector[key]) for vector in json.loads((VECTORS / name).read_text()) if vector[key]]


def mutations(samples, rng, count):
    """Yield `count` samples that were cut, flipped, or stretched."""
    for _ in range(count):
        data = bytearray(rng.choice(samples))
        kind = rng.randrange(4)
        if kind == 0:
            del data[rng.randrange(len(data)) :]
        elif kind == 1:
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        elif kind == 2:
            at = rng.randrange(len(data))
            data[at:at] = rng.randbytes(rng.randint(1, 16))
        else:
            data = bytearray(rng.randbytes(rng.randint(0, 64)))
        yield bytes(data)


class Prober:
    """Pings an agent over UDP and waits for the ack."""

    def __init__(self, host):
        self.transport = open_transport(host, 0)
        self.seq = 1_000_000

    async def answers(self, agent):
        self.seq += 1
        answered = trio.Event()

        def handle(data, _source):
            messages = [decode(part) for part in unseal(data, encryption=None)]
            if Ack(self.seq) in messages:
                answered.set()

        async def ping():
            while True:
                self.transport.send(encode(Ping(self.seq, "victim", source_node="prober")), where(agent))
                await trio.sleep(0.05)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.transport.receive, handle)
            nursery.start_soon(ping)
            with trio.move_on_after(PATIENCE):
                await answered.wait()
            nursery.cancel_scope.cancel()
        return answered.is_set()


@pytest.fixture
async def prober():
    made = Prober("127.1.12.250")
    yield made
    made.transport.close()


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch):
    """Packets may name any address: nothing that they provoke may leave this machine."""
    send, connect_to = Transport.send, streams_module.connect

    async def connect_loopback(to):
        if not to.host.startswith("127."):
            await trio.lowlevel.checkpoint()
            raise OSError(101, "Network is unreachable")
        return await connect_to(to)

    monkeypatch.setattr(
        Transport, "send", lambda self, data, to: to.host.startswith("127.") and send(self, data, to)
    )
    monkeypatch.setattr(streams_module, "connect", connect_loopback)


async def flood(sender, victim, datagrams):
    """Send `datagrams` in lots that a socket buffer holds, waiting for each to arrive."""
    traffic = victim.driver.transport.traffic
    lot = []
    for datagram in datagrams:
        lot.append(datagram)
        if len(lot) == 32:
            await deliver(sender, victim, traffic, lot)
            lot = []
    await deliver(sender, victim, traffic, lot)


async def deliver(sender, victim, traffic, lot):
    wanted = traffic.packets_received + sum(sender.send(datagram, where(victim)) for datagram in lot)
    await eventually(lambda: traffic.packets_received >= wanted, "packets to arrive")


def resident_bytes():
    """Return this process's memory in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def test_every_recorded_packet_cut_at_every_byte_changes_nothing(prober):
    samples = [data for data in recorded("udp_packets.json") if len(data) < 400]
    sender = open_transport("127.1.12.2", 0)
    async with running("victim", "127.1.12.1", encrypt_key="AAAAAAAAAAAAAAAAAAAAAA==") as victim:
        # With a key, none of these packets can be valid: nothing at all may change.
        before = victim.driver.node.stats()
        await flood(sender, victim, (data[:end] for data in samples for end in range(len(data))))
        assert victim.driver.rejected_packets == sum(map(len, samples))
        assert statuses(victim) == {"victim": "alive"}
        assert victim.driver.node.stats() == before
    sender.close()


async def test_mutated_packets_leave_the_agent_answering_and_small(prober):
    samples = recorded("udp_packets.json")
    sender = open_transport("127.1.12.4", 0)
    async with running("victim", "127.1.12.3") as victim:
        assert await prober.answers(victim)
        before = resident_bytes()
        await flood(sender, victim, mutations(samples, Random(1), 10_000))
        assert await prober.answers(victim)
        assert resident_bytes() - before < 64 * MIB
        assert statuses(victim)["victim"] == "alive"
    sender.close()


async def test_mutated_streams_leave_the_agent_answering_and_small(prober):
    samples = recorded("tcp_streams.json", "request_hex")
    rng = Random(2)

    async with running("victim", "127.1.12.5") as victim:
        before = resident_bytes()

        async def attack(data):
            with suppress(OSError, trio.BrokenResourceError):
                async with await connect(where(victim)) as stream:
                    await stream.send_all(data)
                    await stream.send_eof()
                    while await stream.receive_some(65536):
                        pass

        with trio.fail_after(60):
            for data in mutations(samples, rng, 2000):
                await attack(data)
        assert await prober.answers(victim)
        assert resident_bytes() - before < 64 * MIB


async def test_an_lzw_bomb_and_a_length_bomb_cost_little(prober):
    async with running("victim", "127.1.12.6") as victim:
        before = resident_bytes()
        bombs = [
            b"\x06\x83\xa5Nodes\xce\x00\x10\x00\x00\xacUserStateLen\xce\x01\x40\x00\x00\xa4Join\xc3",
            b"\x06\x83\xa5Nodes\xce\xff\xff\xff\xff\xacUserStateLen\xce\xff\xff\xff\xff\xa4Join\xc3",
            b"\x0a\xff\xff\xff\xff" + bytes(100),
            b"\x06" + b"\x91" * 5000,
            b"\x09\x82\xa4Algo\x00\xa3Buf\xc6\xff\xff\xff\xff",
            b"\x09\x82\xa4Algo\x00\xa3Buf\xda\xff\xff" + b"\x00\x03" + b"\xff" * 65533,
        ]
        for bomb in bombs:
            with suppress(trio.BrokenResourceError):
                async with await connect(where(victim)) as stream:
                    await stream.send_all(bomb)
                    assert await prober.answers(victim)
        assert resident_bytes() - before < 96 * MIB
