"""What every member believes of the cluster's size, second by second, as Rapid's authors log it (section 7).

A size counts the members that are alive or suspected, oneself included. *Healthy* are those whom the fault
does not strike; the others' views are not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gossip.serf.effects import MemberFailed, MemberJoined
from gossip.sim.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gossip.serf.effects import Effect
    from gossip.sim.cluster import Cluster
    from gossip.sim.host import Host


class Second(msgspec.Struct, frozen=True, array_like=True):
    """The sizes that healthy members report in one second."""

    at: float
    low: int
    high: int
    distinct: int


class Views(Observer):
    """Follows all views; what is counted begins at `since`, when the faults do."""

    def __init__(self, cluster: Cluster, victims: Collection[str], since: float) -> None:
        self.seconds: list[Second] = []
        self.unique: set[int] = set()  # sizes reported by anybody
        self.removals = 0  # of victims, from views of healthy members
        self.returns = 0
        self.wrong_removals = 0  # of healthy members, from views of healthy members
        self.first = self.last = -1.0  # removal of a victim by a healthy member
        self._cluster = cluster
        self._victims = frozenset(victims)
        self._since = since
        self._sizes: dict[str, int] = {}

    def started(self, host: Host, now: float) -> None:
        """See `Observer`."""
        self._sizes[host.name] = 0

    def stopped(self, host: Host, now: float) -> None:
        """See `Observer`."""
        del self._sizes[host.name]

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """See `Observer`."""
        for effect in effects:
            if isinstance(effect, MemberJoined):
                self._sizes[host.name] += 1
                if now >= self._since and self._concerns(host, effect.member.name):
                    self.returns += 1
            elif isinstance(effect, MemberFailed):
                self._sizes[host.name] -= 1
                if self._concerns(host, effect.member.name):
                    self.removals += 1
                    self.first = now if self.first < 0 else self.first
                    self.last = now
                elif host.name not in self._victims:
                    self.wrong_removals += 1

    def ticked(self, now: float) -> None:
        """See `Observer`."""
        sizes = {size for name, size in self._sizes.items() if name not in self._victims}
        self.unique.update(self._sizes.values())
        if sizes:
            self.seconds.append(Second(now, min(sizes), max(sizes), len(sizes)))

    def check(self) -> None:
        """Compare the sizes counted here with the tables of all nodes; a difference is a bug here."""
        for host in self._cluster.up():
            assert host.node is not None
            alive = sum(member.status is member.status.ALIVE for member in host.node.members())
            assert self._sizes[host.name] == alive, (host, self._sizes[host.name], alive)

    def _concerns(self, host: Host, subject: str) -> bool:
        return subject in self._victims and host.name not in self._victims
