"""One run of one of Rapid's experiments: a cluster of memberlist's rules, a fault, a balancer that watches.

The LAN profile is used as it is. Serf's own attempts to reach members that have failed (every 30 s) are not
among memberlist's rules and are off, unless a run says otherwise. Member n0 has a load balancer beside it; 50
others are its backends, and those whom the fault strikes are among them.
"""

from __future__ import annotations

from functools import partial
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Literal

import msgspec

from benchmarks.papers.confidence import quantile
from benchmarks.papers.rapid.views import Second, Views
from gossip.serf.effects import MemberFailed, MemberJoined
from gossip.sim.acts import AnyAct, Crash, Link, Restart
from gossip.sim.network import Conditions
from gossip.sim.observer import Observer
from gossip.sim.scenario import Scenario
from gossip.sim.trial import Trial
from lb.sim.balancers import Balancers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gossip.serf.effects import Effect
    from gossip.sim.cluster import Cluster
    from gossip.sim.host import Host

Fault = Literal["crash", "ingress", "loss", "loss-in", "loss-out", "bootstrap"]
BALANCER = "n0"
BACKENDS = 50
VICTIMS = 10
FAULT_AT = 30.0
LASTS = {"crash": 120.0, "ingress": 300.0, "loss": 300.0, "loss-in": 300.0, "loss-out": 300.0}
"""Seconds from the beginning of the fault to the end of the run."""
FLIP = 20.0
"""One-way loss lasts so long, then pauses as long (figure 9)."""
LOSS = 0.8
NEVER = 1e6
"""Seconds: Serf's reconnect interval in a cluster of memberlist's rules."""
SEED_ALONE = 10.0
"""The first member is up for so long before the others start (section 7)."""
START_WITHIN = 1.0
BOOT_RETRY = 1.0
BOOT_GIVE_UP = 300.0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides what happens in one run."""

    fault: Fault
    nodes: int
    seed: int
    reconnect: bool = False  # Serf's


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What one run showed; times in seconds since the beginning of the fault, -1 for never."""

    seconds: list[Second]  # of the world's time
    first: float  # removal of a victim from a healthy view
    last: float
    removals: float  # of victims, per healthy view
    returns: float
    wrong_removals: float
    unique: int  # sizes reported by anybody at any time
    member_events: int  # about backends, at the balancer: what runs a script with Serf
    swaps: list[float]  # of the balancer
    undone: int
    emptied: int
    sent_mean: float  # bytes of datagrams per member and second, headers included
    sent_p99: float  # over all members and seconds
    sent_max: float


class Traffic(Observer):
    """Counts the bytes of datagrams that each member sends in each second."""

    def __init__(self, cluster: Cluster, since: float) -> None:
        self.sent: list[int] = []
        self._cluster = cluster
        self._since = since
        self._before: dict[str, int] = {}

    def ticked(self, now: float) -> None:
        """See `Observer`."""
        for host in self._cluster.up():
            if now > self._since:
                self.sent.append(host.bytes_sent - self._before.get(host.name, 0))
            self._before[host.name] = host.bytes_sent


class Script(Observer):
    """Counts what would start a script that is run for each member event about a backend."""

    def __init__(self, backends: Sequence[str], since: float) -> None:
        self.events = 0
        self._backends = frozenset(backends)
        self._since = since

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """See `Observer`."""
        if host.name == BALANCER and now >= self._since:
            self.events += sum(
                isinstance(effect, MemberFailed | MemberJoined) and effect.member.name in self._backends
                for effect in effects
            )


def scenario_of(run: Run) -> tuple[Scenario, list[str], list[str]]:
    """Return the scenario, its backends, and the victims among them: the first ten."""
    rng = Random(f"rapid/{run.seed}")
    backends = rng.sample([f"n{number}" for number in range(1, run.nodes)], min(BACKENDS, run.nodes - 1))
    victims = [] if run.fault == "bootstrap" else backends[:VICTIMS]
    boots = run.fault == "bootstrap"
    roles = {name: {"role": "backend", "port": "8000"} for name in backends}
    scenario = Scenario(
        name=f"rapid {run.fault}",
        seed=run.seed,
        nodes=run.nodes,
        serf={} if run.reconnect else {"reconnect_interval": NEVER},
        start="join" if boots else "agreed",
        spread=0.0,
        retry_interval=BOOT_RETRY if boots else 30.0,
        tags={BALANCER: {"role": "lb"}} | roles,
        duration=SEED_ALONE + BOOT_GIVE_UP if boots else FAULT_AT + LASTS[run.fault],
        acts=tuple(_acts(run, victims)),
    )
    return scenario, backends, victims


def perform(run: Run) -> Found:
    """Do one run."""
    scenario, backends, victims = scenario_of(run)
    boots = run.fault == "bootstrap"
    began = SEED_ALONE if boots else FAULT_AT
    trial = Trial(scenario, checks=False)
    cluster = trial.cluster
    views, script = Views(cluster, victims, began), Script(backends, began)
    balancers = Balancers(cluster)
    traffic = Traffic(cluster, began)
    cluster.observers.extend((views, script, balancers, traffic))
    if boots:
        _boot(trial, views)
    else:
        trial.start()
        for act in scenario.acts:
            cluster.schedule.at(act.at, partial(trial.perform, act))
        trial.advance(scenario.duration)
    views.check()
    traffic.sent.sort()
    healthy = run.nodes - len(victims)
    history = balancers.by_host[BALANCER].history
    undone = sum(history.swaps[index].at >= began for index in history.undone)
    return Found(
        seconds=views.seconds,
        first=views.first - began if views.first >= 0 else -1.0,
        last=views.last - began if views.last >= 0 else -1.0,
        removals=views.removals / healthy,
        returns=views.returns / healthy,
        wrong_removals=views.wrong_removals / healthy,
        unique=len(views.unique),
        member_events=script.events,
        swaps=[swap.at - began for swap in history.swaps if swap.at >= began],
        undone=undone,
        emptied=history.emptied,
        sent_mean=fmean(traffic.sent),
        sent_p99=quantile(traffic.sent, 0.99),
        sent_max=traffic.sent[-1],
    )


def _acts(run: Run, victims: Sequence[str]) -> Iterator[AnyAct]:
    names = tuple(victims)
    match run.fault:
        case "crash":
            yield from (Crash(at=FAULT_AT, node=name) for name in names)
        case "ingress":
            flips = int(LASTS["ingress"] / (2 * FLIP))
            for flip in range(flips):
                at = FAULT_AT + flip * 2 * FLIP
                yield Link(at=at, lasts=FLIP, targets=names, conditions=Conditions(loss=1.0))
        case "loss" | "loss-in" | "loss-out":
            lossy, everybody = Conditions(loss=LOSS), ("*",)
            sources, targets = (everybody, names) if run.fault == "loss-in" else (names, everybody)
            both_ways = run.fault == "loss"
            yield Link(at=FAULT_AT, sources=sources, targets=targets, both_ways=both_ways, conditions=lossy)
        case "bootstrap":
            yield Restart(at=0.0, node=BALANCER)


def _boot(trial: Trial, views: Views) -> None:
    """Start the first member, the others ten seconds later; go on until all report the full size."""
    cluster, scenario = trial.cluster, trial.scenario
    for name, tags in scenario.starting_tags().items():
        cluster.add(name, tags=tags)
    first, *others = cluster.hosts.values()
    cluster.boot(first)
    for host in others:
        cluster.set_seeds(host, [first.name])
        at = SEED_ALONE + START_WITHIN * cluster.rng.random()
        cluster.schedule.at(at, partial(_start, trial, host))
    while cluster.now < scenario.duration:
        trial.advance(cluster.now + 1.0)
        last = views.seconds[-1] if views.seconds else None
        if last is not None and last.low == scenario.nodes:
            return


def _start(trial: Trial, host: Host) -> None:
    trial.cluster.boot(host)
    trial.cluster.rejoin(host)
