"""A group of members under the paper's protocol: what of ours is switched off, and how tickers are aligned.

The paper's SWIM has a period of 2 s, one indirect probe, updates on pings and acks alone, each sent
3 ceil(ln(N+1)) times, and suspicions of as many periods. So ours goes without its gossip ticks, push/pulls,
probes over TCP and all parts of Lifeguard.
"""

from __future__ import annotations

from math import ceil, log
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gossip.serf.config import SerfConfig
from gossip.sim.cluster import Cluster
from gossip.sim.network import Conditions, Imposed
from gossip.swim.config import SwimConfig, retransmit_limit, suspicion_minimum
from gossip.swim.detector import PROBE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gossip.sim.host import Host

PERIOD = 2.0
"""The paper's T', seconds."""
PING_TIMEOUT = 0.5
LAMBDA = 3
NEVER = 1e9
SIZES = (6, 8, 13, 16, 20, 28, 35, 43, 52, 56)
"""Where the paper has points, and 8 and 16 for our own claims."""


def rounds(members: int) -> int:
    """Return the paper's 3 ceil(ln(N+1)): transmissions of an update, and periods of a suspicion."""
    return LAMBDA * ceil(log(members + 1))


def paper_config(members: int) -> SwimConfig:
    """Return our parameters that make the paper's protocol in a group of this size."""
    base = SwimConfig(
        probe_interval=PERIOD,
        probe_timeout=PING_TIMEOUT,
        indirect_checks=1,
        gossip_nodes=0,
        memberlist_gossip=True,
        gossip_interval=PERIOD,
        push_pull_interval=NEVER,
        suspicion_max_mult=1,
        awareness_max=1,
        tell_suspects=False,
    )
    # Ours scale with the decimal logarithm; the multipliers that give the paper's figures are fractions.
    return replace(
        base,
        retransmit_mult=rounds(members) / retransmit_limit(1, members),
        suspicion_mult=rounds(members) / suspicion_minimum(1, members, 1.0),
    )


def form_group(seed: int, members: int, *, in_step: bool = False) -> tuple[Cluster, list[Host]]:
    """Return a cluster whose members all know each other; `in_step`, they all begin to probe at 1 s."""
    cluster = Cluster(seed, SerfConfig(swim=paper_config(members), disable_coordinates=True))
    hosts = [cluster.add(f"n{number}") for number in range(members)]
    block_streams(cluster, hosts)
    for host in hosts:
        cluster.boot(host)
    cluster.acquaint(hosts)
    if in_step:
        for host in hosts:
            assert host.node is not None
            host.node.swim.deadlines.set(PROBE, 1.0)
            cluster.driver.arm(host)
    return cluster, hosts


def block_streams(cluster: Cluster, hosts: Sequence[Host]) -> None:
    """Let TCP fail: the paper's protocol has none."""
    names = [host.name for host in hosts]
    cluster.network.impose(Imposed(Conditions(loss=1.0, only="tcp"), names, names, both_ways=False))


def overhear(cluster: Cluster, heard: Callable[[str], None]) -> None:
    """Call `heard` with the target of every datagram that sets out."""
    send = cluster.network.send

    def listening(source: str, target: str, size: int, delivery: Callable[[], None]) -> None:
        heard(target)
        send(source, target, size, delivery)

    cluster.network.send = listening  # type: ignore[method-assign]
