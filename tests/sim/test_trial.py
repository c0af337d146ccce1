"""Runs of whole scenarios: phases, outcomes, the swarm, determinism."""

import pytest

from gossip.cli.simulator.narration import report
from gossip.serf.members import MemberStatus
from gossip.sim.observer import Observer
from gossip.sim.scenario import read_scenario
from gossip.sim.swarm import swarm
from gossip.sim.trial import LIVENESS, NO_EXCEPTION, Trial
from tests.sim.rig import printed

SWARM = range(100)
"""Seeds of small clusters that every run of the tests tries; `gossip sim swarm` tries more, and larger."""


def run(text, **options):
    return Trial(read_scenario(text), **options)


def test_a_crash_is_agreed_upon_after_the_faults():
    outcome = run('profile = "local"\n[[acts]]\ndo = "crash"\nnode = "n3"\nat = 59').run()
    assert outcome.failure is None
    assert 0 < outcome.settled_after < 60


def test_whoever_is_not_in_the_core_stops_and_must_be_seen_to_be_gone():
    trial = run('nodes = 4\nprofile = "local"\ncore = ["n0", "n1", "n3"]\nduration = 10')
    outcome = trial.run()
    assert outcome.failure is None
    assert trial.cluster.hosts["n2"].node is None
    assert trial.cluster.hosts["n0"].node.member("n2").status is MemberStatus.FAILED


def test_a_member_of_the_core_that_is_down_is_started_again():
    trial = run('nodes = 4\nduration = 30\ncore = ["n0..n3"]\n[[acts]]\ndo = "leave"\nnode = "n2"\nat = 5')
    assert trial.run().failure is None
    assert trial.cluster.hosts["n2"].life == 2


def test_what_is_missing_is_told_in_words():
    text = 'nodes = 3\nduration = 20\nsettle = 0\n[[acts]]\ndo = "partition"\none = ["n2"]\nat = 0'
    outcome = run(text).run()
    assert outcome.failure.rule == LIVENESS
    assert outcome.failure.detail.startswith("0 s after the last fault n")
    assert "n0 has never heard of n2, up since 0." in outcome.failure.detail
    told = report(outcome)
    assert f"seed 0, trace {outcome.digest}" in told
    assert read_scenario(text).text() in told
    assert "all faults end" in told


def test_an_exception_in_the_core_is_a_finding_with_a_seed():
    trial = run("nodes = 3", checks=False)

    class Sabotage(Observer):
        def ticked(self, now):
            if now == 5.0:
                del trial.cluster.hosts["n1"].node.swim.deadlines

    trial.watch(lambda _: Sabotage())
    outcome = trial.run()
    assert outcome.failure.rule == NO_EXCEPTION
    assert "AttributeError" in outcome.failure.detail


def test_a_run_without_checks_has_the_same_trace():
    scenario = swarm(11, most_nodes=6)
    assert Trial(scenario, checks=False).run().digest == Trial(scenario).run().digest


@pytest.mark.parametrize("seed", SWARM)
def test_swarm(seed):
    outcome = Trial(swarm(seed, most_nodes=16)).run()
    assert outcome.failure is None, report(outcome)


@pytest.mark.parametrize("seed", [1, 0, 9])
def test_the_byte_path_has_the_same_trace(seed):
    scenario = swarm(seed, most_nodes=8)
    assert "bandwidth" not in scenario.text()  # limits on sizes see other sizes on the byte path
    assert "max_bytes" not in scenario.text()
    assert Trial(scenario, wire=True).run().digest == Trial(scenario).run().digest


def test_neither_the_hash_seed_nor_the_process_matters():
    script = (
        "from gossip.sim.swarm import swarm\nfrom gossip.sim.trial import Trial\n"
        "print([Trial(swarm(seed, most_nodes=12)).run().digest for seed in (3, 5, 8, 13)])"
    )
    assert printed(script, hash_seed=1) == printed(script, hash_seed=2)
