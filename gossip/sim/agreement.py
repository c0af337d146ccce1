"""What the core must agree on once all faults have ended: the truth, which only the simulator knows.

`missing` describes what is still wrong; if nothing is, all views agree and no node has anything left to
send. A view is compared again only after it may have changed: a thousand nodes have a million rows.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from gossip.serf.effects import MemberUpdated
from gossip.serf.members import MemberStatus
from gossip.sim.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gossip.serf.effects import Effect
    from gossip.serf.members import SerfMember
    from gossip.serf.node import SerfNode
    from gossip.sim.cluster import Cluster
    from gossip.sim.host import Host

GONE = (MemberStatus.FAILED, MemberStatus.LEFT)


class Agreement(Observer):
    """Compares the views of the hosts in `core` with the truth; it must observe the cluster meanwhile."""

    def __init__(self, cluster: Cluster, core: Sequence[str]) -> None:
        self._cluster = cluster
        self._core = core
        self._last: tuple[str, str] | None = None  # the last observer and member to disagree, checked first
        self._right: set[str] = set()  # hosts whose view was right, and has not changed since

    def started(self, host: Host, now: float) -> None:
        """See `Observer`: the truth changed."""
        self._right.clear()

    def stopped(self, host: Host, now: float) -> None:
        """See `Observer`: the truth changed."""
        self._right.clear()

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """See `Observer`: a view changed, or the truth about its owner did."""
        self._right.discard(host.name)
        if any(isinstance(effect, MemberUpdated) and effect.member.name == host.name for effect in effects):
            self._right.clear()

    def is_reached(self) -> bool:
        """Tell whether nothing is missing; a cheap check while something is."""
        if self._last is not None and any(True for _ in self._about(*self._last)):
            return False
        return next(self._all(), None) is None

    def holds(self) -> bool:
        """Tell whether all views agree with the truth; nodes may still have something to send."""
        return next(self._wrong(), None) is None

    def missing(self, limit: int = 10) -> list[str]:
        """Return at most `limit` descriptions of what is still wrong."""
        return list(islice(self._all(), limit))

    def _all(self) -> Iterator[str]:
        yield from self._wrong()
        yield from self._restless()

    def _wrong(self) -> Iterator[str]:
        for observer in self._core:
            if observer in self._right:
                continue
            is_right = True
            for name in self._cluster.hosts:
                for complaint in self._about(observer, name):
                    self._last = (observer, name)
                    is_right = False
                    yield complaint
            if is_right:
                self._right.add(observer)
        self._last = None
        yield from self._differing()

    def _about(self, observer: str, name: str) -> Iterator[str]:
        """Yield the errors in the view that `observer` has of `name`."""
        node = self._cluster.hosts[observer].node
        if node is None:
            yield f"{observer} is down"
            return
        host, member = self._cluster.hosts[name], node.member(name)
        if host.node is None:
            if member is not None and member.status not in GONE:
                status = member.status.name.lower()
                yield f"{observer} holds {name} {status}, but it {_end_of(host)}"
            return
        if name in self._core:
            complaint = _complaint(host, host.node, member)
            if complaint:
                yield f"{observer} {complaint}"
            elif node.is_suspect(name):
                yield f"{observer} suspects {name}, which is up since {host.up_since:.1f}"

    def _differing(self) -> Iterator[str]:
        """Yield the members that are gone in different ways in different views."""
        for name, host in self._cluster.hosts.items():
            if host.node is not None:
                continue
            views: dict[MemberStatus, str] = {}
            for observer in self._core:
                node = self._cluster.hosts[observer].node
                member = node.member(name) if node is not None else None
                if member is not None:
                    views.setdefault(member.status, observer)
            if len(views) > 1:
                shown = ", ".join(f"{status.name.lower()} at {who}" for status, who in views.items())
                yield f"{name}, which {_end_of(host)}, is {shown}"

    def _restless(self) -> Iterator[str]:
        for observer in self._core:
            node = self._cluster.hosts[observer].node
            if node is None or not node.swim.any_other_alive():
                continue  # a node that believes itself alone has nobody to gossip to
            if len(node.swim.queue) or node.pending_broadcasts():
                count = len(node.swim.queue) + node.pending_broadcasts()
                yield f"{observer} still has broadcasts to send ({count})"


def _complaint(host: Host, owner: SerfNode, member: SerfMember | None) -> str:
    """Return the error in a row about a host that is up, empty if there is none."""
    since = f"up since {host.up_since:.1f}"
    if member is None:
        return f"has never heard of {host.name}, {since}"
    if member.status is not MemberStatus.ALIVE:
        return f"holds {host.name} {member.status.name.lower()}, {since}"
    if member.address != host.address:
        return f"knows {host.name} at {member.address}, but it is at {host.address}"
    if member.tags != owner.tags:
        return f"knows old tags of {host.name}: {dict(member.tags)} instead of {dict(owner.tags)}"
    return ""


def _end_of(host: Host) -> str:
    return f"{host.absence.value} at {host.down_since:.1f}"
