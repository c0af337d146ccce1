"""Tag changes in a simulated cluster without push/pull: whom does gossip miss, and when does the last hear?

The agent's own core on the simulator's LAN, probes and their piggyback included. Members know each other from
the start. Every broadcast starts at a random member, at a random moment, when the one before is forgotten
everywhere; a member that it missed is told by hand afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gossip.serf.config import SerfConfig
from gossip.serf.effects import MemberUpdated
from gossip.sim.cluster import Cluster
from gossip.sim.network import Conditions
from gossip.sim.observer import Observer
from gossip.sim.trace import Trace
from gossip.swim.config import SwimConfig
from gossip.wire.codec import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gossip.serf.effects import Effect
    from gossip.sim.host import Host

NEVER = 1e6
REST = 20.0
"""Seconds without any broadcast in which the datagrams of probes are counted."""
LOOK_EVERY = 0.2
PATIENCE = 10.0
"""Seconds after which a broadcast must be forgotten; the longest takes about three."""

RULES = {"memberlist's rule": True, "ours": False}
LOSSES = (0.0, 0.01, 0.05)
BROADCASTS = {3: 4000, 5: 4000, 8: 10_000, 16: 6000, 32: 4000, 64: 4000, 128: 800, 512: 100}
"""By size: as many as one core performs in some minutes, for each rule and loss."""
PIECE = 500
"""Broadcasts of one run at most, so that an interrupted measurement goes on."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides what happens in one run."""

    members: int
    loss: float  # share of datagrams
    rule: str
    broadcasts: int
    seed: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What one run showed."""

    missed: int  # broadcasts that somebody did not hear of
    unaware: int  # members that did not hear of a broadcast, over all
    lasts: tuple[float, ...]  # seconds until the last member heard, of broadcasts that missed nobody
    datagrams: float  # sent by a member for a broadcast, beyond those of its probes


def runs() -> Iterator[Run]:
    """Yield all runs; both rules meet the same seeds."""
    for members, broadcasts in BROADCASTS.items():
        for loss in LOSSES:
            for rule in RULES:
                for start in range(0, broadcasts, PIECE):
                    wanted = min(PIECE, broadcasts - start)
                    yield Run(members=members, loss=loss, rule=rule, broadcasts=wanted, seed=start)


class Listener(Observer):
    """Notes who hears of new tags, and when."""

    def __init__(self) -> None:
        self.heard: dict[str, float] = {}

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """See `Observer`."""
        for effect in effects:
            if isinstance(effect, MemberUpdated):
                self.heard[host.name] = now


def perform(run: Run) -> Found:
    """Do one run."""
    swim = SwimConfig(push_pull_interval=NEVER, memberlist_gossip=RULES[run.rule])
    conditions = Conditions(loss=run.loss, only="udp")
    cluster = Cluster(run.seed, SerfConfig(swim=swim), conditions=conditions, trace=Trace())
    listener = Listener()
    cluster.observers.append(listener)
    hosts = [cluster.add(f"n{number}") for number in range(run.members)]
    for host in hosts:
        cluster.boot(host)
    cluster.acquaint(hosts)
    cluster.run(1.0)
    before, began = _sent(hosts), cluster.now
    cluster.run(cluster.now + REST)
    at_rest = (_sent(hosts) - before) / (cluster.now - began)
    before, began = _sent(hosts), cluster.now
    lasts = []
    unaware = 0
    for number in range(run.broadcasts):
        cluster.run(cluster.now + cluster.rng.random() * swim.probe_interval)
        listener.heard.clear()
        origin, start = cluster.rng.choice(hosts), cluster.now
        _change_tags(cluster, origin, str(number))
        _let_it_spread(cluster, hosts)
        missed = [host for host in hosts if host is not origin and host.name not in listener.heard]
        if missed:
            unaware += len(missed)
            _tell(cluster, origin, missed)
        else:
            lasts.append(max(listener.heard.values()) - start)
    extra = _sent(hosts) - before - at_rest * (cluster.now - began)
    return Found(
        missed=run.broadcasts - len(lasts),
        unaware=unaware,
        lasts=tuple(lasts),
        datagrams=extra / run.members / run.broadcasts,
    )


def _change_tags(cluster: Cluster, host: Host, value: str) -> None:
    cluster.command(host, lambda node, now: node.set_tags({"value": value}, now), "changes its tags")


def _let_it_spread(cluster: Cluster, hosts: Sequence[Host]) -> None:
    give_up = cluster.now + PATIENCE
    while any(host.node is not None and len(host.node.swim.queue) for host in hosts):
        assert cluster.now < give_up, "a broadcast is not forgotten"
        cluster.run(cluster.now + LOOK_EVERY)


def _tell(cluster: Cluster, origin: Host, missed: Sequence[Host]) -> None:
    """Hand the news to those that it missed, and do not let them pass it on."""
    assert origin.node is not None
    news = encode(origin.node.swim.table.me.alive)
    for host in missed:
        assert host.node is not None
        host.node.receive_packet((news,), origin.address, host.local_time(cluster.now))
        while len(host.node.swim.queue):
            host.node.swim.queue.take(budget=1 << 30, limit=1)
        cluster.driver.flush(host)


def _sent(hosts: Sequence[Host]) -> int:
    return sum(host.packets_sent for host in hosts)
