"""A snapshot passes between a real Serf and our agent: each finds the cluster of the other's last life."""

import signal
from pathlib import Path

import pytest

from gossip.agent.snapshot_text import read_snapshot
from tests.agents import OURS, SERF, Agent, Agents, agents, eventually

pytestmark = [pytest.mark.serf, pytest.mark.timeout(300)]

PATIENCE = 40.0
CLOCKS = ("member_time", "event_time", "query_time")


def figures(agent: Agent) -> dict[str, int]:
    """Return the clocks of an agent as its command line shows them."""
    lines = [line.strip().split(" = ") for line in agent.run("info").stdout.splitlines() if " = " in line]
    return {name: int(value) for name, value in lines if name in CLOCKS}


def again(cluster: Agents, program: tuple[str, ...], last: Agent, snapshot: Path, *options: str) -> Agent:
    """Start an agent in the place of one that has died: same name, same address, same snapshot."""
    cluster.all.remove(last)
    before, cluster.all = cluster.all, []
    agent = cluster.start(program, last.name, f"-snapshot={snapshot}", *options)
    cluster.all = [agent, *before]
    assert agent.host == last.host
    return agent


@pytest.mark.parametrize(("first", "second"), [(SERF, OURS), (OURS, SERF), (OURS, OURS)])
def test_a_killed_agents_successor_of_either_kind_finds_the_cluster_again(first, second, tmp_path):
    snapshot = tmp_path / "agent.snap"
    with agents(tmp_path) as cluster:
        agent = cluster.start(first, "moving", f"-snapshot={snapshot}")
        other = cluster.start(SERF, "two words", f"-join={agent.host}")
        third = cluster.start(OURS, "third", f"-join={agent.host}")
        eventually(lambda: len(agent.members()) == 3, PATIENCE, "three members")
        for number in range(3):
            assert third.run("event", "-coalesce=false", f"deploy{number}").returncode == 0
        assert third.run("query", "-timeout=500ms", "load").returncode == 0

        def is_written() -> bool:
            # Serf writes a line when the next one comes half a second later.
            assert agent.run("tags", "-set", "a=b").returncode == 0
            third.run("event", "-coalesce=false", "again")
            kept = read_snapshot(snapshot.read_bytes(), rejoin=False)
            names = {peer.name for peer in kept.alive}
            return names >= {"two words", "third"} and kept.clocks[1] >= 3 and kept.clocks[2] >= 1

        eventually(is_written, PATIENCE, "members and clocks in the file")
        agent.signal(signal.SIGKILL)
        agent.wait(10)
        kept = read_snapshot(snapshot.read_bytes(), rejoin=False)
        agent = again(cluster, second, agent, snapshot)
        eventually(
            lambda: (
                [agent.statuses().get(name) for name in ("moving", "two words", "third")] == ["alive"] * 3
            ),
            PATIENCE,
            "the cluster again",
        )
        now = figures(agent)
        assert all(now[name] > last for name, last in zip(CLOCKS, kept.clocks, strict=True)), (now, kept)
        assert "Unrecognized" not in agent.log.read_text(errors="replace")
        eventually(lambda: other.statuses().get("moving") == "alive", PATIENCE, "Serf to see it alive")


@pytest.mark.parametrize(("first", "second"), [(SERF, OURS), (OURS, SERF)])
def test_after_a_leave_the_successor_rejoins_only_if_told_to(first, second, tmp_path):
    snapshot = tmp_path / "agent.snap"
    with agents(tmp_path) as cluster:
        agent = cluster.start(first, "moving", f"-snapshot={snapshot}")
        other = cluster.start(OURS, "other")
        # Not the other way round: an agent that is alone asks its seeds for life.
        assert agent.run("join", other.host).returncode == 0
        eventually(lambda: len(agent.members()) == 2, PATIENCE, "two members")
        eventually(
            lambda: b"other" in snapshot.read_bytes() or not agent.run("event", "x").stdout,
            PATIENCE,
            "it in the file",
        )
        assert agent.run("leave").returncode == 0
        agent.wait(20)
        assert b"\nleave\n" in snapshot.read_bytes()
        agent = again(cluster, second, agent, snapshot)
        assert set(agent.statuses()) == {"moving"}
        text = agent.log.read_text(errors="replace")
        assert not [said for said in ("rejoining the cluster", "Attempting re-join") if said in text]
        agent.signal(signal.SIGKILL)
        agent.wait(10)
        agent = again(cluster, second, agent, snapshot, "-rejoin")
        eventually(lambda: other.statuses().get("moving") == "alive", PATIENCE, "it to be back")


def test_serf_does_not_ask_a_member_that_we_noted_as_failed(tmp_path):
    snapshot = tmp_path / "agent.snap"
    with agents(tmp_path) as cluster:
        agent = cluster.start(OURS, "moving", f"-snapshot={snapshot}", "-profile=local")
        other = cluster.start(OURS, "other", f"-join={agent.host}", "-profile=local")
        eventually(lambda: len(agent.members()) == 2, PATIENCE, "two members")
        other.signal(signal.SIGKILL)
        eventually(lambda: b"# failed: other" in snapshot.read_bytes(), PATIENCE, "the failure in the file")
        agent.signal(signal.SIGKILL)
        agent.wait(10)
        agent = again(cluster, SERF, agent, snapshot)
        text = agent.log.read_text(errors="replace")
        assert "Unrecognized" not in text
        assert "Attempting re-join" not in text
