"""Balancers in simulated clusters: they decide as they do in life, and change nothing."""

import pytest
from msgspec.structs import replace

from gossip.cli.simulator.narration import report
from gossip.sim.acts import Crash, Jump, Leave, Partition, Pause, Restart, SetTags
from gossip.sim.scenario import Scenario
from gossip.sim.swarm import swarm
from gossip.sim.trial import Trial
from lb.policy.reconciler import Reconciler
from lb.sim.balancers import Balancers
from lb.sim.cast import BACKEND, BALANCER, OUTLIVES, cast


def scenario(*acts, duration=60.0, nodes=5, backends=("n1..n4",), **rest):
    """The balancer is n0; nodes know each other."""
    tags = {"n0": BALANCER} | dict.fromkeys(backends, BACKEND)
    return Scenario(nodes=nodes, start="agreed", duration=duration, tags=tags, acts=acts, **rest)


def ride(scenario):
    trial = Trial(scenario)
    balancers = Balancers(trial.cluster)
    trial.cluster.observers.append(balancers)
    outcome = trial.run()
    assert outcome.failure is None, report(outcome)
    return balancers, outcome


def swaps(balancers, host="n0"):
    return balancers.by_host[host].history.swaps


def servers(balancers, host="n0"):
    return [server.member for server in balancers.by_host[host].reconciler.plan.servers]


@pytest.mark.parametrize("seed", range(12))
def test_a_run_is_the_same_with_and_without_balancers(seed):
    played = cast(swarm(seed, most_nodes=12))
    balancers, outcome = ride(played)
    assert balancers.by_host
    assert outcome == Trial(played).run()


def test_everybody_enters_in_one_swap():
    balancers, _ = ride(scenario(duration=10.0))
    assert [swap.size for swap in swaps(balancers)] == [4]


def test_a_crash_is_one_swap_after_the_detector_has_converged():
    balancers, _ = ride(scenario(Crash(at=20.0, node="n3")))
    assert [swap.size for swap in swaps(balancers)] == [4, 3]
    assert 20.0 + 4.0 < swaps(balancers)[1].at < 20.0 + 12.0
    assert balancers.counts() == {
        "swaps": 2,
        "later undone": 0,
        "backends emptied by failures alone": 0,
    }


def test_a_leave_is_one_swap():
    balancers, _ = ride(scenario(Leave(at=20.0, node="n3")))
    assert [[str(c.reason) for c in swap.changes] for swap in swaps(balancers)][1:] == [["left"]]


def test_a_server_cut_off_and_back_is_a_swap_undone():
    balancers, _ = ride(scenario(Partition(at=20.0, one=("n3",), lasts=20.0)))
    assert [swap.size for swap in swaps(balancers)] == [4, 3, 4]
    assert balancers.counts()["later undone"] == 1


def test_a_server_that_restarts_is_no_swap_undone():
    balancers, _ = ride(scenario(Crash(at=20.0, node="n3"), Restart(at=40.0, node="n3")))
    assert [swap.size for swap in swaps(balancers)] == [4, 3, 4]
    assert balancers.counts()["later undone"] == 0


def test_withdrawing_is_a_swap():
    balancers, _ = ride(scenario(SetTags(at=20.0, node="n3", tags={"version": "2"})))
    assert servers(balancers) == ["n1", "n2", "n4"]


def test_the_file_outlives_its_balancer():
    balancers, _ = ride(scenario(Crash(at=20.0, node="n0"), Restart(at=25.0, node="n0"), seeds=2))
    assert [swap.size for swap in swaps(balancers)] == [4]


def test_a_balancer_that_is_down_sees_what_failed_meanwhile_when_it_is_back():
    acts = (Crash(at=20.0, node="n0"), Crash(at=21.0, node="n4"), Restart(at=40.0, node="n0"))
    balancers, _ = ride(scenario(*acts, seeds=2, duration=90.0))
    assert servers(balancers) == ["n1", "n2", "n3"]
    assert [swap.size for swap in swaps(balancers)] == [4, 3]


def test_a_frozen_balancer_decides_nothing_until_it_runs_again():
    acts = (Pause(at=20.0, node="n0", lasts=30.0, freeze=True), Crash(at=21.0, node="n4"))
    balancers, _ = ride(scenario(*acts, duration=90.0))
    later = [swap.at for swap in swaps(balancers)[1:]]
    assert later
    assert min(later) > 50.0
    assert servers(balancers) == ["n1", "n2", "n3"]


def test_a_clock_that_leaps_over_a_deadline_wakes_the_balancer():
    acts = (Crash(at=20.0, node="n4"), Jump(at=24.0, node="n0", seconds=60.0))
    balancers, _ = ride(scenario(*acts))
    assert servers(balancers) == ["n1", "n2", "n3"]


def test_the_last_servers_stay_until_another_answers():
    acts = (
        Crash(at=20.0, node="n1"),
        Crash(at=20.0, node="n2"),
        SetTags(at=50.0, node="n3", tags=BACKEND),
    )
    balancers, _ = ride(scenario(*acts, backends=("n1..n2",), duration=90.0))
    assert [swap.size for swap in swaps(balancers)] == [2, 3, 1]
    assert swaps(balancers)[1].at > 50.0
    assert balancers.counts()["backends emptied by failures alone"] == 0


def test_a_hold_goes_on_while_the_other_server_does_not_answer():
    acts = (
        Crash(at=20.0, node="n1"),
        Crash(at=20.0, node="n2"),
        SetTags(at=50.0, node="n3", tags=BACKEND),
        # The tags arrive within 0.2 s, a gossip interval; `MIN_GAP` (0.5 s) later the hold could end.
        Pause(at=50.3, node="n3", lasts=3.0, freeze=True),
    )
    balancers, _ = ride(scenario(*acts, backends=("n1..n2",), duration=90.0))
    _, entered, released = swaps(balancers)
    assert entered.at < 50.3
    assert released.at > 53.3
    assert servers(balancers) == ["n3"]


def test_two_balancers_end_with_the_same_plan():
    played = scenario(Crash(at=20.0, node="n3"), backends=("n2..n4",))
    balancers, _ = ride(replace(played, tags=played.tags | {"n1": BALANCER}))
    one, other = (balancers.by_host[name].reconciler.plan for name in ("n0", "n1"))
    assert one.digest == other.digest
    assert [server.member for server in one.servers] == ["n2", "n4"]


def test_it_is_the_object_that_production_holds():
    balancers, _ = ride(scenario(duration=5.0))
    assert type(balancers.by_host["n0"].reconciler) is Reconciler


def alone(*backends):
    return {"n0": BALANCER} | dict.fromkeys(backends, BACKEND | OUTLIVES)


def test_agents_that_die_beside_healthy_servers_change_nothing():
    acts = tuple(Crash(at=20.0, node=f"n{i}") for i in (1, 2, 3))
    balancers, _ = ride(replace(scenario(*acts, duration=120.0), tags=alone("n1..n4")))
    assert [swap.size for swap in swaps(balancers)] == [4]
    assert str(balancers.by_host["n0"].reconciler.state) == "held(disputed)"


def test_a_dispute_in_a_cluster_ends_when_the_agents_are_back():
    acts = (
        *(Crash(at=20.0, node=f"n{i}") for i in (1, 2, 3)),
        *(Restart(at=60.0, node=f"n{i}") for i in (1, 2, 3)),
    )
    balancers, _ = ride(replace(scenario(*acts, duration=120.0, seeds=2), tags=alone("n1..n4")))
    assert [swap.size for swap in swaps(balancers)] == [4]
    assert str(balancers.by_host["n0"].reconciler.state) == "observing"


def test_a_balancer_that_is_back_among_strangers_keeps_the_servers_of_its_file():
    acts = (
        *(Crash(at=20.0, node=f"n{i}") for i in (0, 1, 2, 3)),
        Restart(at=30.0, node="n0"),
    )
    balancers, _ = ride(replace(scenario(*acts, duration=150.0, seeds=5), tags=alone("n1..n4")))
    assert [swap.size for swap in swaps(balancers)] == [4]
    assert servers(balancers) == ["n1", "n2", "n3", "n4"]


def test_the_last_server_that_answers_stays_though_its_agent_left():
    balancers, _ = ride(replace(scenario(Leave(at=20.0, node="n1"), duration=90.0), tags=alone("n1")))
    assert servers(balancers) == ["n1"]
