"""A cluster goes from an earlier version of ours to the present one, one agent after the other.

The earlier version is a commit of this repository; its files are taken from the history.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.agents import OURS, Agent, Agents, agents, eventually

ROOT = Path(__file__).resolve().parents[2]

EARLIER = "c88a032"
"""The first version whose lives begin at the time of day; those before it refuse such incarnations."""

KEY = "AAECAwQFBgcICQoLDA0ODw=="
GOSSIP = 20.0
"""Bound on a wait for something that gossip carries."""

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The command that runs the earlier version."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "archive", EARLIER, "gossip"], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"THE EARLIER VERSION IS NOT IN THE HISTORY: {done.stderr.decode().strip()}")
    folder = tmp_path_factory.mktemp("earlier")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=done.stdout, check=True)
    python = ("env", f"PYTHONPATH={folder}", sys.executable, "-P")  # -P: not the package of this directory
    where = subprocess.run(
        [*python, "-c", "import gossip; print(gossip.__file__)"], capture_output=True, text=True, check=True
    )
    assert where.stdout.startswith(str(folder))
    return (*python, "-m", "gossip")


def agree(everybody: Sequence[Agent]) -> bool:
    """Whether every agent, old or new, holds all of them alive and with the same tags."""
    views = [agent.members() for agent in everybody]
    return (
        all(view == views[0] for view in views)
        and len(views[0]) == len(everybody)
        and all(row.status == "alive" for row in views[0].values())
    )


def start(cluster: Agents, program: tuple[str, ...], name: str, host: str = "") -> Agent:
    return cluster.start(program, name, f"-encrypt={KEY}", "-tag=role=web", host=host)


def replace(cluster: Agents, old: Agent, ending: signal.Signals, seed: Agent) -> Agent:
    """Stop `old` and start the present version under its name and address."""
    old.signal(ending)
    old.wait(20)
    new = start(cluster, OURS, old.name, old.host)
    assert new.run("join", f"{seed.host}:7946").returncode == 0
    return new


def hear_of_events(sender: Agent, everybody: Sequence[Agent], number: int) -> None:
    """Let `sender` change its tags and send a query that every version answers."""
    assert sender.run("tags", "-set", f"step={number}").returncode == 0
    eventually(
        lambda: all(a.members()[sender.name].tags.get("step") == str(number) for a in everybody),
        GOSSIP,
        f"the tags of {sender.name} everywhere",
    )
    done = sender.run("reachability")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=["leave", "kill"])
def test_a_cluster_agrees_at_every_step_of_a_rolling_upgrade(
    ending: signal.Signals, earlier: tuple[str, ...], tmp_path: Path
) -> None:
    with agents(tmp_path) as cluster:
        running = [start(cluster, earlier, f"web-{number}") for number in (1, 2, 3)]
        for agent in running[1:]:
            assert agent.run("join", f"{running[0].host}:7946").returncode == 0
        eventually(lambda: agree(running), GOSSIP, "three of the earlier version to agree")
        for number in range(len(running)):
            seed = running[number - 1]
            running[number] = replace(cluster, running[number], ending, seed)
            eventually(lambda: agree(running), GOSSIP, f"all to agree after step {number}")
            hear_of_events(seed, running, number)
