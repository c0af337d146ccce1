"""Faults whose cure is later work, each with the scenario and seed that show what breaks today.

The swarm does not draw them. Whoever cures one finds its test failing here: the scenario then moves to the
regressions, the fault into the swarm, and this list gets shorter.
"""

from __future__ import annotations

from msgspec import Struct

from gossip.sim.acts import Crash, ForceLeave, Leave, MassRestart, Move, Partition, Restart, SendEvent
from gossip.sim.network import Conditions
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
            settle=20.0,
            start="agreed",
            core=("*",),
            acts=(Move(at=29.0, node="n3"),),
        ),
    ),
    NotYet(
        fault="an address taken over by another member",
        breaks="two rows claim one address until the old life is buried",
        cure="as for a new address: one address, one member",
        scenario=Scenario(
            seed=1,
            nodes=6,
            duration=30.0,
            settle=20.0,
            start="agreed",
            acts=(Crash(at=28.0, node="n4"), Move(at=29.0, node="n3", to_address_of="n4")),
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
    NotYet(
        fault="force-leave of a name that is not known yet",
        breaks="it may bear the time of the member's own join, which the member then need not refute",
        cure="intents whose Lamport times cannot tie",
        scenario=Scenario(
            seed=44,
            nodes=7,
            profile="local",
            spread=2.0,
            duration=30.0,
            settle=300.0,
            network=Conditions(loss=0.1),
            acts=(ForceLeave(at=1.5, node="n6", about="n2"),),
        ),
    ),
    NotYet(
        fault="force-leave of one who lives, which nobody else who stays has heard",
        breaks="the others restart; the member's new join bears that leave's time, and it stays leaving",
        cure="as above, or telling a member that it is held to be leaving",
        scenario=Scenario(
            seed=67,
            nodes=4,
            seeds=3,
            profile="local",
            start="agreed",
            duration=0.0,
            settle=300.0,
            core=("n0..n3",),
            acts=(
                ForceLeave(node="n1", about="n3"),
                Crash(node="n0"),
                Crash(node="n2"),
                Crash(node="n3"),
            ),
        ),
    ),
    NotYet(
        fault="a leave cut short, which only one who stays has heard",
        breaks="the others restart; the member's new join bears its old leave's time, and it stays leaving",
        cure="as above",
        scenario=Scenario(
            seed=324,
            nodes=4,
            seeds=3,
            profile="local",
            start="agreed",
            duration=0.05,
            settle=300.0,
            swim={"push_pull_interval": 5.0},
            serf={"reconnect_interval": 5.0},
            retry_interval=5.0,
            spread=0.5,
            core=("n0..n3",),
            acts=(Crash(node="n0"), Leave(node="n1"), Crash(at=0.05, node="n2")),
        ),
    ),
)
