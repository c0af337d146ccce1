"""A join command, and its repetition until it succeeds: the agent's retry-join (serf-wire 3.13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gossip.sim.cluster import Cluster
    from gossip.sim.host import Host
    from gossip.wire.address import Address
    from gossip.wire.messages import PushPull


class Join:
    """One join command: what became of each address, and whether to try again."""

    __slots__ = ("_announced", "_cluster", "_host", "_life", "_met_others", "_outstanding", "_replay", "_to")

    def __init__(self, cluster: Cluster, host: Host, to: tuple[Address, ...], *, replay: bool) -> None:
        self._cluster = cluster
        self._host = host
        self._to = to
        self._replay = replay
        self._life = host.life
        self._outstanding = 0
        self._announced = False
        self._met_others = False

    def start(self) -> None:
        """Contact all addresses, if the agent that was told to join still runs."""
        host = self._host
        if host.node is None or host.life != self._life:
            return
        self._outstanding = len(self._to)
        self._announced = False
        for address in self._to:
            self._cluster.driver.streams.push_pull(
                host, address, join=True, replay=self._replay, on_end=self._ended
            )

    def _ended(self, reply: PushPull | None) -> None:
        """One address answered, or did not. The first answer makes the join a success."""
        host, cluster = self._host, self._cluster
        if reply is not None:
            self._met_others |= any(row.name != host.name for row in reply.nodes)
            if not self._announced:
                self._announced = True
                cluster.command(host, lambda node, now: node.announce_join(now), "has joined")
        self._outstanding -= 1
        if self._outstanding == 0 and not self._met_others:
            # Nobody but perhaps this node itself: the agent goes on trying.
            cluster.schedule.at(cluster.now + cluster.retry_interval, self.start)
