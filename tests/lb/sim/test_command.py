"""``gossip-lb sim`` as a person uses it."""

import re

import pytest

from gossip.cli.main import run as gossip
from gossip.cli.program import DONE, FAILED, MISUSED
from lb.cli import run as gossip_lb
from tests.sim.rig import NEVER_HEALED

CUT_OFF = """
nodes = 5
start = "agreed"
[tags.n0]
role = "lb"
[tags."n1..n4"]
role = "backend"
port = "8000"
[[acts]]
do = "partition"
at = 20
for = 20
one = ["n3"]
"""


def test_a_run_reports_swaps(scenario, capsys):
    assert gossip_lb(["sim", "run", scenario(CUT_OFF)]) == DONE
    assert "swaps 3, later undone 1, backends emptied by failures alone 0\n" in capsys.readouterr().out


def test_the_swarm_reports_swaps_per_run_and_in_sum(capsys):
    assert gossip_lb(["sim", "swarm", "--seeds", "0..4", "--most-nodes", "6"]) == DONE
    out = capsys.readouterr().out
    per_run = [int(number) for number in re.findall(r"^seed \d+: swaps (\d+)", out, re.MULTILINE)]
    assert len(per_run) == 5
    assert f"in total: swaps {sum(per_run)}, " in out
    assert "5 seeds: every rule held, every core agreed" in out


def test_jobs_share_the_seeds_and_change_nothing(capsys):
    outputs = []
    for jobs in ("1", "2"):
        gossip_lb(["sim", "swarm", "--seeds", "0..5", "--most-nodes", "5", "--digests", "--jobs", jobs])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_the_run_has_the_same_trace_without_balancers(scenario, capsys):
    gossip_lb(["sim", "replay", "3", "--most-nodes", "6"])
    with_balancers = capsys.readouterr().out.splitlines()
    gossip_lb(["sim", "replay", "3", "--most-nodes", "6", "--print"])
    printed = scenario(capsys.readouterr().out)
    assert gossip(["sim", "run", printed]) == DONE
    without = capsys.readouterr().out.splitlines()
    assert [line for line in with_balancers if not line.startswith("swaps ")] == without
    assert len(with_balancers) == len(without) + 1


def test_a_broken_rule_is_a_failure(scenario, capsys):
    assert gossip_lb(["sim", "run", scenario(NEVER_HEALED)]) == FAILED
    captured = capsys.readouterr()
    assert "swaps " in captured.out
    assert "broken rule: after all faults the core agrees" in captured.err


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["swarm", "--seeds", "9..3"], "seeds '9..3' are not A..B"),
        (["run", "/nowhere.toml"], "does not exist"),
        (["replay", "3", "--about", "n99"], "there is no node 'n99'"),
    ],
)
def test_misuse_is_told_in_one_line(args, complaint, capsys):
    assert gossip_lb(["sim", *args]) == MISUSED
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_gossip_sim_counts_nothing(capsys):
    gossip(["sim", "swarm", "--seeds", "0..1", "--most-nodes", "4"])
    assert capsys.readouterr().out == "2 seeds: every rule held, every core agreed\n"
