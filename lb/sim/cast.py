"""Assigns roles in a scenario that does not know load balancers: one balancer, and some backends.

They are drawn from the scenario's seed with a separate generator. A scenario that already has a balancer is
left unchanged.
"""

from collections.abc import Mapping
from random import Random

from msgspec.structs import replace

from gossip.sim.acts import AnyAct, SetTags
from gossip.sim.scenario import Scenario

BALANCER = {"role": "lb"}
BACKEND = {"role": "backend", "port": "8000"}
OUTLIVES = {"outlives": "agent"}
"""The tag of a host whose server keeps answering when its agent is gone, like one beside a sidecar."""
MANY_OUTLIVE = 0.3
"""Probability that the server of a backend does so."""
MOST_BACKENDS = 8
KEEPS_ROLE = 0.5
"""Probability that a backend that announces new tags remains one; the others withdraw."""


def cast(scenario: Scenario) -> Scenario:
    """Return the scenario with tags that make hosts balancers and backends."""
    if any(is_balancer(tags) for tags in scenario.starting_tags().values()) or scenario.nodes < 2:
        return scenario
    rng = Random(f"cast/{scenario.seed}")
    names = list(scenario.names)
    balancer = names.pop(rng.randrange(len(names)))
    backends = rng.sample(names, rng.randint(1, min(MOST_BACKENDS, len(names))))
    roles = {balancer: BALANCER} | {
        name: BACKEND | (OUTLIVES if rng.random() < MANY_OUTLIVE else {}) for name in sorted(backends)
    }
    acts = tuple(_in_role(act, roles, rng) for act in scenario.acts)
    tags = scenario.tags | {name: scenario.tags.get(name, {}) | role for name, role in roles.items()}
    return replace(scenario, tags=tags, acts=acts)


def is_balancer(tags: dict[str, str]) -> bool:
    """Tell whether a host that starts with `tags` has a balancer beside its agent."""
    return tags.get("role") == BALANCER["role"]


def outlives(tags: Mapping[str, str]) -> bool:
    """Tell whether the server of a host with `tags` keeps answering when its agent is gone."""
    return tags.get("outlives") == OUTLIVES["outlives"]


def _in_role(act: AnyAct, roles: dict[str, dict[str, str]], rng: Random) -> AnyAct:
    if isinstance(act, SetTags) and act.node in roles and rng.random() < KEEPS_ROLE:
        return replace(act, tags=act.tags | roles[act.node])
    return act
