"""Round trips estimated in a cluster of real Serf agents and ours, by either command line."""

import re

import pytest

from tests.agents import OURS, SERF, Agent, agents, eventually

pytestmark = [pytest.mark.serf, pytest.mark.timeout(300)]

ESTIMATE = re.compile(r"Estimated (\S+) <-> (\S+) rtt: (\d+\.\d{3}) ms\n")
LEARNT = 40.0
"""Bound on a wait until everybody has probed everybody; three members take some 3 s."""


def estimate(agent: Agent, client: tuple[str, ...], *names: str) -> float | None:
    """Return the estimate in milliseconds, None while a coordinate is missing."""
    done = agent.run("rtt", *names, client=client)
    if done.returncode:
        assert "Could not find a coordinate for node" in done.stdout + done.stderr
        return None
    found = ESTIMATE.fullmatch(done.stdout)
    assert found, done.stdout
    assert found.groups()[:2] == (names if len(names) == 2 else (names[0], agent.name))
    return float(found[3])


def test_either_command_line_estimates_round_trips_between_either_kind_of_member(tmp_path):
    with agents(tmp_path) as cluster:
        ours = cluster.start(OURS, "ours")
        serf = cluster.start(SERF, "serf", f"-join={ours.host}")
        second = cluster.start(OURS, "second", f"-join={ours.host}")
        everybody = (ours, serf, second)
        for agent in everybody:
            for client in (OURS, SERF):
                for names in (("ours", "serf"), ("second",), ("serf", "second")):
                    eventually(
                        lambda a=agent, c=client, n=names: estimate(a, c, *n) is not None,
                        LEARNT,
                        f"{agent.name} to know where {names} are",
                    )
        # On one machine a round trip takes far less than a tenth of a second.
        assert all(0 < estimate(agent, OURS, "ours", "serf") < 500 for agent in everybody)
        ours_stats = ours.run("info").stdout
        assert "coordinate_resets = 0" in ours_stats


def test_an_agent_without_coordinates_is_known_to_nobody_and_disturbs_nobody(tmp_path):
    config = tmp_path / "agent.toml"
    config.write_text("disable_coordinates = true\n")
    with agents(tmp_path) as cluster:
        serf = cluster.start(SERF, "serf")
        other = cluster.start(OURS, "other", f"-join={serf.host}")
        quiet = cluster.start(OURS, "quiet", f"-join={serf.host}", f"-config-file={config}")
        eventually(lambda: estimate(serf, SERF, "other") is not None, LEARNT, "Serf to know another")
        eventually(lambda: estimate(other, SERF, "serf") is not None, LEARNT, "ours to know Serf")
        assert estimate(serf, SERF, "quiet") is None
        assert estimate(other, OURS, "quiet") is None
        assert estimate(quiet, OURS, "quiet") is None
        assert "coordinate_resets" not in quiet.run("info").stdout
        assert set(serf.statuses().values()) == {"alive"}
