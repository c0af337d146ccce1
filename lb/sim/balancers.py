"""Load balancers in simulated clusters: the real decisions, on virtual time.

Every host that starts with the tag ``role=lb`` has a balancer: the `Reconciler` of `lb.policy.reconciler`,
fed with the effects of the host's own core and woken by the simulator's clock. Its file outlasts its process,
as on a disk. It only observes: the cluster behaves the same without it. HAProxy is simulated by the truth: a
server is UP while an agent runs at its address, is not frozen, and both directions of the link carry TCP.
Servers of some hosts outlast their agents (`lb.sim.cast`). Each step is checked by `lb.sim.rules`.
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING

from gossip.serf.members import MemberStatus
from gossip.sim.driver import ROUNDING
from gossip.sim.host import Stall
from gossip.sim.network import TCP
from gossip.sim.observer import Counting, Riders
from gossip.wire.address import Address
from lb.policy.plan import Claim, MemberFact, PlanConfig, read_claim
from lb.policy.reconciler import Reconciler
from lb.policy.settle import Settle, SettleConfig
from lb.policy.witness import Health, Healths
from lb.sim.cast import cast, is_balancer, outlives
from lb.sim.history import History, Process
from lb.sim.rules import check_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.serf.effects import Effect
    from gossip.sim.cluster import Cluster
    from gossip.sim.host import Host
    from lb.policy.plan import MappedName, Rejection, Server

PLAN = PlanConfig()
SETTLE = SettleConfig()
FROZEN_RECHECK = 0.25
"""Seconds between two checks whether a frozen balancer runs again."""


class SimulatedBalancer:
    """The balancer on one host, through all its lives."""

    def __init__(self, cluster: Cluster, settle: SettleConfig = SETTLE) -> None:
        self.history = History()
        self.reconciler: Reconciler | None = None  # None while its process is down
        self._cluster = cluster
        self._config = settle
        self._file: tuple[Claim, ...] = ()
        self._host: Host | None = None
        self._clock = -inf  # the host's monotonic time, as last passed to the reconciler
        self._wake_at = inf  # the world's time

    def start(self, host: Host) -> None:
        """Begin a life beside the agent that has just started on `host`."""
        assert host.node is not None, "a balancer without an agent"
        self._host = host
        self._clock = -inf
        settle = Settle(self._config)
        self.reconciler = Reconciler(settle, PLAN, _ignore)
        now = self._local_time(host)
        if self._file:
            settle.seed(self._file, now)
            self.reconciler.start_from(self._file)
        self.reconciler.begin(host.node, now)
        self._wake_at = inf
        self.look()

    def stop(self) -> None:
        """Stop with the agent; the file stays."""
        self.reconciler = None

    def look(self) -> None:
        """Check whether anything is due, once the current event is over."""
        if self.reconciler is not None:
            self._arm(self._cluster.now)

    def observe(self, host: Host, effects: Sequence[Effect]) -> None:
        """Process the agent's effects; the consequences follow after the agent's own work."""
        assert self.reconciler is not None, "effects of an agent that is down"
        if self.reconciler.observe(effects, self._local_time(host)):
            self.look()

    def _arm(self, at: float) -> None:
        if at < self._wake_at:
            self._wake_at = at
            assert self._host is not None
            self._cluster.schedule.at(at, partial(self._wake, self._host.life, at))

    def _wake(self, life: int, at: float) -> None:
        host, lb = self._host, self.reconciler
        if host is None or lb is None or host.life != life or self._wake_at != at:
            return
        self._wake_at = inf
        if host.stall is Stall.ALL:
            self._arm(self._cluster.now + FROZEN_RECHECK)
            return
        now = self._local_time(host)
        if 0.0 < lb.next_deadline() - now < ROUNDING:
            now = self._clock = lb.next_deadline()
        was_asked = lb.needs_health
        self._decide(lb, self._healths(host, lb) if was_asked else None, host, now)
        if lb.needs_health and not was_asked:
            self._decide(lb, self._healths(host, lb), host, now)
        self._arm(self._cluster.now + (lb.next_deadline() - now))

    def _local_time(self, host: Host) -> float:
        # `host.local_time` would work, but an observer must not change anything.
        self._clock = max(self._clock, host.last_now, self._cluster.now + host.offset)
        return self._clock

    def _decide(self, lb: Reconciler, healths: Healths | None, host: Host, now: float) -> None:
        there = [(c.host, c.port) for c in lb.moves if self._answers(host, c)]
        step = lb.handle_timeout(healths, now, there)
        if step is not None:
            check_step(step, partial(self._answers, host), self._cluster.now)
            self.history.record(step, self._process, self._cluster.now)
            self._file = tuple(_claim(server) for server in step.after.servers)

    def _healths(self, host: Host, lb: Reconciler) -> Healths:
        return {s.member: Health.UP if self._answers(host, s) else Health.DOWN for s in lb.plan.servers}

    def _answers(self, host: Host, server: Server | Claim) -> bool:
        target = self._cluster.driver.at.get(Address(server.host, host.address.port))
        if target is None or target.stall is Stall.ALL or (target.node is None and not outlives(target.tags)):
            return False
        network = self._cluster.network
        there = network.is_reachable(host.name, target.name, TCP)
        return there and network.is_reachable(target.name, host.name, TCP)

    def _process(self, member: str) -> Process:
        host = self._cluster.hosts.get(member)
        if host is None or host.node is None:
            return Process(host.life if host is not None else 0, MemberStatus.NONE, None)
        fact = MemberFact(member, host.node.status, host.address.host, host.node.tags)
        claim = read_claim(fact, PLAN) if fact.status is MemberStatus.ALIVE else None
        return Process(host.life, fact.status, claim if isinstance(claim, Claim) else None)


class Balancers(Counting):
    """All balancers of a cluster, by the names of their hosts."""

    def __init__(self, cluster: Cluster, settle: SettleConfig = SETTLE) -> None:
        self.by_host: dict[str, SimulatedBalancer] = {}
        self._cluster = cluster
        self._config = settle

    def started(self, host: Host, now: float) -> None:
        """See `Observer`; a host that was a balancer once is one in each life."""
        if host.name not in self.by_host and is_balancer(dict(host.tags)):
            self.by_host[host.name] = SimulatedBalancer(self._cluster, self._config)
        if host.name in self.by_host:
            self.by_host[host.name].start(host)

    def stopped(self, host: Host, now: float) -> None:
        """See `Observer`."""
        if host.name in self.by_host:
            self.by_host[host.name].stop()

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """See `Observer`."""
        balancer = self.by_host.get(host.name)
        if balancer is not None:
            balancer.observe(host, effects)

    def happened(self, what: str, now: float) -> None:
        """See `Observer`; a host's clock may have jumped over a deadline."""
        for balancer in self.by_host.values():
            balancer.look()

    def counts(self) -> dict[str, int]:
        """Return the figures that `lb.sim.history` defines, for all balancers together."""
        histories = [balancer.history for balancer in self.by_host.values()]
        return {
            "swaps": sum(len(history.swaps) for history in histories),
            "later undone": sum(len(history.undone) for history in histories),
            "backends emptied by failures alone": sum(history.emptied for history in histories),
        }


def _claim(server: Server) -> Claim:
    return Claim(server.backend, server.member, server.host, server.port, server.weight)


def _ignore(_oddity: Rejection | MappedName) -> None:
    """Ignore it: a simulated balancer has no log."""


RIDERS = Riders(observers=(Balancers,), cast=cast)
