"""Local clients that say anything: each harms its own connection alone, and shows no bug."""

import logging
from pathlib import Path
from random import Random

import msgpack
import pytest
import trio

from gossip.agent.service import Agent
from tests.agent.harness import PATIENCE, ipc, running
from tests.agent.test_control import say

COMMANDS: list[tuple[str, dict[str, object] | None]] = [
    ("handshake", {"Version": 1}),
    ("auth", {"AuthKey": "x"}),
    ("members", None),
    ("members-filtered", {"Name": "a.*", "Status": "", "Tags": {}}),
    ("join", {"Existing": ["127.1.60.9:1"], "Replay": True}),
    ("force-leave", {"Node": "x", "Prune": True}),
    ("tags", {"Tags": {"a": "b"}, "DeleteTags": ["x"]}),
    ("stream", {"Type": "*"}),
    ("monitor", {"LogLevel": "debug"}),
    ("stop", {"Stop": 3}),
    ("stats", None),
    ("event", {"Name": "x", "Payload": b"y", "Coalesce": True}),
    ("query", {"Name": "q", "Payload": b"", "FilterNodes": [], "FilterTags": {}, "RequestAck": True}),
    ("respond", {"ID": 1, "Payload": b"x"}),
    ("install-key", {"Key": "AAAA"}),
    ("list-keys", None),
    ("get-coordinate", {"Node": "f"}),
]
ODD_VALUES = (
    None,
    True,
    -1,
    2**63,
    2**64 - 1,
    1.5,
    b"\xff" * 10,
    "",
    [],
    {},
    ["x"] * 50,
    {"a": {"b": {}}},
    "x" * 3000,
)
REQUESTS = (
    b"GET /v1/record/dump HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD /v1/none HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /v1/record/dump HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nX: y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
)


def mutated(rng: Random, data: bytes) -> bytes:
    """Return `data` with up to four places changed, cut or filled, half of the time none."""
    changed = bytearray(data)
    for _ in range(rng.choice((0, 0, 0, 0, 1, 2, 3, 4))):
        place = rng.randrange(len(changed) + 1)
        changed[place : place + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
    return bytes(changed)


def some_command(rng: Random) -> bytes:
    name, body = rng.choice(COMMANDS)
    data: bytes = msgpack.packb({"Command": name, "Seq": rng.choice((0, 2, 3, 2**63))})
    if body is not None:
        odd = {key: rng.choice(ODD_VALUES) if rng.random() < 0.25 else value for key, value in body.items()}
        data += msgpack.packb(odd)
    return mutated(rng, data)


async def converse(rng: Random, agent: Agent, control: Path) -> None:
    """One conversation, in which the client may go away at any moment."""
    try:
        if rng.random() < 0.3:
            await say(control, b"".join(mutated(rng, rng.choice(REQUESTS)) for _ in range(rng.randint(1, 3))))
            return
        async with ipc(agent) as client:
            for _ in range(rng.randint(1, 6)):
                await client.stream.send_all(some_command(rng))
                if rng.random() < 0.5:
                    with trio.move_on_after(0.005):
                        await client.stream.receive_some()
    except (trio.BrokenResourceError, EOFError):
        pass  # the agent hung up


async def hostile_clients(
    seed: int, conversations: int, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    rng = Random(seed)
    control = folder / "c"
    settings = {"record": True, "record_dir": str(folder), "control": str(control)}
    async with running("a", "127.1.60.1", **settings) as agent:
        for _ in range(conversations):
            with trio.fail_after(PATIENCE):
                await converse(rng, agent, control)
        async with ipc(agent) as client:
            assert await client.ask("stats", 2) == ""
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_that_clients_say_shows_a_bug(seed, tmp_path, caplog):
    await hostile_clients(seed, 150, tmp_path, caplog)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
async def test_nothing_that_clients_say_at_length_shows_a_bug(seed, tmp_path, caplog):
    await hostile_clients(seed, 3000, tmp_path, caplog)
