"""The instrument behind Lifeguard's tables: parts switched one by one, anomalies that block loops."""

import pytest
from msgspec.structs import replace

from benchmarks.papers.confidence import Estimate
from benchmarks.papers.lifeguard import grid, tables
from benchmarks.papers.lifeguard.anomaly import BlockedLoops
from benchmarks.papers.lifeguard.experiment import CONFIGURATIONS, Found, Run, perform
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


def test_the_whole_of_lifeguard_is_our_default_but_for_the_papers_alpha_and_k_and_memberlists_gossip():
    config = run("Lifeguard").config
    assert config == SwimConfig(suspicion_mult=5, confirmations=3, memberlist_gossip=True)


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


def found(fp, at_healthy=0):
    return Found(
        false_positives=fp,
        at_healthy=at_healthy,
        first=(12.0,),
        full=(13.0,),
        messages=10,
        size=99,
        seconds=120.0,
    )


def results(counts):
    """Return one cell for each number of anomalous members, with `counts` of false positives."""
    cells = [run(name, seed=c) for c in (4, 16) for name in CONFIGURATIONS]
    fields = {"anomaly": 16.384, "pause": 0.001}
    return [
        (replace(each, anomalous=each.seed, **fields), found(counts[each.configuration])) for each in cells
    ]


def test_false_positives_are_told_in_per_cent_of_swims():
    counts = dict(zip(CONFIGURATIONS, (200, 100, 10, 200, 4), strict=True))
    table = tables.false_positive_table(results(counts))
    assert "| Lifeguard | 4.00 [4.00, 4.00] | 2.00 [2.00, 2.00] | 1.53 |" in table
    assert "SWIM has none" in table  # of FP-


def test_a_cell_counts_only_where_all_configurations_were_run():
    counts = dict.fromkeys(CONFIGURATIONS, 1)
    assert len(tables.main_cells(results(counts))) == 2
    assert len(tables.main_cells(results(counts)[1:])) == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ((0.5, 0.4, 0.6), 0.7, "the paper's order"),
        ((0.9, 0.8, 1.1), 0.7, "within our interval"),
        ((1.2, 1.1, 1.3), 0.7, "the other way round"),
        ((2.0, 1.5, 3.0), 1.4, "the paper's order"),
        ((0.5, 0.4, 0.6), 1.4, "the other way round"),
    ],
)
def test_our_order_is_the_papers_or_the_gap_is_too_small_to_tell(ours, theirs, verdict):
    assert tables.verdict(Estimate(*ours), theirs) == verdict


def test_a_member_that_stays_blocked_is_found_by_all_and_nobody_else_is():
    seen = perform(replace(run("SWIM", seed=1), experiment="threshold", anomaly=16.384))
    assert (len(seen.first), len(seen.full)) == (1, 1)
    assert 10.54 + 1.0 < seen.first[0] < seen.full[0] < 16.384
    assert (seen.false_positives, seen.at_healthy) == (0, 0)
