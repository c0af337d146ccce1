import json
from pathlib import Path

import pytest

from gossip.swim.config import (
    SwimConfig,
    push_pull_delay,
    retransmit_limit,
    suspicion_minimum,
    transmissions,
)

FORMULAS = json.loads((Path(__file__).parents[1] / "vectors" / "formulas.json").read_text())
PROFILES = {"lan": SwimConfig.lan(), "wan": SwimConfig.wan(), "local": SwimConfig.local()}


@pytest.mark.parametrize("row", FORMULAS["timers"], ids=lambda row: f"{row['profile']}-{row['n']}")
def test_times_of_every_profile_and_size_are_memberlists(row):
    config, n = PROFILES[row["profile"]], row["n"]
    minimum = suspicion_minimum(config.suspicion_mult, n, config.probe_interval)
    assert minimum == pytest.approx(row["suspicion_min_s"], abs=1e-9)
    assert config.suspicion_max_mult * minimum == pytest.approx(row["suspicion_max_s"], abs=1e-9)
    assert retransmit_limit(config.retransmit_mult, n) == row["retransmit_limit"]
    assert push_pull_delay(config.push_pull_interval, n) == row["pushpull_interval_s"]


def test_an_empty_cluster_retransmits_nothing():
    assert retransmit_limit(4, 0) == 0


def test_retransmissions_step_up_where_memberlists_do():
    assert [retransmit_limit(4, n) for n in (1, 9, 10, 99, 100)] == [4, 4, 8, 8, 12]


def test_a_cluster_of_none_or_one_has_the_suspicion_time_of_ten():
    assert [suspicion_minimum(4, n, 1.0) for n in (0, 1, 10)] == [4.0, 4.0, 4.0]


def test_no_packet_overhead_is_assumed_by_default():
    assert {p.packet_overhead for p in PROFILES.values()} == {0}


def test_tables_are_bounded_in_every_profile():
    assert {(p.max_members, p.max_relays) for p in PROFILES.values()} == {(16_384, 1024)}


def test_a_broadcast_is_sent_three_times_the_natural_logarithm_in_a_lan():
    sizes = (0, 1, 3, 5, 8, 16, 32, 64, 128, 512)
    assert [transmissions(SwimConfig.lan(), n) for n in sizes] == [0, 3, 5, 6, 7, 9, 11, 13, 15, 19]


def test_on_loopback_a_broadcast_is_sent_half_as_often():
    assert [transmissions(SwimConfig.local(), n) for n in (3, 8, 64)] == [3, 4, 7]


@pytest.mark.parametrize("mult", [1, 2, 4])
def test_a_broadcast_is_sent_at_least_as_often_as_by_memberlist(mult):
    config = SwimConfig(retransmit_mult=mult)
    assert all(transmissions(config, n) >= retransmit_limit(mult, n) for n in range(2, 5000))


def test_memberlists_number_can_be_chosen():
    config = SwimConfig(memberlist_gossip=True)
    assert [transmissions(config, n) for n in (8, 64, 512)] == [4, 8, 12]


def test_push_pull_slows_down_beyond_32_members():
    assert [push_pull_delay(30.0, n) for n in (32, 33, 64, 65)] == [30.0, 60.0, 60.0, 90.0]


def test_the_lan_profile_is_the_default():
    assert SwimConfig.lan() == SwimConfig()


def test_profiles_have_memberlists_values():
    columns = [
        (
            p.stream_timeout,
            p.indirect_checks,
            p.retransmit_mult,
            p.suspicion_mult,
            p.suspicion_max_mult,
            p.push_pull_interval,
            p.probe_timeout,
            p.probe_interval,
            p.gossip_nodes,
            p.gossip_interval,
            p.gossip_to_the_dead,
        )
        for p in PROFILES.values()
    ]
    assert columns == [
        (10.0, 3, 4, 4, 6, 30.0, 0.5, 1.0, 3, 0.2, 30.0),
        (30.0, 3, 4, 6, 6, 60.0, 3.0, 5.0, 4, 0.5, 60.0),
        (1.0, 1, 2, 3, 6, 15.0, 0.2, 1.0, 3, 0.1, 15.0),
    ]
    assert all((p.packet_budget, p.awareness_max) == (1400, 8) for p in PROFILES.values())
