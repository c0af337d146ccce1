"""The instrument behind Lifeguard's tables: parts switched one by one, anomalies that block loops."""

import pytest

from benchmarks.papers.lifeguard import grid
from benchmarks.papers.lifeguard.anomaly import BlockedLoops
from benchmarks.papers.lifeguard.experiment import CONFIGURATIONS, Run
from gossip.serf.config import SerfConfig
from gossip.sim.cluster import Cluster
from gossip.swim.config import SwimConfig, suspicion_minimum


def run(configuration, **fields):
    return Run(experiment="interval", configuration=configuration, anomalous=1, anomaly=1.0, **fields)


def group(configuration, members=8):
    cluster = Cluster(7, SerfConfig(swim=run(configuration).config))
    hosts = [cluster.add(f"n{number}") for number in range(members)]
    for host in hosts:
        cluster.boot(host)
    cluster.acquaint(hosts)
    return cluster, hosts


def test_swim_waits_as_long_as_the_paper_says():
    config = run("SWIM").config
    assert suspicion_minimum(config.suspicion_mult, 128, 1.0) == pytest.approx(10.54, abs=0.01)
    assert config.suspicion_max_mult == 1


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_each_configuration_switches_its_own_parts_on(configuration):
    config = run(configuration, alpha=4, beta=2).config
    parts = (config.awareness_max > 1, config.suspicion_max_mult > 1, config.tell_suspects)
    is_whole = configuration == "Lifeguard"
    assert parts == (
        is_whole or configuration == "LHA-Probe",
        is_whole or configuration == "LHA-Suspicion",
        is_whole or configuration == "Buddy System",
    )


def test_the_whole_of_lifeguard_is_our_default_but_for_the_papers_alpha_and_k():
    config = run("Lifeguard").config
    assert config == SwimConfig(suspicion_mult=5, confirmations=3)


@pytest.mark.parametrize("seconds", [0.2, 0.8, 3.0, 9.0])
def test_a_blocked_agent_accuses_at_most_one_member_however_long_it_is_blocked(seconds):
    cluster, hosts = group("SWIM")
    cluster.run(2.0)
    BlockedLoops(cluster, hosts[:1]).strike(seconds)
    node = hosts[0].node
    assert len(node.suspects()) == (1 if seconds >= 2.0 else 0)


def test_a_blocked_agent_that_is_released_in_time_hears_the_answer_to_its_ping():
    cluster, hosts = group("SWIM")
    cluster.run(2.0)
    anomaly = BlockedLoops(cluster, hosts[:1])
    for _ in range(10):
        anomaly.strike(0.9)
        cluster.run(cluster.now + 2.0)
        assert hosts[0].node.swim.detector.failed_probes == 0


def test_a_cell_meets_the_same_fate_in_every_configuration():
    seeds = {}
    for each in grid.sampled():
        seeds.setdefault((each.experiment, each.anomalous, each.anomaly, each.pause), set()).add(each.seed)
    assert max(map(len, seeds.values())) == grid.LATENCY_REPEATS


def test_the_whole_grid_has_the_papers_number_of_runs():
    swim = [each.experiment for each in grid.whole() if each.configuration == "SWIM"]
    assert (swim.count("threshold"), swim.count("interval")) == (540, 4320)
