"""`swarm(seed)`: a whole scenario drawn from a seed, like TigerBeetle's swarm testing.

Sizes, profiles, networks, faults and their times all come from the seed.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from gossip.errors import ConfigError
from gossip.sim.acts import (
    AnyAct,
    Crash,
    ForceLeave,
    JoinAgain,
    Jump,
    Leave,
    Link,
    MassRestart,
    Move,
    Partition,
    Pause,
    Restart,
    SendEvent,
    SetTags,
    Slow,
)
from gossip.sim.network import Burst, Conditions, Latency, Shape
from gossip.sim.scenario import MAX_NODES, Profile, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_NODES = 3
MOST_NODES = 64
MOST_ACTS = 12
PROFILES: tuple[Profile, ...] = ("lan", "local", "wan")
SHAPES: tuple[Shape, ...] = ("constant", "uniform", "exponential", "lognormal")
SEEDS = 3
"""Seed hosts; they belong to the core, otherwise a lone survivor might have no host to ask."""

SETTLE = {"local": 600.0, "lan": 600.0, "wan": 900.0}
"""Seconds to agree: many rounds of reconnecting, each with a random outcome."""


def swarm(seed: int, *, most_nodes: int = MOST_NODES) -> Scenario:
    """Return the scenario of `seed`, with at most `most_nodes` nodes (at least 3).

    Raises:
        ConfigError: no scenario may have so many nodes.
    """
    if most_nodes > MAX_NODES:
        raise ConfigError(f"clusters of {most_nodes} nodes are too large: at most {MAX_NODES} are simulated")
    return _Draw(seed, max(LEAST_NODES, most_nodes)).scenario()


class _Draw:
    """Draws one scenario."""

    def __init__(self, seed: int, most_nodes: int) -> None:
        self._seed = seed
        self._rng = rng = Random(f"swarm/{seed}")
        # Small clusters are quick and find most bugs: sizes are spread evenly over their logarithm.
        self._n = int(LEAST_NODES * ((most_nodes + 1) / LEAST_NODES) ** rng.random())
        self._names = [f"n{number}" for number in range(self._n)]
        self._profile: Profile = rng.choices(PROFILES, [5, 4, 1])[0]
        self._slowness = 3.0 if self._profile == "wan" else 1.0
        self._duration = round(rng.uniform(20.0, 90.0) * self._slowness, 1)

    def scenario(self) -> Scenario:
        rng = self._rng
        acts = sorted((self._act() for _ in range(rng.randrange(MOST_ACTS + 1))), key=lambda act: act.at)
        seeds = min(SEEDS, self._n)
        return Scenario(
            name=f"swarm {self._seed}",
            seed=self._seed,
            nodes=self._n,
            profile=self._profile,
            start="join" if rng.random() < 0.7 else "agreed",
            spread=round(rng.choice([0.0, 0.5, 5.0]) * rng.random(), 2),
            seeds=seeds,
            retry_interval=rng.choice([5.0, 30.0]),
            clocks=rng.choice([0.0, 1e6]),
            encrypt=rng.random() < 0.5,
            compress=rng.random() < 0.5,
            duration=self._duration,
            settle=SETTLE[self._profile],
            core=self._core(seeds),
            latency=self._latency(),
            network=self._network(),
            acts=tuple(acts),
        )

    def _core(self, seeds: int) -> tuple[str, ...]:
        if self._rng.random() < 0.5:
            return tuple(self._names)
        others = [name for name in self._names[seeds:] if self._rng.random() < 0.7]
        return (*self._names[:seeds], *others)

    def _latency(self) -> Latency:
        rng = self._rng
        shape = rng.choice(SHAPES)
        scale = rng.choice([0.0002, 0.001, 0.01]) * (5 if self._profile == "wan" else 1)
        return Latency(shape=shape, low=scale, spread=round(scale * rng.uniform(0.1, 3.0), 6))

    def _network(self) -> Conditions:
        """Draw the permanent conditions of the network."""
        rng = self._rng
        if rng.random() < 0.3:
            return Conditions()
        return Conditions(
            loss=rng.choice([0.0, 0.01, 0.05, 0.2]),
            burst=Burst(enter=0.02, leave=0.2, loss=0.7) if rng.random() < 0.2 else None,
            duplicate=rng.choice([0.0, 0.0, 0.1]),
            reorder=rng.choice([0.0, 0.0, 0.2]),
        )

    def _act(self) -> AnyAct:
        rng = self._rng
        kinds: list[tuple[int, Callable[[float], AnyAct]]] = [
            (4, self._crash),
            (4, self._restart),
            (2, self._pause),
            (1, self._slow),
            (1, self._jump),
            (2, self._tags),
            (2, self._event),
            (2, self._leave),
            (1, self._join),
            (1, self._move),
            (1, self._restart_all),
            (2, self._force_leave),
            (2, self._partition),
            (3, self._link),
        ]
        make = rng.choices([make for _, make in kinds], [weight for weight, _ in kinds])[0]
        return make(round(rng.uniform(0.0, self._duration), 2))

    # --- processes ----------------------------------------------------------------------------------------

    def _one(self) -> str:
        return self._rng.choice(self._names)

    def _crash(self, at: float) -> AnyAct:
        return Crash(at=at, node=self._one())

    def _restart(self, at: float) -> AnyAct:
        return Restart(at=at, node=self._one(), snapshot=self._rng.random() < 0.3)

    def _move(self, at: float) -> AnyAct:
        return Move(at=at, node=self._one())

    def _restart_all(self, at: float) -> AnyAct:
        within = self._rng.choice([0.0, 1.0, 5.0])
        return MassRestart(at=at, nodes=("*",), within=within, snapshot=self._rng.random() < 0.5)

    def _pause(self, at: float) -> AnyAct:
        lasts = round(self._rng.choice([0.2, 2.0, 8.0, 20.0]) * self._slowness * self._rng.random() + 0.05, 2)
        return Pause(at=at, node=self._one(), lasts=lasts, freeze=self._rng.random() < 0.5)

    def _slow(self, at: float) -> AnyAct:
        cost = self._rng.choice([0.001, 0.02, 0.2])
        return Slow(at=at, node=self._one(), cost=cost, lasts=self._some_time())

    def _jump(self, at: float) -> AnyAct:
        return Jump(at=at, node=self._one(), seconds=self._rng.choice([0.5, 5.0, 60.0]))

    # --- commands -----------------------------------------------------------------------------------------

    def _tags(self, at: float) -> AnyAct:
        return SetTags(at=at, node=self._one(), tags={"version": str(self._rng.randrange(100))})

    def _event(self, at: float) -> AnyAct:
        return SendEvent(at=at, node=self._one(), name="deploy", payload=str(self._rng.randrange(100)))

    def _leave(self, at: float) -> AnyAct:
        # Most leaves drain, some for so long that others come and go meanwhile.
        longest = self._rng.choice([0.0, 2.0, 30.0, 60.0]) * self._slowness
        return Leave(at=at, node=self._one(), drain=round(longest * self._rng.random(), 2))

    def _join(self, at: float) -> AnyAct:
        return JoinAgain(at=at, node=self._one(), to=(self._one(),))

    def _force_leave(self, at: float) -> AnyAct:
        return ForceLeave(at=at, node=self._one(), about=self._one(), prune=self._rng.random() < 0.3)

    # --- links --------------------------------------------------------------------------------------------

    def _some_time(self) -> float:
        return round(self._rng.choice([1.0, 10.0, 40.0]) * self._slowness * self._rng.random() + 0.1, 2)

    def _some_names(self) -> tuple[str, ...]:
        rng = self._rng
        if rng.random() < 0.5:
            return (self._one(),)
        chosen = [name for name in self._names if rng.random() < 0.5]
        return tuple(chosen[:-1]) if len(chosen) == self._n else tuple(chosen) or (self._one(),)

    def _partition(self, at: float) -> AnyAct:
        return Partition(
            at=at, one=self._some_names(), one_way=self._rng.random() < 0.4, lasts=self._some_time()
        )

    def _link(self, at: float) -> AnyAct:
        rng = self._rng
        choices = [
            Conditions(loss=rng.choice([0.1, 0.3, 0.8])),
            Conditions(burst=Burst(enter=0.1, leave=0.1, loss=0.9)),
            Conditions(delay=rng.choice([0.05, 0.3])),
            Conditions(reorder=0.5, reorder_by=rng.choice([0.1, 0.6])),
            Conditions(duplicate=0.5),
            Conditions(loss=1.0, only="udp"),
            Conditions(hold=True),
            Conditions(bandwidth=rng.choice([5_000, 50_000])),
            Conditions(max_bytes=rng.choice([300, 800])),
        ]
        return Link(
            at=at,
            sources=self._some_names(),
            targets=("*",) if rng.random() < 0.5 else self._some_names(),
            both_ways=rng.random() < 0.5,
            conditions=rng.choice(choices),
            lasts=self._some_time(),
        )
