"""A simulated cluster on a test rig: built in one line, faults in a word, eyes for what members believe."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

import pytest

from gossip.cli.simulator.narration import narrate
from gossip.serf.config import SerfConfig
from gossip.serf.effects import Effect
from gossip.serf.members import MemberStatus
from gossip.sim.byte_path import BytePath
from gossip.sim.cluster import Cluster
from gossip.sim.host import Host
from gossip.sim.network import Conditions, Imposed
from gossip.sim.observer import Observer
from gossip.sim.performer import BLOCKED
from gossip.sim.rules import RuleBrokenError
from gossip.swim.config import SwimConfig

NEVER_HEALED = 'nodes = 3\nduration = 20\nsettle = 1\n[[acts]]\ndo = "partition"\none = ["n2"]\n'
"""A scenario that breaks the rule that all agree in the end."""
LOCAL = SerfConfig(swim=SwimConfig.local())
PACKETS_BLOCKED = Conditions(loss=1.0, only="udp")
"""Nothing but streams gets through."""


def cluster_of(
    n: int,
    config: SerfConfig = LOCAL,
    *,
    seed: int = 1,
    agreed: bool = True,
    watched_by: Callable[[Cluster], Iterable[Observer]] = lambda _: (),
    conditions: Conditions = Conditions(),  # noqa: B008 - immutable
    path: BytePath | None = None,
) -> Cluster:
    """Start `n0`, `n1` and so on, whose seed is `n0`: acquainted if `agreed`, else about to join."""
    cluster = Cluster(seed, config, conditions=conditions, path=path)
    cluster.observers.extend(watched_by(cluster))
    hosts = [cluster.add(f"n{number}") for number in range(n)]
    for host in hosts:
        cluster.set_seeds(host, ["n0"])
        cluster.boot(host)
    if agreed:
        cluster.acquaint(hosts)
    else:
        for host in hosts[1:]:
            cluster.rejoin(host)
    return cluster


def advance(cluster: Cluster, seconds: float) -> None:
    """Let virtual time pass."""
    cluster.run(cluster.now + seconds)


def until(cluster: Cluster, condition: Callable[[], bool], within: float, step: float = 0.1) -> float:
    """Advance until `condition` holds, looking every `step` seconds; return how many seconds it took."""
    start = cluster.now
    while not condition():
        assert cluster.now - start < within, narrate(cluster.trace.entries)
        advance(cluster, step)
    return cluster.now - start


def block(
    cluster: Cluster,
    sources: Iterable[str],
    targets: Iterable[str],
    *,
    both_ways: bool = False,
    conditions: Conditions = BLOCKED,
) -> None:
    """Let nothing pass from `sources` to `targets`, until all links heal; streams need both directions."""
    cluster.network.impose(Imposed(conditions, sources, targets, both_ways=both_ways))


def statuses(cluster: Cluster, name: str) -> dict[str, MemberStatus]:
    """Return what `name` believes of everybody."""
    node = cluster.hosts[name].node
    assert node is not None
    return {member.name: member.status for member in node.members()}


def agree(cluster: Cluster, status: MemberStatus, about: str) -> bool:
    """Tell whether all running members hold `about` in `status`."""
    return all(statuses(cluster, host.name).get(about) is status for host in cluster.up())


def all_agree(cluster: Cluster, expected: Mapping[str, MemberStatus]) -> bool:
    """Tell whether every running member believes exactly this."""
    return all(statuses(cluster, host.name) == expected for host in cluster.up())


class Watcher(Observer):
    """Remembers what every node was told."""

    def __init__(self) -> None:
        self.told_effects: list[tuple[str, Effect]] = []
        self.lives: list[tuple[str, str]] = []
        self.ticks: list[float] = []
        self.notes: list[str] = []

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """Keep the effects, each with the name of the node."""
        self.told_effects += [(host.name, effect) for effect in effects]

    def started(self, host: Host, now: float) -> None:
        """Keep that an agent came up."""
        self.lives.append(("up", host.name))

    def stopped(self, host: Host, now: float) -> None:
        """Keep that an agent went down."""
        self.lives.append(("down", host.name))

    def ticked(self, now: float) -> None:
        """Keep the time."""
        self.ticks.append(now)

    def happened(self, what: str, now: float) -> None:
        """Keep what was commanded or broken."""
        self.notes.append(what)


def breaks(rule: str) -> AbstractContextManager[object]:
    """Expect that a checker finds `rule` broken."""
    return pytest.raises(RuleBrokenError, match=rule)


def printed(script: str, *, hash_seed: int) -> str:
    """Return what `script` prints in an interpreter of its own, whose sets are ordered by `hash_seed`."""
    environ = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environ, capture_output=True, check=True, text=True).stdout
