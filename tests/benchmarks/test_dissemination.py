"""The instrument behind the table of missed broadcasts."""

from random import Random

import pytest
from msgspec.structs import replace

from benchmarks.dissemination.__main__ import table
from benchmarks.dissemination.experiment import LOSSES, RULES, Found, Run, perform, runs
from benchmarks.dissemination.model import Rule, missed

FEW = Run(members=5, loss=0.0, rule="ours", broadcasts=5, seed=1)


def test_every_size_is_measured_with_every_loss_and_both_rules():
    sizes = {run.members for run in runs()}
    assert sizes == {3, 5, 8, 16, 32, 64, 128, 512}
    assert {(run.loss, run.rule) for run in runs()} == {(loss, rule) for loss in LOSSES for rule in RULES}


def test_a_broadcast_costs_a_member_as_many_datagrams_as_transmissions():
    found = perform(replace(FEW, broadcasts=20))
    assert (found.missed, found.unaware, len(found.lasts)) == (0, 0, 20)
    assert 4.0 < found.datagrams <= 6.0  # some ride on probes


def test_where_nothing_arrives_every_broadcast_is_missed_by_all_others():
    found = perform(replace(FEW, loss=1.0))
    assert (found.missed, found.unaware, found.lasts) == (5, 20, ())


def test_memberlists_rule_misses_somebody_now_and_then():
    found = perform(replace(FEW, members=8, rule="memberlist's rule", broadcasts=60))
    assert found.missed > 0
    assert len(found.lasts) == 60 - found.missed


def test_runs_of_one_kind_make_one_row():
    pairs = [(FEW, Found(missed=1, unaware=1, lasts=(0.1,) * 4, datagrams=5.0))]
    pairs.append((replace(FEW, seed=2), Found(missed=0, unaware=0, lasts=(0.2,) * 5, datagrams=6.0)))
    row = table(pairs).splitlines()[2]
    assert row.startswith("| 5 | 0 % | ours | 10 | 10.000 [")
    assert row.endswith("| 0.20 | 0.20 | 0.20 | 5.5 |")


@pytest.mark.parametrize("rule", RULES)
def test_equal_runs_find_the_same(rule):
    assert perform(replace(FEW, rule=rule)) == perform(replace(FEW, rule=rule))


def test_the_model_tells_memberlists_rule_from_a_ring_that_is_walked_more_often():
    few = missed(Rule(is_ring=True, further=3), 8, 0.0, 500, Random(1))
    many = missed(Rule(is_ring=False, further=0), 8, 0.0, 500, Random(1))
    assert few == 0
    assert 10 <= many <= 50


def test_in_the_model_a_member_that_spares_its_source_reaches_more_with_the_same_number():
    rules = (Rule(is_ring=True, further=0), Rule(is_ring=True, further=0, spares_source=True))
    plain, sparing = (missed(rule, 8, 0.0, 2000, Random(1)) for rule in rules)
    assert sparing < plain
