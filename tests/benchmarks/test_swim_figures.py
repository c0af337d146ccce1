"""The instrument behind SWIM's figures: our parameters make the paper's protocol, in step or staggered."""

import pytest

from benchmarks.papers.swim import crash, load, loss
from benchmarks.papers.swim.group import PERIOD, form_group, overhear, paper_config, rounds
from gossip.swim.config import retransmit_limit, suspicion_minimum


@pytest.mark.parametrize(("members", "paper"), [(8, 9), (19, 9), (20, 12), (53, 12), (54, 15)])
def test_suspicions_last_as_many_periods_as_in_the_paper(members, paper):
    assert rounds(members) == paper


@pytest.mark.parametrize("members", [*load.SIZES, *load.LARGER])
def test_our_multipliers_make_the_papers_figures_at_every_size(members):
    config = paper_config(members)
    assert retransmit_limit(config.retransmit_mult, members) == pytest.approx(rounds(members))
    periods = suspicion_minimum(config.suspicion_mult, members, PERIOD) / PERIOD
    assert periods == pytest.approx(rounds(members))


def test_in_step_all_members_probe_at_the_same_moments():
    cluster, _ = form_group(1, 6, in_step=True)
    starts = []
    overhear(cluster, lambda _: starts.append(cluster.now))
    cluster.run(1.0 + PERIOD)
    assert [at for at in starts if at in (1.0, 1.0 + PERIOD)] == [1.0] * 6 + [1.0 + PERIOD] * 6


def test_a_member_at_rest_sends_a_ping_and_an_ack_in_each_period():
    found = load.perform(load.Run(8, 1))
    assert found.sent == pytest.approx(2.0, abs=0.05)
    assert found.samples == 8 * load.PERIODS


def test_a_suspicion_in_step_comes_whole_periods_after_the_round_began():
    found = crash.perform(crash.Run(8, True, 3))
    assert found.suspected == pytest.approx(round(found.suspected), abs=1e-6)
    assert found.suspected == pytest.approx(found.probed + 1)


@pytest.mark.parametrize(("members", "rounds"), [(2, 1.0), (3, 1.25), (6, 1.416), (20_000, 1.582)])
def test_round_robin_detects_a_little_sooner_than_random_choice(members, rounds):
    assert crash.expected_rounds(members) == pytest.approx(rounds, abs=1e-3)


def test_a_declaration_follows_the_suspicion_after_the_papers_time_out():
    found = crash.perform(crash.Run(8, False, 1))
    assert found.timeout == pytest.approx(9.0, abs=1e-3)
    assert 0.0 < found.infected <= found.all_infected


def test_with_suspicion_a_lossy_group_keeps_its_members_and_without_it_falls_apart():
    assert loss.perform(loss.Run("suspicion", 1)).sizes[-1] == loss.MEMBERS
    assert loss.perform(loss.Run("no suspicion", 1)).sizes[-1] < 5
