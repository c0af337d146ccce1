"""Rapid's experiments: what is counted, and what the tables make of it."""

import pytest

from benchmarks.papers.rapid import tables
from benchmarks.papers.rapid.__main__ import plan
from benchmarks.papers.rapid.experiment import BALANCER, FAULT_AT, VICTIMS, Found, Run, perform, scenario_of
from benchmarks.papers.rapid.views import Second, Views
from gossip.sim.scenario import Scenario, read_scenario
from gossip.sim.trial import Trial


def found(**figures):
    seconds = [Second(FAULT_AT + 1, 990, 1000, 3), Second(FAULT_AT + 2, 990, 990, 1)]
    plain = {
        "seconds": seconds,
        "first": 10.0,
        "last": 20.0,
        "removals": 10.0,
        "returns": 0.0,
        "wrong_removals": 0.0,
        "unique": 5,
        "member_events": 10,
        "swaps": [21.0],
        "undone": 0,
        "emptied": 0,
        "sent_mean": 600.0,
        "sent_p99": 6000.0,
        "sent_max": 8000.0,
    }
    return Found(**plain | figures)


def test_ten_crashes_are_ten_removals_from_each_view_and_one_swap():
    one = perform(Run(fault="crash", nodes=51, seed=0))
    assert one.removals == VICTIMS
    assert (one.returns, one.wrong_removals, one.undone, one.emptied) == (0.0, 0.0, 0, 0)
    assert 0.0 < one.first <= one.last < one.swaps[-1]
    assert one.seconds[-1].low == one.seconds[-1].high == 51 - VICTIMS
    assert one.member_events == VICTIMS


def test_equal_runs_have_equal_results():
    run = Run(fault="bootstrap", nodes=20, seed=3)
    assert perform(run) == perform(run)


def test_a_bootstrap_ends_when_all_report_all():
    one = perform(Run(fault="bootstrap", nodes=20, seed=1))
    assert one.seconds[-1].low == 20
    assert 2 <= one.unique <= 20
    assert one.removals == 0.0


@pytest.mark.parametrize("fault", ["crash", "ingress", "loss", "loss-in", "loss-out"])
def test_victims_are_backends_and_the_scenario_can_be_replayed_from_its_text(fault):
    scenario, backends, victims = scenario_of(Run(fault=fault, nodes=60, seed=4))
    assert len(victims) == VICTIMS
    assert set(victims) <= set(backends)
    assert BALANCER not in backends
    assert read_scenario(scenario.text()) == scenario


def test_sizes_that_are_counted_are_those_of_the_tables():
    trial = Trial(Scenario(nodes=5, start="agreed"), checks=False)
    views = Views(trial.cluster, {"n4"}, since=2.0)
    trial.cluster.observers.append(views)
    trial.start()
    trial.advance(2.0)
    trial.cluster.crash(trial.cluster.hosts["n4"])
    trial.advance(20.0)
    views.check()
    assert views.seconds[0] == Second(1.0, 5, 5, 1)
    assert views.seconds[-1] == Second(20.0, 4, 4, 1)
    assert (views.removals, views.returns, views.wrong_removals) == (4, 0, 0)


def test_the_plan_asks_for_each_run_once():
    runs = plan(3, 6, small=False)
    assert len(set(runs)) == len(runs)
    assert {run.nodes for run in plan(3, 6, small=True)} == {51}


def test_tables_stand_ours_beside_the_papers():
    results = tables.sort_out(
        [
            (Run(fault="crash", nodes=1000, seed=0), found()),
            (Run(fault="ingress", nodes=1000, seed=0), found(removals=30.0, returns=20.0, undone=1)),
            (Run(fault="bootstrap", nodes=1000, seed=0), found(unique=777)),
        ]
    )
    views = tables.views_table(results)
    assert "| 10 crash, N = 1000 | 1 | 10.0 | 0.0 | 0.00 | 990 to 1000 | 50 % | 50 % |" in views
    assert "never all 10 (Fig. 9)" in views
    assert "bootstrap" not in views
    assert "| 10 hear nothing for 20 s of each 40, N = 1000 | 10.0 | 1.0 | 1.0 | 0 |" in (
        tables.balancer_table(results)
    )
    assert "| the same, most |  | 8.00 | 8.04 |" in tables.crash_table(results)
    assert "| 777 | 901 |" in tables.bootstrap_table(results)
    assert [panel.title for panel in tables.panels(results)] == [
        "10 crash, N = 1000",
        "10 hear nothing for 20 s of each 40, N = 1000",
        "bootstrap, N = 1000",
    ]
