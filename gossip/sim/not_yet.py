"""Faults whose cure is later work, each with the scenario and seed that show what breaks today.

The swarm does not draw them. A fix makes the corresponding test fail: the scenario then moves to the
regressions, the fault into the swarm, and this list gets shorter.
"""

from __future__ import annotations

from msgspec import Struct

from gossip.sim.acts import Crash, MassRestart, Move
from gossip.sim.scenario import Scenario


class NotYet(Struct, frozen=True, kw_only=True):
    """One fault that the core does not survive as it should."""

    fault: str
    breaks: str  # what happens today
    cure: str  # what would mend it
    scenario: Scenario


NOT_YET = (
    NotYet(
        fault="restart under a new address",
        breaks="the others keep the old address until they have buried the old life and forgotten its row",
        cure="probe the old address when a name appears elsewhere, and give it up at once if nobody answers",
        scenario=Scenario(
            seed=1,
            nodes=6,
            duration=30.0,
            settle=4.0,
            start="agreed",
            core=("*",),
            acts=(Move(at=29.0, node="n3"),),
        ),
    ),
    NotYet(
        fault="mass restart without a snapshot",
        breaks="agents whose seeds are gone know nobody, and nobody looks for them",
        cure="a snapshot of the members' addresses",
        scenario=Scenario(
            seed=1,
            nodes=6,
            duration=60.0,
            settle=300.0,
            start="agreed",
            acts=(MassRestart(at=20.0, nodes=("n1..n5",)), Crash(at=19.0, node="n0")),
        ),
    ),
)
