"""One run of a scenario: faults first, then none; checked throughout, with an `Outcome` at the end."""

from __future__ import annotations

import traceback
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from gossip.serf.members import MemberStatus
from gossip.sim.agreement import Agreement
from gossip.sim.byte_path import BytePath
from gossip.sim.checkers import all_checkers
from gossip.sim.cluster import Cluster
from gossip.sim.performer import Performer
from gossip.sim.rules import RuleBrokenError
from gossip.sim.scenario import Scenario
from gossip.sim.trace import Entry, Trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.sim.acts import AnyAct
    from gossip.sim.host import Host
    from gossip.sim.observer import Observer

LIVENESS = "after all faults the core agrees"
NO_EXCEPTION = "the core never raises"
CALM_AFTER = 10.0
"""Seconds that an agreement must last: a probe from before the end of the faults may still undo it."""
STEP = 0.5
"""Seconds between checks, in the second phase, of whether the run is over."""
MAX_MISSING = 10
"""Errors listed if there is no agreement."""


class Failure(Struct, frozen=True):
    """The first rule that was broken."""

    rule: str
    detail: str
    at: float  # the world's time, seconds


class Outcome(Struct, frozen=True):
    """The result of a run. Equal scenarios with equal seeds have equal outcomes."""

    scenario: Scenario
    digest: str
    failure: Failure | None
    settled_after: float  # seconds from the end of the faults to agreement; -1 if there was none
    ended: float  # the world's time, seconds
    packets: int
    tail: tuple[Entry, ...]  # the last entries of the trace, if it failed


class Trial:
    """A scenario in progress. `run` does everything; tests may go step by step."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        wire: bool = False,
        checks: bool = True,
        keep_trace: bool = False,
    ) -> None:
        self.scenario = scenario
        path = BytePath(scenario.seed, compress=scenario.compress, encrypt=scenario.encrypt)
        self.cluster = Cluster(
            scenario.seed,
            scenario.config(),
            latency=scenario.latency,
            conditions=scenario.network,
            path=path if wire else None,
            trace=Trace(keep=keep_trace),
        )
        self.cluster.retry_interval = scenario.retry_interval
        self._performer = Performer(self.cluster, scenario)
        if checks:
            self.cluster.observers.extend(all_checkers(self.cluster))

    def watch(self, make: Callable[[Cluster], Observer]) -> None:
        """Add an observer before the run starts."""
        self.cluster.observers.append(make(self.cluster))

    def run(self) -> Outcome:
        """Run the whole scenario; a broken rule ends it."""
        failure: Failure | None = None
        settled_after = -1.0
        try:
            self.start()
            for act in self.scenario.acts:
                self.cluster.schedule.at(act.at, partial(self.perform, act))
            self.advance(self.scenario.duration)
            settled_after = self.settle()
        except RuleBrokenError as broken:
            failure = Failure(broken.rule, broken.detail, broken.at)
        except Exception:
            # An exception in the core counts as a broken rule, and must be reported with its seed.
            failure = Failure(NO_EXCEPTION, traceback.format_exc(), self.cluster.now)
        return self.outcome(failure, settled_after)

    def start(self) -> None:
        """Add the machines and start their agents."""
        scenario, cluster = self.scenario, self.cluster
        hosts = []
        for name, tags in scenario.starting_tags().items():
            offset = float(int(scenario.clocks * cluster.rng.random()))
            hosts.append(cluster.add(name, tags=tags, offset=offset))
        for host in hosts:
            cluster.set_seeds(host, [name for name in scenario.seed_names if name != host.name])
        if scenario.start == "agreed":
            for host in hosts:
                cluster.boot(host)
            cluster.acquaint(hosts)
            for host in hosts:
                assert host.node is not None
                host.node.remember_seeds(host.seeds)
            return
        for host in hosts:
            cluster.schedule.at(scenario.spread * cluster.rng.random(), partial(self._start, host))

    def perform(self, act: AnyAct) -> None:
        """Perform `act` now."""
        self._performer.perform(act)

    def advance(self, until: float) -> None:
        """Let time pass until `until`, in seconds since the start."""
        self.cluster.run(until)

    def settle(self) -> float:
        """End all faults; return the seconds that the core then took to agree.

        Raises:
            RuleBrokenError: it did not agree in time.
        """
        cluster = self.cluster
        core = self._choose_core()
        self._performer.end_all()
        agreement = Agreement(cluster, core)
        cluster.observers.append(agreement)
        end = cluster.now
        deadline = end + self.scenario.settle
        since: float | None = None  # when the current agreement began
        while since is None or cluster.now - since < CALM_AFTER:
            if not (agreement.is_reached() if since is None else agreement.holds()):
                since = None
                if cluster.now >= deadline:
                    missing = "; ".join(agreement.missing(MAX_MISSING))
                    detail = f"{self.scenario.settle:g} s after the last fault {missing}"
                    raise RuleBrokenError(LIVENESS, detail, cluster.now)
            elif since is None:
                since = cluster.now
            cluster.run(cluster.now + STEP)
        return since - end

    def outcome(self, failure: Failure | None, settled_after: float) -> Outcome:
        """Return the result of the run so far."""
        trace = self.cluster.trace
        return Outcome(
            scenario=self.scenario,
            digest=trace.digest(),
            failure=failure,
            settled_after=settled_after,
            ended=self.cluster.now,
            packets=self.cluster.driver.packets,
            tail=tuple(trace.entries) if failure else (),
        )

    def _start(self, host: Host) -> None:
        # An act may have started it already, or replaced the machine.
        if host.life == 0 and self.cluster.hosts[host.name] is host:
            self.cluster.boot(host)
            self.cluster.rejoin(host)

    def _choose_core(self) -> list[str]:
        """Return the nodes that must agree: all running ones, or those of the scenario; stop the others."""
        cluster = self.cluster
        if "*" in self.scenario.core:
            return [host.name for host in cluster.hosts.values() if _is_in(host)]
        core = self.scenario.expand(self.scenario.core)
        for host in list(cluster.hosts.values()):
            if host.name not in core:
                cluster.crash(host)
            elif not _is_in(host):
                cluster.restart(host)
        return list(core)


def _is_in(host: Host) -> bool:
    return host.node is not None and host.node.status is MemberStatus.ALIVE


def with_seed(scenario: Scenario, seed: int) -> Scenario:
    """Return the same scenario under another seed."""
    return replace(scenario, seed=seed)
