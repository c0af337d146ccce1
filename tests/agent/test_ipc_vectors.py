"""Conversations recorded between a client and a real Serf agent, held again with ours."""

import json
from pathlib import Path

import msgpack
import trio

from tests.agent.harness import PATIENCE, IpcClient, eventually, ipc, join, running, statuses, where

VECTORS = Path(__file__).parents[1] / "vectors"
RECORDED = json.loads((VECTORS / "rpc.json").read_text())
LATE_LINE = {"Error": "", "Seq": 600}
KEY = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="


def command_of(vector):
    return vector["decoded"]["request"][0]["Command"]


def objects(data):
    unpacker = msgpack.Unpacker(raw=False, unicode_errors="surrogateescape")
    unpacker.feed(data)
    return list(unpacker)


def shape(value):
    """Return what must agree between two agents: keys and types, not figures."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items() if key not in ("tags", "Tags")}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


class Replay:
    """Holds the recorded conversation, opening a connection wherever the recording opened one."""

    def __init__(self, agent, peer):
        self.agent = agent
        self.peer = peer
        self.client = None

    async def connect(self):
        if self.client is None:
            host, _, port = self.agent.rpc_address.rpartition(":")
            self.client = IpcClient(await trio.open_tcp_stream(host, int(port)))

    async def close(self):
        if self.client is not None:
            await self.client.stream.aclose()
            self.client = None

    def rewritten(self, vector):
        """Return the request with the recording's peer address replaced by our peer's."""
        request = objects(bytes.fromhex(vector["request_hex"]))
        if vector["name"] == "join-ok":
            request[1]["Existing"] = [str(where(self.peer))]
            return b"".join(map(msgpack.packb, request))
        return bytes.fromhex(vector["request_hex"])

    async def hold(self, vector):
        if command_of(vector) == "handshake" and not vector["name"].startswith("handshake-"):
            await self.close()
        await self.connect()
        expected = objects(bytes.fromhex(vector["response_hex"]))
        await self.client.stream.send_all(self.rewritten(vector))
        got = []
        while len(got) < len(expected):
            got.append(await self.client.receive())
            if got[-1] == LATE_LINE and expected[0]["Seq"] != LATE_LINE["Seq"]:
                got.pop()  # the monitor is open, and this agent has said something more
                await self.client.receive()
        if vector["decoded"]["connection_closed_by_agent"]:
            assert await self.client.is_closed(), vector["name"]
            await self.close()
        return expected, got


def compare(name, expected, got):
    for wanted, given in zip(expected, got, strict=True):
        if "Seq" in wanted:
            assert given["Seq"] == wanted["Seq"], name
            if name == "tags-too-big":
                assert given["Error"].lower().startswith("encoded length of tags"), name
                assert "exceeds limit of 512 bytes" in given["Error"]
            else:
                assert given["Error"] == wanted["Error"], name
        elif "Log" in wanted:
            assert "[ERR] agent" in given["Log"], name
        else:
            if name == "stats":
                given = {section: given[section] for section in wanted}  # ours has more
            assert shape(given) == shape(wanted), name


async def test_the_recorded_conversations_go_the_same_way():
    settings = {"tags": {"role": "web", "idx": "1"}, "encrypt_key": KEY}
    peer_settings = {"tags": {"role": "web"}, "encrypt_key": KEY}
    held = []
    async with (
        running("e1", "127.1.20.1", **settings) as e1,
        running("e2", "127.1.20.2", **peer_settings) as e2,
    ):
        await join(e2, e1)
        await eventually(lambda: len(statuses(e1)) == 2, "two members")
        await eventually(lambda: e1.driver.node.coordinate("e2") is not None, "an answer to a ping")
        replay = Replay(e1, e2)
        with trio.fail_after(3 * PATIENCE):
            for vector in RECORDED:
                expected, got = await replay.hold(vector)
                compare(vector["name"], expected, got)
                held.append(vector["name"])
        await replay.close()
    assert len(held) == len(RECORDED)
    assert held[-1] == "leave"


async def test_a_command_that_nobody_knows_ends_the_conversation():
    (vector,) = [v for v in RECORDED if v["name"] == "unknown-command"]
    async with running("e1", "127.1.20.4") as e1, ipc(e1) as client:
        await client.stream.send_all(bytes.fromhex(vector["request_hex"]))
        assert (await client.receive())["Error"] == "Unsupported command"
        assert await client.is_closed()
