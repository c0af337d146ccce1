"""The agent's flight recorder: on request, on a signal, before the end; and the driver's every call."""

import base64
import logging
import os
import signal
import stat
import subprocess
import sys
from functools import partial

import pytest
import trio

from gossip.agent.config import AgentConfig
from gossip.agent.record import DUMP_PATH
from gossip.agent.service import run
from gossip.recording.graph import dump_state
from gossip.recording.recorder import Recorder
from gossip.recording.recording import decode_recording
from gossip.recording.replay import Replay
from gossip.serf.node import SerfNode
from tests.agent.harness import PATIENCE, eventually, join, running, statuses, where
from tests.agent.test_control import say

POST = f"POST {DUMP_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()


def replayed(data: bytes) -> Replay:
    replay = Replay(decode_recording(data))
    for _ in replay.run():
        pass
    assert replay.is_complete
    assert replay.differences == []
    return replay


def table(node: SerfNode) -> list[tuple[object, ...]]:
    return [(m.name, m.status, m.address, m.tags, m.status_ltime) for m in node.members()]


async def dump(path: str) -> bytes:
    head, _, body = (await say(path, POST)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return body


@pytest.mark.parametrize("window", [20_000, 25])
async def test_a_dump_replays_to_the_agents_own_table(window, tmp_path, monkeypatch):
    monkeypatch.setattr("gossip.agent.record.Recorder", partial(Recorder, max_inputs=window))
    control = str(tmp_path / "c")
    async with (
        running("a", "127.133.2.1", record=True, record_dir=str(tmp_path), control=control) as a,
        running("b", "127.133.2.2") as b,
        running("c", "127.133.2.3") as c,
    ):
        await join(a, b)
        await join(c, a)
        await eventually(lambda: len(statuses(a)) == 3, "three members")
        a.driver.apply(lambda node, now: node.user_event("deploy", b"v2", coalesce=False, now=now))
        a.driver.apply(lambda node, now: node.set_tags({"role": "web"}, now))
        await eventually(lambda: b.driver.node.member("a").tags == {"role": "web"}, "the tag")
        a.driver.apply(lambda node, now: node.push_pull_now(["b", "c"]))
        await a.driver.push_pull(where(b), join=False)
        recorder = a.flight_recorder.recorder
        await eventually(lambda: a.driver.node.swim.detector.probes >= 2, "a probe and its ack")
        if window == 25:
            await eventually(lambda: recorder.renewals >= 3, "windows that end")
        data = await dump(control)
        replay = replayed(data)
        assert table(replay.node) == table(a.driver.node)
        if window > 25:
            assert replay.counts["merge_remote_state"] >= 2
            assert replay.counts["join"] == 1
        else:
            assert len(decode_recording(data).stretches) == 2
        assert {"effects", "receive_packet", "handle_timeout"} <= {v for v, n in replay.counts.items() if n}


async def test_an_agent_that_does_not_record_says_so(tmp_path, caplog):
    async with running("a", "127.133.2.4", control=str(tmp_path / "c")) as a:
        answer = await say(str(tmp_path / "c"), POST)
        assert answer.startswith(b"HTTP/1.1 409 Conflict")
        assert b"start it with --record" in answer
        assert type(a.driver.node) is SerfNode  # nothing in between
        a.flight_recorder.request_dump()
        await eventually(lambda: "does not record" in caplog.text, "a complaint")


async def test_a_request_writes_a_file_of_its_owner(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    async with running("a/b", "127.133.2.5", record=True, record_dir=str(tmp_path)) as a:
        a.flight_recorder.request_dump()
        await eventually(lambda: "recording written" in caplog.text, "a file")
        (path,) = tmp_path.glob("gossip-a_b-*.recording")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert replayed(path.read_bytes()).node.name == "a/b"


async def test_a_file_that_cannot_be_written_is_a_line_in_the_log(tmp_path, caplog):
    folder = tmp_path / "gone"
    folder.mkdir()
    async with running("a", "127.133.2.6", record=True, record_dir=str(folder)) as a:
        folder.rmdir()
        a.flight_recorder.request_dump()
        await eventually(lambda: "cannot write the recording" in caplog.text, "a complaint")
        a.flight_recorder.write_last()
        assert caplog.text.count("cannot write the recording") == 2


async def test_usr1_dumps_and_the_agent_goes_on(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    settings = AgentConfig(
        node_name="a", bind="127.133.2.7:0", rpc_addr="", record=True, record_dir=str(tmp_path)
    )
    async with trio.open_nursery() as nursery:
        agent = await nursery.start(lambda task_status: run(settings, task_status=task_status))
        os.kill(os.getpid(), signal.SIGUSR1)
        await eventually(lambda: "recording written" in caplog.text, "a file")
        assert not agent.is_leaving
        agent.stop()
    assert len(list(tmp_path.glob("*.recording"))) == 1


async def test_a_bug_of_the_core_behind_a_panel_leaves_one_recording_and_the_agent_lives_on(
    tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("gossip.agent.panel.FIRST_BACKOFF", 0.001)
    monkeypatch.setattr("gossip.serf.leave.GracefulLeave.begin", lambda *_, **__: 1 // 0)
    starts = []

    async def trigger(agent):
        starts.append(1)
        await trio.lowlevel.checkpoint()
        agent.driver.apply(lambda node, now: node.begin_leave(now))

    settings = {"record": True, "record_dir": str(tmp_path), "panels": [trigger]}
    async with running("a", "127.133.2.10", **settings) as a:
        await eventually(lambda: "recording written" in caplog.text and len(starts) > 3, "a file")
        assert statuses(a) == {"a": "alive"}
    (path,) = tmp_path.glob("*.recording")
    with pytest.raises(Exception, match=r"\(begin_leave\) makes the core fail: ZeroDivisionError"):
        list(Replay(decode_recording(path.read_bytes())).run())


async def test_an_agent_that_ends_with_a_bug_leaves_a_recording_that_shows_it(tmp_path, monkeypatch):
    class BugError(Exception):
        pass

    def fail(self: object, now: float, *, has_company: bool) -> None:
        raise BugError("on purpose")

    async def trigger(agent):
        monkeypatch.setattr("gossip.serf.leave.GracefulLeave.begin", fail)
        agent.request_leave()

    settings = AgentConfig(
        node_name="a", bind="127.133.2.8:0", rpc_addr="", record=True, record_dir=str(tmp_path)
    )
    with pytest.raises(ExceptionGroup) as caught, trio.fail_after(PATIENCE):
        await run(settings, panels=[trigger], handle_signals=False)
    assert caught.group_contains(BugError)
    (path,) = tmp_path.glob("*.recording")
    replay = Replay(decode_recording(path.read_bytes()))
    with pytest.raises(Exception, match=r"\(begin_leave\) makes the core fail: BugError: on purpose"):
        list(replay.run())
    monkeypatch.undo()
    fixed = Replay(decode_recording(path.read_bytes()))
    assert "begin_leave" in [step.verb for step in fixed.run()]


async def test_recording_changes_nothing_of_the_node(tmp_path):
    async with running("a", "127.133.2.9", record=True, record_dir=str(tmp_path)) as a:
        recorder = a.flight_recorder.recorder
        before = dump_state(recorder._node)
        recorder.snapshot()
        assert dump_state(recorder._node) == before


async def test_usr1_does_no_harm_to_an_agent_that_does_not_record(caplog):
    settings = AgentConfig(node_name="a", bind="127.133.2.10:0", rpc_addr="")
    async with trio.open_nursery() as nursery:
        agent = await nursery.start(lambda task_status: run(settings, task_status=task_status))
        os.kill(os.getpid(), signal.SIGUSR1)
        await eventually(lambda: "does not record" in caplog.text, "a complaint")
        agent.stop()


def test_an_agent_that_does_not_record_does_not_load_the_recorder():
    code = (
        "import sys, gossip.agent.service;"
        "found = [name for name in sys.modules if 'record' in name or name in ('h11', 'http')];"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


async def test_neither_the_encryption_key_nor_the_rpc_token_is_in_a_recording(tmp_path):
    key, token = bytes(range(100, 132)), "a-token-of-the-rpc"
    text = base64.b64encode(key).decode()
    secret = {"encrypt_key": text, "rpc_auth": token, "record": True, "record_dir": str(tmp_path)}
    async with (
        running("a", "127.133.2.11", control=str(tmp_path / "c"), **secret) as a,
        running("b", "127.133.2.12", encrypt_key=text) as b,
    ):
        await join(a, b)
        await eventually(lambda: a.driver.node.swim.detector.probes >= 2, "a probe and its ack")
        data = await dump(str(tmp_path / "c"))
    assert b"127.133.2.12" in data
    assert not [secret for secret in (key, text.encode(), token.encode()) if secret in data]
    replayed(data)
