"""Whole simulated clusters, every node recorded: the recorder changes nothing, and every life replays."""

import pytest
from msgspec.structs import replace

from gossip.cli.simulator.narration import report
from gossip.recording.graph import dump_state
from gossip.recording.recorder import Recorder, record
from gossip.serf.node import SerfNode
from gossip.sim.swarm import swarm
from gossip.sim.trial import Trial
from tests.recording.rig import Recorded

WINDOW = 50
"""Inputs of a window, so small that every node begins several."""


def run(seed: int) -> str:
    # By joining: a cluster that starts agreed is put together past the nodes' own verbs.
    outcome = Trial(replace(swarm(seed, most_nodes=6), start="join")).run()
    assert outcome.failure is None, report(outcome)
    return outcome.digest


@pytest.mark.parametrize("seed", [3, 11, 27])
def test_every_recorded_life_in_a_cluster_under_faults_replays(seed, monkeypatch):
    lives: list[Recorded] = []

    def recorded_node(*args: object, **kwargs: object) -> SerfNode:
        life = Recorded.__new__(Recorded)
        life.bare = SerfNode(*args, **kwargs)
        life.recorder = Recorder(life.bare, max_inputs=WINDOW)
        life.node = record(life.bare, life.recorder)
        lives.append(life)
        return life.node

    expected = run(seed)
    monkeypatch.setattr("gossip.sim.cluster.SerfNode", recorded_node)
    assert run(seed) == expected
    assert len(lives) >= 3
    assert sum(life.recorder.renewals for life in lives) >= len(lives)
    for life in lives:
        replay = life.check()
        assert [str(member) for member in replay.node.members()] == [str(m) for m in life.bare.members()]
        assert dump_state(replay.node) == dump_state(life.bare)
