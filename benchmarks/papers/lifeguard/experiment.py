"""One run of Lifeguard's two experiments (section 5): anomalies strike some of 128 members, in lock-step.

*Threshold*: one anomaly; the run ends when all see each other healthy again, or after two minutes. It
measures latency. *Interval*: anomalies and pauses alternate for two minutes, to the end of an anomaly. It
counts false positives and load.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Literal

import msgspec

from benchmarks.papers.lifeguard.anomaly import Anomaly, BlockedLoops
from gossip.serf.config import SerfConfig
from gossip.serf.effects import MemberFailed
from gossip.serf.members import MemberStatus
from gossip.sim.cluster import Cluster
from gossip.sim.network import Latency
from gossip.sim.observer import Observer
from gossip.sim.trace import Trace
from gossip.swim.config import SwimConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.serf.effects import Effect
    from gossip.sim.host import Host

MEMBERS = 128
QUIET = 5.0
"""Seconds before the first anomaly; the paper waits 15, but its members have to find each other first."""
LASTS = 120.0
LOOPBACK = Latency(low=0.00005, spread=0.00005)
"""The paper's agents share one machine."""
CONFIRMATIONS = 3
"""The paper's K, for every alpha; ours and memberlist's is alpha - 2."""
MESSAGE_COST = 0.0001
"""Seconds that a message takes: Serf's CPU time for a ping and its ack in docs/results/convergence.md.

Without any, whoever is released for a millisecond handles all that waited in it, and is up to date again.
"""
LOOK_EVERY = 0.5
"""How often the threshold experiment looks whether it is over, in seconds."""


class Parts(msgspec.Struct, frozen=True):
    """Which parts of Lifeguard are on."""

    local_health: bool = False
    suspicion: bool = False
    buddies: bool = False


CONFIGURATIONS = {
    "SWIM": Parts(),
    "LHA-Probe": Parts(local_health=True),
    "LHA-Suspicion": Parts(suspicion=True),
    "Buddy System": Parts(buddies=True),
    "Lifeguard": Parts(local_health=True, suspicion=True, buddies=True),
}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides what happens in one run."""

    experiment: Literal["threshold", "interval"]
    configuration: str
    anomalous: int  # the paper's C
    anomaly: float  # D, seconds
    pause: float = 0.0  # I, seconds
    alpha: int = 5
    beta: int = 6  # matters only where suspicion shrinks
    seed: int = 0
    cost: float = MESSAGE_COST
    free_timers: bool = False  # see `anomaly`

    @property
    def config(self) -> SwimConfig:
        """The protocol's parameters: memberlist's LAN profile, with the paper's time-outs."""
        parts = CONFIGURATIONS[self.configuration]
        return SwimConfig(
            suspicion_mult=self.alpha,
            suspicion_max_mult=self.beta if parts.suspicion else 1,
            confirmations=CONFIRMATIONS,
            awareness_max=SwimConfig().awareness_max if parts.local_health else 1,
            tell_suspects=parts.buddies,
            memberlist_gossip=True,
        )


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What one run showed."""

    false_positives: int  # failures of members that were healthy, reported by anybody
    at_healthy: int  # those reported by healthy members: the paper's FP-
    first: tuple[float, ...]  # seconds from the anomaly to the first report by a healthy member
    full: tuple[float, ...]  # and to the last of all healthy members'
    messages: int  # datagrams sent
    size: int  # their bytes, headers included
    seconds: float  # from the first anomaly to the end


class Failures(Observer):
    """Keeps who reported whose failure, and when."""

    def __init__(self) -> None:
        self.reports: list[tuple[float, str, str]] = []

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """See `Observer`."""
        for effect in effects:
            if isinstance(effect, MemberFailed):
                self.reports.append((now, host.name, effect.member.name))


def perform(run: Run) -> Found:
    """Do one run."""
    cluster = Cluster(
        run.seed,
        SerfConfig(swim=run.config, disable_coordinates=True),
        latency=LOOPBACK,
        trace=Trace(),
    )
    failures = Failures()
    cluster.observers.append(failures)
    hosts = [cluster.add(f"n{number}") for number in range(MEMBERS)]
    for host in hosts:
        cluster.boot(host)
    cluster.acquaint(hosts)
    for host in hosts:
        cluster.slow_down(host, run.cost)
    # The same members in all configurations, so that runs can be compared in pairs.
    chosen = Random(f"{run.seed}/{run.anomalous}").sample(hosts, run.anomalous)
    anomaly = (Anomaly if run.free_timers else BlockedLoops)(cluster, chosen)
    cluster.run(QUIET)
    before = _sent(hosts)
    if run.experiment == "threshold":
        anomaly.strike(run.anomaly)
        while cluster.now < QUIET + LASTS and not _is_healthy(cluster):
            cluster.run(cluster.now + LOOK_EVERY)
    else:
        anomaly.strike(run.anomaly)
        while cluster.now < QUIET + LASTS:
            cluster.run(cluster.now + run.pause)
            anomaly.strike(run.anomaly)
    messages, size = (now - then for now, then in zip(_sent(hosts), before, strict=True))
    return _evaluated(failures, {host.name for host in chosen}, messages, size, cluster.now - QUIET)


def _sent(hosts: Sequence[Host]) -> tuple[int, int]:
    return sum(host.packets_sent for host in hosts), sum(host.bytes_sent for host in hosts)


def _is_healthy(cluster: Cluster) -> bool:
    nodes = [host.node for host in cluster.up() if host.node is not None]
    return not any(node.suspects() for node in nodes) and all(
        member.status is MemberStatus.ALIVE for node in nodes for member in node.members()
    )


def _evaluated(failures: Failures, anomalous: set[str], messages: int, size: int, seconds: float) -> Found:
    wrong = [reporter for _, reporter, about in failures.reports if about not in anomalous]
    heard: dict[str, dict[str, float]] = {}
    for at, reporter, about in failures.reports:
        if about in anomalous and reporter not in anomalous:
            heard.setdefault(about, {}).setdefault(reporter, at - QUIET)
    healthy = MEMBERS - len(anomalous)
    return Found(
        false_positives=len(wrong),
        at_healthy=sum(reporter not in anomalous for reporter in wrong),
        first=tuple(min(times.values()) for times in heard.values()),
        full=tuple(max(times.values()) for times in heard.values() if len(times) == healthy),
        messages=messages,
        size=size,
        seconds=seconds,
    )
