"""Invariants that must hold at all times under any network fault, checked from outside the nodes.

Each rule is an observer of its own that raises `RuleBrokenError`. For each event it checks the row, the clock
or the table concerned, and once a second whole tables.
"""

from __future__ import annotations

from math import ceil, exp, inf
from typing import TYPE_CHECKING

from msgspec import Struct

from gossip.serf.effects import (
    MemberFailed,
    MemberJoined,
    MemberLeaving,
    MemberLeft,
    MemberReaped,
    MemberSuspected,
    MemberUpdated,
    SuspicionConfirmed,
    SuspicionRefuted,
    UserEventReceived,
)
from gossip.serf.members import MemberStatus
from gossip.sim.driver import ROUNDING
from gossip.sim.leaves import Leaves
from gossip.sim.moves import Moves
from gossip.sim.observer import Observer
from gossip.sim.rules import RuleBrokenError
from gossip.swim.member import Member
from gossip.swim.reclaim import MAX_CLAIMS
from gossip.wire.address import Address
from gossip.wire.messages import MemberState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.serf.effects import Effect
    from gossip.serf.node import SerfNode
    from gossip.sim.cluster import Cluster
    from gossip.sim.host import Host
    from gossip.swim.config import SwimConfig

MEMBER_EVENTS = (
    MemberJoined,
    MemberUpdated,
    MemberSuspected,
    SuspicionConfirmed,
    SuspicionRefuted,
    MemberLeaving,
    MemberLeft,
    MemberFailed,
)
FIXED_TIMERS = 14
"""Timers of a node that belong to no other member: gossip, probe, push/pull, reap, leave and so on."""

OVERDUE = 1.0
"""Seconds by which the deadline of an agent that is not paused may be overdue."""


def all_checkers(cluster: Cluster) -> list[Observer]:
    """Return one of each checker for `cluster`."""
    return [
        Precedence(cluster),
        Moves(cluster),
        LamportOrder(cluster),
        OnceEach(),
        Bounds(cluster),
        Consistency(cluster),
        Suspicions(cluster),
        Persistence(cluster),
        NoStorm(cluster),
        Leaves(cluster),
    ]


class Row(Struct, frozen=True):
    """A row of SWIM's table as it was; `member` is the live row, which changes."""

    member: Member
    incarnation: int
    state: MemberState
    address: Address
    meta: bytes

    def __str__(self) -> str:
        """Return the row in words."""
        return f"{self.state.name.lower()} at incarnation {self.incarnation} and {self.address}"


class Precedence(Observer):
    """Per member and incarnation, a state only goes alive, suspect, dead; announcements do not change.

    Only the owner raises an incarnation.

    A row that was forgotten, as rows of dead and left members are after a while, starts from scratch. A name
    that moves to another address (`gossip.sim.moves`) may do so with any incarnation.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._rows: dict[tuple[str, str], Row] = {}
        self._announced: dict[str, int] = {}  # the highest incarnation in each owner's earlier lives

    def started(self, host: Host, now: float) -> None:
        """A new life starts without memory: forget the last one's rows."""
        for key in [key for key in self._rows if key[0] == host.name]:
            del self._rows[key]

    def stopped(self, host: Host, now: float) -> None:
        """Remember the highest incarnation of the owner."""
        self._announced[host.name] = self._greatest(host.name)

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """Compare the row of each event with its earlier state."""
        for effect in effects:
            if isinstance(effect, MEMBER_EVENTS):
                self._check(host, effect.member.name, now)

    def _check(self, host: Host, name: str, now: float) -> None:
        assert host.node is not None
        member = host.node.swim.table.by_name.get(name)
        if member is None:
            return
        key = (host.name, name)
        row = Row(member, member.incarnation, member.state, member.address, member.alive.meta)
        before = self._rows.get(key)
        self._rows[key] = row
        if member.incarnation > self._greatest(name):
            detail = f"{host.name} holds {name} at incarnation {member.incarnation}, which it never announced"
            raise RuleBrokenError("only the owner raises an incarnation", detail, now)
        if before is not None and not _may_follow(before, row):
            detail = f"{host.name} held {name} {before}, then {row}"
            raise RuleBrokenError("per incarnation a state only goes alive, suspect, dead", detail, now)
        if before is not None and not _is_as_announced(before, row):
            detail = f"{host.name} held {name} {before}, then with other metadata"
            raise RuleBrokenError("per incarnation there is one announcement", detail, now)

    def _greatest(self, name: str) -> int:
        host = self._cluster.hosts.get(name)
        present = host.node.swim.table.me.incarnation if host is not None and host.node is not None else 0
        return max(present, self._announced.get(name, 0))


def _may_follow(before: Row, after: Row) -> bool:
    if before.member is not after.member:
        return before.member.state >= MemberState.DEAD  # only dead and left members are forgotten
    if before.address != after.address:
        return True  # the name moved
    if after.incarnation != before.incarnation:
        return after.incarnation > before.incarnation
    return after.state >= before.state


def _is_as_announced(before: Row, after: Row) -> bool:
    if before.member is not after.member or before.address != after.address:
        return True
    return before.incarnation != after.incarnation or before.meta == after.meta


class LamportOrder(Observer):
    """Lamport clocks never go back, nor does the Lamport time of a member's status.

    A snapshot keeps the clocks; without one a new life starts from scratch.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._clocks: dict[str, tuple[int, ...]] = {}
        self._statuses: dict[tuple[str, str], int] = {}

    def started(self, host: Host, now: float) -> None:
        """A new life starts without a history."""
        if not host.remembers:
            self._clocks.pop(host.name, None)
        for key in [key for key in self._statuses if key[0] == host.name]:
            del self._statuses[key]

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """Check the member of each event."""
        for effect in effects:
            if isinstance(effect, MemberReaped):
                self._statuses.pop((host.name, effect.member.name), None)
            elif isinstance(effect, MEMBER_EVENTS):
                key = (host.name, effect.member.name)
                ltime = effect.member.status_ltime
                if ltime < self._statuses.get(key, 0):
                    detail = f"{host.name} has {ltime} for {effect.member.name} after {self._statuses[key]}"
                    raise RuleBrokenError("the lamport time of a status never goes back", detail, now)
                self._statuses[key] = ltime

    def ticked(self, now: float) -> None:
        """Check the clocks of all nodes."""
        for host in self._cluster.up():
            assert host.node is not None
            stats = host.node.stats()
            clocks = tuple(int(stats[key]) for key in ("member_time", "event_time", "query_time"))
            before = self._clocks.get(host.name, (1, 1, 1))
            if any(later < earlier for later, earlier in zip(clocks, before, strict=True)):
                detail = f"{host.name} has {clocks} after {before}"
                raise RuleBrokenError("lamport clocks never go back", detail, now)
            self._clocks[host.name] = clocks


class OnceEach(Observer):
    """A user event is delivered once at most in each life of a node, or in all lives that snapshots join."""

    def __init__(self) -> None:
        self._delivered: dict[str, set[tuple[int, str, bytes]]] = {}

    def started(self, host: Host, now: float) -> None:
        """A new life may receive every event again, unless it starts from a snapshot."""
        if not host.remembers or host.name not in self._delivered:
            self._delivered[host.name] = set()

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """Check each delivery."""
        for effect in effects:
            if isinstance(effect, UserEventReceived):
                event = (effect.event.ltime, effect.event.name, effect.event.payload)
                if event in self._delivered[host.name]:
                    detail = f"{host.name} received {event[1]!r} of time {event[0]} twice"
                    raise RuleBrokenError("a user event is delivered at most once", detail, now)
                self._delivered[host.name].add(event)


class Bounds(Observer):
    """Every queue, table and timer heap stays within its limit, and no deadline is overdue."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def ticked(self, now: float) -> None:
        """Check the sizes of all nodes."""
        for host in self._cluster.up():
            assert host.node is not None
            for what, size, bound in _sizes(host.node):
                if size > bound:
                    detail = f"{host.name} has {size} {what}, at most {bound} allowed"
                    raise RuleBrokenError("everything is bounded", detail, now)
            self._check_deadline(host, host.node, now)

    def _check_deadline(self, host: Host, node: SerfNode, now: float) -> None:
        deadline = node.next_deadline()
        if deadline == inf:
            raise RuleBrokenError("a running node waits for something", f"{host.name} has no timer", now)
        is_late = deadline < now + host.offset - host.cost - OVERDUE
        if is_late and host.stall.is_running_timers:
            detail = f"{host.name} should have been woken at {deadline - host.offset:.3f}"
            raise RuleBrokenError("no deadline is overdue", detail, now)


def _sizes(node: SerfNode) -> list[tuple[str, int, int]]:
    swim, config, stats = node.swim, node.config, node.stats()
    rows, members = len(swim.table), int(stats["members"])
    relays, reclaims = len(swim.detector.relays), len(swim.reclaims)
    timers = FIXED_TIMERS + len(swim.view.suspicions) + relays + reclaims + 2 * members
    queues = [
        (f"broadcasts in the {kind} queue", int(stats[f"{kind}_queue"]), config.max_queue_depth)
        for kind in ("intent", "event", "query")
    ]
    return [
        *queues,
        ("claims queued", len(swim.queue), rows + 1),  # one per name, and our own refutation
        ("rows", rows, config.swim.max_members),
        ("members", members, 2 * config.swim.max_members),
        ("relayed pings", relays, config.swim.max_relays),
        ("claims to names", reclaims, MAX_CLAIMS),
        ("timers", len(swim.deadlines), timers),
        ("points of local health", node.local_health, config.swim.awareness_max - 1),
    ]


class Consistency(Observer):
    """A node's tables agree with each other: SWIM's rows, the suspicions, Serf's members."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def ticked(self, now: float) -> None:
        """Compare the tables of all nodes."""
        for host in self._cluster.up():
            assert host.node is not None
            self._compare(host.name, host.node, now)

    def _compare(self, who: str, node: SerfNode, now: float) -> None:
        swim = node.swim
        for name, row in swim.table.by_name.items():
            has_suspicion = name in swim.view.suspicions
            if (row.state is MemberState.SUSPECT) is not has_suspicion:
                detail = f"{who} holds {name} {row.state.name.lower()}, suspicion: {has_suspicion}"
                raise RuleBrokenError("who is suspected has a suspicion that ends", detail, now)
            member = node.member(name)
            is_gone = member is not None and member.status in (MemberStatus.FAILED, MemberStatus.LEFT)
            if member is not None and row.is_gone is not is_gone and row is not swim.table.me:
                detail = f"{who} holds {name} {row.state.name.lower()} and {member.status.name.lower()}"
                raise RuleBrokenError("swim and serf agree on who is gone", detail, now)


class Suspicions(Observer):
    """Each member confirms a suspicion once, and the last confirmation that counts leaves the minimum."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def ticked(self, now: float) -> None:
        """Check all suspicions."""
        for host in self._cluster.up():
            assert host.node is not None
            for name, suspicion in host.node.swim.view.suspicions.items():
                witnesses = [suspicion.reporter, *suspicion.confirmers]
                if len(set(witnesses)) < len(witnesses) or len(suspicion.confirmers) > suspicion.k:
                    detail = f"{host.name} counts {witnesses} against {name}, with room for {suspicion.k}"
                    raise RuleBrokenError("a witness counts once", detail, now)
                lasts = suspicion.deadline - suspicion.started
                if len(suspicion.confirmers) == suspicion.k and lasts > suspicion.minimum + ROUNDING:
                    detail = f"{host.name} gives {name} {lasts:g} s, not {suspicion.minimum:g} s"
                    raise RuleBrokenError("a confirmed suspicion is short", detail, now)


class Persistence(Observer):
    """Each broadcast is sent as often as the cluster's size requires: 3 times its logarithm, on a LAN."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def ticked(self, now: float) -> None:
        """Compare the limit of each node with the number of its rows."""
        config = self._cluster.config.swim
        for host in self._cluster.up():
            assert host.node is not None
            rows, limit = len(host.node.swim.table), host.node.retransmit_limit()
            if not _fits(limit, rows, config):
                detail = f"{host.name} sends each {limit} times with {rows} rows"
                raise RuleBrokenError("a broadcast is sent as often as the size asks", detail, now)


def _fits(limit: int, rows: int, config: SwimConfig) -> bool:
    """Tell, without any logarithm, whether `limit` transmissions are right for that many rows."""
    if config.memberlist_gossip:  # the ceiling of log10(n + 1) is the number of digits of n
        return limit == config.retransmit_mult * len(str(rows))
    if config.retransmit_mult == 0:
        return limit == 0
    step = 4 / (3 * config.retransmit_mult)
    return exp(step * (limit - 1)) < rows + 1 <= exp(step * limit) * (1 + ROUNDING)


class NoStorm(Observer):
    """Packets per node and second stay within the limits set by its timers and its answers to others."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        swim = cluster.config.swim
        gossip = (ceil(1.0 / swim.gossip_interval) + 1) * swim.gossip_nodes
        probes = (ceil(1.0 / swim.probe_interval) + 1) * (1 + swim.indirect_checks)
        self._own = gossip + probes
        self._before: dict[int, tuple[int, int, int]] = {}  # per machine: sent, received, received before

    def ticked(self, now: float) -> None:
        """Count each node's packets in the last second: an answer comes at most a second after its cause."""
        for host in self._cluster.hosts.values():
            sent, received, earlier = self._before.get(host.number, (0, 0, 0))
            self._before[host.number] = (host.packets_sent, host.packets_received, received)
            allowed = self._own + 2 * (host.packets_received - earlier)
            if host.packets_sent - sent > allowed:
                detail = f"{host.name} sent {host.packets_sent - sent} packets in a second, {allowed} allowed"
                raise RuleBrokenError("no broadcast storms", detail, now)
