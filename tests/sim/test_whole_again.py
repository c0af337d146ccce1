"""After an outage the whole cluster agrees again within 30 virtual seconds (ADR 28 and 29)."""

import pytest
from msgspec.structs import replace

from gossip.sim.acts import Crash, MassRestart, Move, Partition, Restart
from gossip.sim.scenario import Scenario
from gossip.sim.trial import Trial

BOUND = 30.0
TEN_MINUTES = 600.0


def outages(n: int) -> dict[str, Scenario]:
    """Return each outage in a cluster of `n`; time counts from the end of the outage."""
    half = f"n{n // 2}..n{n - 1}"
    common = {"nodes": n, "seeds": 2, "settle": BOUND, "start": "agreed", "core": ("*",)}
    return {
        "partition of 10 minutes": Scenario(
            **common, duration=10.0 + TEN_MINUTES, acts=(Partition(at=10.0, one=(half,)),)
        ),
        "partition of 10 minutes, members forgotten": Scenario(
            **common,
            serf={"reconnect_timeout": 60.0, "reap_interval": 5.0},
            duration=10.0 + TEN_MINUTES,
            acts=(Partition(at=10.0, one=(half,)),),
        ),
        "all seeds at new addresses": Scenario(
            **common, duration=10.0, acts=(Move(at=9.9, node="n0"), Move(at=9.9, node="n1"))
        ),
        "mass restart": Scenario(**common, duration=10.0, acts=(MassRestart(at=8.9, nodes=("*",)),)),
        "mass restart with snapshots, the seeds gone": Scenario(
            **common,
            duration=11.0,
            acts=(
                Crash(at=9.8, node="n0"),
                Crash(at=9.8, node="n1"),
                MassRestart(at=9.9, nodes=(f"n2..n{n - 1}",), snapshot=True),
            ),
        ),
        "restart at a new address": Scenario(**common, duration=10.0, acts=(Move(at=9.9, node=f"n{n - 1}"),)),
        "restart at the same address": Scenario(
            **common, duration=10.0, acts=(Restart(at=9.9, node=f"n{n - 1}"),)
        ),
    }


def seconds(scenario: Scenario, seed: int) -> float:
    """Return how long the cluster took to agree; raises if it took longer than the bound."""
    outcome = Trial(replace(scenario, seed=seed)).run()
    assert outcome.failure is None, f"{outcome.failure.rule}: {outcome.failure.detail}"
    return outcome.settled_after


@pytest.mark.parametrize("n", [6, 24])
@pytest.mark.parametrize("outage", outages(6))
def test_a_cluster_is_whole_again_within_30_seconds(outage, n):
    for seed in range(2):
        assert seconds(outages(n)[outage], seed) <= BOUND
