"""Figure 4: members join one after another while every receiver loses one packet in ten.

With and without suspicion, whoever is declared failed by mistake is out for good, as in the paper's
prototype; or, by our rule, it may hear of it and come back.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

from benchmarks.papers.confidence import Estimate, mean
from benchmarks.papers.grouping import grouped
from benchmarks.papers.plot import Panel, Series
from benchmarks.papers.swim.group import NEVER, block_streams, paper_config
from benchmarks.papers.table import markdown
from gossip.serf.config import SerfConfig
from gossip.serf.effects import MemberFailed
from gossip.serf.members import MemberStatus
from gossip.sim.cluster import Cluster
from gossip.sim.network import Conditions
from gossip.sim.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gossip.serf.effects import Effect
    from gossip.sim.host import Host

MEMBERS = 17
LOSS = 0.1
EVERY = 5.0
"""Seconds from one join to the next, and from one look at the group to the next."""
SAMPLES = 35
SEEDS = 200
Rule = Literal["suspicion", "no suspicion", "no suspicion, back"]
RULES: tuple[Rule, ...] = ("suspicion", "no suspicion", "no suspicion, back")
NAMES = {
    "suspicion": "suspicion, out for good",
    "no suspicion": "no suspicion, out for good",
    "no suspicion, back": "no suspicion, may come back",
}
PAPER = {"suspicion": ("12", "14"), "no suspicion": ("4", "8"), "no suspicion, back": ("", "")}
"""Stable and highest size of the group."""


class Run(msgspec.Struct, frozen=True):
    """One group."""

    rule: Rule
    seed: int


class Found(msgspec.Struct, frozen=True):
    """What became of it."""

    sizes: tuple[float, ...]  # of the group, as its members see it, at each sample
    mistakes: int  # living members declared failed, once per incarnation


class Mistakes(Observer):
    """Notes who is declared failed, and puts it out if that is the rule; nobody crashes here by itself."""

    def __init__(self, cluster: Cluster, *, for_good: bool) -> None:
        self._cluster = cluster
        self._for_good = for_good
        self.declared: set[tuple[str, int]] = set()

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """See `Observer`."""
        for effect in effects:
            if isinstance(effect, MemberFailed):
                self.declared.add((effect.member.name, effect.member.alive.incarnation))
                if self._for_good:
                    victim = self._cluster.hosts[effect.member.name]
                    self._cluster.schedule.at(now, partial(self._cluster.crash, victim))


def runs(seeds: int) -> Iterator[Run]:
    """Yield all runs."""
    for rule in RULES:
        yield from (Run(rule, seed) for seed in range(min(seeds, SEEDS)))


def perform(run: Run) -> Found:
    """Let all join, and look at the group again and again."""
    config = paper_config(MEMBERS)
    if run.rule != "suspicion":
        config = replace(config, suspicion_mult=0)
    serf = SerfConfig(swim=config, reconnect_interval=NEVER, disable_coordinates=True)
    cluster = Cluster(run.seed, serf, conditions=Conditions(loss=LOSS, only="udp"))
    hosts = [cluster.add(f"n{number}") for number in range(MEMBERS)]
    block_streams(cluster, hosts)
    mistakes = Mistakes(cluster, for_good=run.rule != "no suspicion, back")
    cluster.observers.append(mistakes)
    sizes, waiting = [], list(hosts)
    for _ in range(SAMPLES):
        if waiting:
            _join(cluster, waiting.pop(0))
        cluster.run(cluster.now + EVERY)
        sizes.append(_size(cluster))
    return Found(tuple(sizes), len(mistakes.declared))


def by_rule(results: Iterable[tuple[Run, Found]]) -> dict[Rule, list[Found]]:
    """Return the results of each rule."""
    return grouped(results, lambda run: run.rule)


def table(results: Mapping[Rule, Sequence[Found]]) -> str:
    """Return figure 4 as a table."""
    head = ("rule", "runs", "size at the end", "paper", "highest size", "paper", "mistakes per run")
    rows = []
    for rule, found in results.items():
        end = mean([each.sizes[-1] for each in found])
        peak = mean([max(each.sizes) for each in found])
        mistakes = mean([float(each.mistakes) for each in found])
        theirs = PAPER[rule]
        cells = (end.text(1), theirs[0], peak.text(1), theirs[1], mistakes.text())
        rows.append((NAMES[rule], len(found), *cells))
    return markdown(head, rows)


def panel(results: Mapping[Rule, Sequence[Found]]) -> Panel:
    """Return figure 4 as a plot."""
    times = [EVERY * (number + 1) for number in range(SAMPLES)]
    series = [Series(NAMES[rule], times, _sizes(found)) for rule, found in results.items()]
    return Panel(title="Figure 4: 10 % loss, 17 join", x="seconds", y="size of the group", series=series)


def _sizes(found: Sequence[Found]) -> list[Estimate]:
    return [mean([each.sizes[number] for each in found]) for number in range(SAMPLES)]


def _join(cluster: Cluster, host: Host) -> None:
    """Let an agent start and exchange states with one that is up; the paper's members join by multicast."""
    others = cluster.up()
    cluster.boot(host)
    assert host.node is not None
    for other in others[:1]:
        assert other.node is not None
        now = cluster.now
        theirs, ours = other.node.local_state(join=True), host.node.local_state(join=True)
        host.node.merge_remote_state(theirs, initiated=True, now=now)
        other.node.merge_remote_state(ours, initiated=False, now=now)
        cluster.driver.flush(host)
        cluster.driver.flush(other)


def _size(cluster: Cluster) -> float:
    """Return how many members are alive in the views of those that are in, on average; 0 if nobody is."""
    views = [host.node.members() for host in cluster.up() if host.node is not None]
    alive = sum(member.status is MemberStatus.ALIVE for view in views for member in view)
    return alive / len(views) if views else 0.0
