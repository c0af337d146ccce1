"""Faults whose cure is later work, each with the scenario and seed that show what breaks today.

The swarm does not draw them. Whoever cures one finds its test failing here: the scenario then moves to the
regressions, the fault into the swarm, and this list gets shorter.
"""

from __future__ import annotations

from msgspec import Struct

from gossip.sim.acts import Crash, Leave, MassRestart, Move, Partition, Restart, SendEvent
from gossip.sim.scenario import Scenario


class NotYet(Struct, frozen=True, kw_only=True):
    """One fault that the core does not survive as it should."""

    fault: str
    breaks: str  # what happens today
    cure: str  # what would mend it
    scenario: Scenario


NOT_YET = (
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
    NotYet(
        fault="all seeds under new addresses",
        breaks="whoever restarts afterwards asks addresses that nobody has",
        cure="resolve the seeds' names again for each attempt, for life",
        scenario=Scenario(
            seed=1,
            nodes=6,
            seeds=2,
            duration=200.0,
            settle=300.0,
            start="agreed",
            acts=(
                Move(at=20.0, node="n0"),
                Move(at=21.0, node="n1"),
                Restart(at=150.0, node="n4"),
                Restart(at=150.5, node="n5"),
            ),
        ),
    ),
    NotYet(
        fault="a partition longer than every time-out",
        breaks="both sides forget each other and never meet again",
        cure="go on asking the seeds, for life",
        scenario=Scenario(
            seed=1,
            nodes=6,
            serf={"reconnect_timeout": 60.0, "reap_interval": 5.0},
            duration=200.0,
            settle=300.0,
            start="agreed",
            acts=(Partition(at=10.0, one=("n3..n5",)),),
        ),
    ),
    NotYet(
        fault="restart with a snapshot: clocks",
        breaks="the node starts with its Lamport clocks at 1",
        cure="the snapshot keeps the clocks, and the core takes them",
        scenario=Scenario(
            seed=1,
            nodes=3,
            duration=60.0,
            start="agreed",
            acts=(
                SendEvent(at=5.0, node="n0", name="deploy"),
                Partition(at=19.0, one=("n2",)),
                Restart(at=20.0, node="n2", snapshot=True),
            ),
        ),
    ),
    NotYet(
        fault="the seeds leave, and come back while nobody else is asked",
        breaks="those who stayed do not look for members that left; the seeds know nobody",
        cure="go on asking the seeds, for life",
        scenario=Scenario(
            seed=1,
            nodes=4,
            seeds=2,
            duration=60.0,
            settle=300.0,
            start="agreed",
            acts=(
                Leave(at=10.0, node="n0"),
                Leave(at=12.0, node="n1"),
                Restart(at=30.0, node="n0"),
                Restart(at=30.0, node="n1"),
            ),
        ),
    ),
)
