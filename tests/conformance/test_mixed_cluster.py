"""Our agents and real Serf agents in one cluster, told apart by nobody.

One story per seed: the seed decides who joins when and through whom, and who does what to whom.
"""

import signal
from pathlib import Path
from random import Random

import pytest

from tests.agents import OURS, SERF, Agent, Agents, agents, eventually

pytestmark = [pytest.mark.serf, pytest.mark.timeout(300)]

DETECTION = 40.0
"""Bound on a wait for failure detection; at five members Serf and we take 5 to 12 s."""
GOSSIP = 20.0
"""Bound on a wait for something that gossip carries."""


def start_all(cluster: Agents) -> list[Agent]:
    return [
        cluster.start(OURS, "ours-1", "-tag=role=web", "-tag=port=8001"),
        cluster.start(OURS, "ours-2", "-tag=role=web", "-tag=note=two words, ünïcode"),
        cluster.start(OURS, "ours-3", "-disable-compression"),
        cluster.start(SERF, "serf-1", "-tag=role=lb"),
        cluster.start(SERF, "serf-2", "-disable-compression", "-tag=port=8002"),
    ]


def join_in_any_order(everybody: list[Agent], rng: Random) -> None:
    order = rng.sample(everybody, len(everybody))
    for position, newcomer in enumerate(order[1:], 1):
        done = newcomer.run("join", f"{rng.choice(order[:position]).host}:7946")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Successfully joined cluster by contacting 1 nodes." in done.stdout


def all_say(watchers: list[Agent], name: str, status: str) -> bool:
    return all(agent.statuses().get(name) == status for agent in watchers)


def story(cluster: Agents, rng: Random) -> None:
    everybody = start_all(cluster)
    ours_1, ours_2, ours_3, serf_1, serf_2 = everybody
    join_in_any_order(everybody, rng)
    names = {agent.name for agent in everybody}
    eventually(lambda: all(set(a.statuses()) == names for a in everybody), GOSSIP, "five members everywhere")
    eventually(lambda: all(all_say(everybody, name, "alive") for name in names), GOSSIP, "all alive")
    expected = ours_1.members()
    for agent in everybody:
        assert agent.members(client=SERF) == expected
        assert agent.members(client=OURS) == expected

    assert serf_1.run("tags", "-set", "version=2").returncode == 0
    assert ours_2.run("tags", "-set", "version=3", "-delete", "note").returncode == 0
    eventually(
        lambda: all(a.members()["serf-1"].tags == {"role": "lb", "version": "2"} for a in everybody),
        GOSSIP,
        "Serf's new tag everywhere",
    )
    eventually(
        lambda: all(a.members()["ours-2"].tags == {"role": "web", "version": "3"} for a in everybody),
        GOSSIP,
        "our new tag everywhere",
    )

    paused = rng.choice(everybody)
    others = [agent for agent in everybody if agent is not paused]
    paused.signal(signal.SIGSTOP)
    eventually(
        lambda: any(a.statuses()[paused.name] == "failed" for a in others), DETECTION, "the paused to fail"
    )
    paused.signal(signal.SIGCONT)
    eventually(lambda: all_say(everybody, paused.name, "alive"), DETECTION, "the continued to be alive again")
    eventually(lambda: all(all_say(everybody, name, "alive") for name in names), DETECTION, "all alive again")

    ours_3.signal(signal.SIGKILL)
    watchers = [ours_1, ours_2, serf_1, serf_2]
    eventually(lambda: all_say(watchers, "ours-3", "failed"), DETECTION, "ours to be failed everywhere")

    ours_2.signal(signal.SIGTERM)
    assert ours_2.wait(20) == 0
    watchers = [ours_1, serf_1, serf_2]
    eventually(lambda: all_say(watchers, "ours-2", "left"), GOSSIP, "ours to have left everywhere")

    done = serf_2.run("leave")
    assert done.returncode == 0, done.stdout
    watchers = [ours_1, serf_1]
    eventually(lambda: all_say(watchers, "serf-2", "left"), GOSSIP, "Serf's to have left everywhere")

    serf_1.signal(signal.SIGKILL)
    eventually(lambda: all_say([ours_1], "serf-1", "failed"), DETECTION, "Serf's to be failed at ours")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_mixed_cluster_agrees_through_kill_leave_tags_and_pause(seed: int, tmp_path: Path) -> None:
    with agents(tmp_path) as cluster:
        story(cluster, Random(seed))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(101, 121))
def test_twenty_mixed_clusters_in_a_row_never_disagree(seed: int, tmp_path: Path) -> None:
    with agents(tmp_path) as cluster:
        story(cluster, Random(seed))
