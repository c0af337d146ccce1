"""A flight recording of a live agent in a mixed cluster with real Serf replays to the table that it had."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gossip.recording.recording import decode_recording
from tests.agents import OURS, SERF, Agent, agents, eventually

pytestmark = [pytest.mark.serf, pytest.mark.timeout(300)]

PATIENCE = 40.0

SMALL_WINDOWS = (
    sys.executable,
    "-c",
    "import sys; from functools import partial; from gossip.agent import record;"
    "record.Recorder = partial(record.Recorder, max_inputs=150);"
    "from gossip.cli.main import main; sys.exit(main())",
)
"""Our agent, with windows so small that several begin and end in the course of a test."""


def ours(*words: str) -> str:
    done = subprocess.run([*OURS, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def table(agent: Agent) -> list[dict[str, object]]:
    return json.loads(ours("members", "--format=json", f"--rpc-addr={agent.rpc}"))["members"]


def figures(agent: Agent) -> dict[str, str]:
    return json.loads(ours("info", "--format=json", f"--rpc-addr={agent.rpc}"))["serf"]


@pytest.mark.parametrize(("program", "windows"), [(OURS, 1), (SMALL_WINDOWS, 2)])
def test_a_recording_of_a_mixed_cluster_replays_to_the_same_member_table(
    program: tuple[str, ...], windows: int, tmp_path: Path
) -> None:
    control, file = tmp_path / "control.sock", tmp_path / "incident.recording"
    with agents(tmp_path) as cluster:
        recorded = cluster.start(
            program, "ours-1", "-record", f"-record-dir={tmp_path}", f"-control={control}", "-tag=role=web"
        )
        others = [
            cluster.start(SERF, "serf-1", "-tag=role=lb"),
            cluster.start(SERF, "serf-2", "-tag=note=two words, ünïcode"),
            cluster.start(OURS, "ours-2"),
        ]
        for agent in others:
            assert agent.run("join", f"{recorded.host}:7946").returncode == 0
        eventually(lambda: len(recorded.statuses()) == 4, PATIENCE, "four members")

        assert others[0].run("tags", "-set", "version=2").returncode == 0
        assert recorded.run("tags", "-set", "version=3").returncode == 0
        eventually(lambda: recorded.members()["serf-1"].tags.get("version") == "2", PATIENCE, "Serf's tag")
        eventually(lambda: others[0].members()["ours-1"].tags.get("version") == "3", PATIENCE, "our tag")
        assert others[1].run("event", "deploy", "v2").returncode == 0
        eventually(lambda: figures(recorded)["event_time"] == "2", PATIENCE, "the event")
        others[1].signal(signal.SIGKILL)
        others[2].signal(signal.SIGTERM)
        gone = {"serf-2": "failed", "ours-2": "left"}
        eventually(
            lambda: recorded.statuses() | gone == recorded.statuses(), PATIENCE, "one failed, one left"
        )

        before = table(recorded)
        ours("record", "dump", f"--control={control}", str(file))
        assert table(recorded) == before
        recorded.signal(signal.SIGUSR1)
        eventually(lambda: bool(list(tmp_path.glob("gossip-ours-1-*.recording"))), PATIENCE, "a second dump")

    for path in (file, *tmp_path.glob("gossip-ours-1-*.recording")):
        replayed = json.loads(ours("sim", "replay-recording", "--format=json", str(path)))
        assert replayed["members"] == before
        assert replayed["equal"] is True
        assert len(decode_recording(path.read_bytes()).stretches) == windows
        assert replayed["counters"]["event_time"] == 2
    if program is OURS:  # else the beginning is forgotten
        trace = ours("sim", "replay-recording", "--trace", str(file))
        assert "receives event 'deploy'" in trace
        assert "sees serf-2 failed" in trace
