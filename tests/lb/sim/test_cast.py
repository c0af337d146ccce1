"""Which hosts of a scenario play balancer and backends."""

from hypothesis import given
from hypothesis import strategies as st

from gossip.sim.acts import Crash, SetTags
from gossip.sim.scenario import Scenario, read_scenario
from gossip.sim.swarm import swarm
from lb.sim.cast import BACKEND, MOST_BACKENDS, cast, is_balancer, outlives

SEEDS = st.integers(min_value=0, max_value=2**32)


def roles(scenario):
    return [tags.get("role") for tags in scenario.starting_tags().values()]


@given(SEEDS)
def test_one_host_balances_and_a_few_serve(seed):
    played = roles(cast(swarm(seed)))
    assert played.count("lb") == 1
    assert 1 <= played.count("backend") <= MOST_BACKENDS


@given(SEEDS)
def test_the_same_seed_gives_the_same_roles_and_they_survive_their_text(seed):
    scenario = cast(swarm(seed))
    assert scenario == cast(swarm(seed))
    assert read_scenario(scenario.text()) == scenario


@given(SEEDS)
def test_nothing_but_tags_changes(seed):
    drawn = swarm(seed)
    played = cast(drawn)
    assert [(act.at, type(act)) for act in played.acts] == [(act.at, type(act)) for act in drawn.acts]
    assert (played.nodes, played.core, played.network) == (drawn.nodes, drawn.core, drawn.network)


def test_a_scenario_with_a_balancer_is_left_alone():
    scenario = Scenario(nodes=3, tags={"n1": {"role": "lb"}})
    assert cast(scenario) is scenario


def test_a_lone_host_has_nobody_to_balance():
    scenario = Scenario(nodes=1)
    assert cast(scenario) is scenario


def test_tags_of_a_scenario_are_kept_beside_the_roles():
    scenario = cast(Scenario(nodes=2, tags={"*": {"zone": "a"}, "n0": {"rack": "1"}}))
    assert all(tags["zone"] == "a" for tags in scenario.starting_tags().values())
    assert scenario.tags["n0"]["rack"] == "1"


def test_backends_that_announce_other_tags_stay_backends_or_withdraw():
    act = SetTags(at=1.0, node="n1", tags={"version": "2"})
    seen = set()
    for seed in range(40):
        scenario = cast(Scenario(seed=seed, nodes=2, acts=(act, Crash(at=2.0, node="n1"))))
        tags = scenario.tags["n1"]
        if tags["role"] == "backend":
            seen.add(scenario.acts[0].tags == tags | {"version": "2"})
    assert seen == {True, False}


def test_role_lb_makes_a_balancer():
    assert is_balancer({"role": "lb"})
    assert not is_balancer(BACKEND)


def test_some_servers_outlive_their_agents():
    seen = {outlives(cast(Scenario(seed=seed, nodes=2)).tags["n1"]) for seed in range(40)}
    assert seen == {True, False}
