"""Figure 3: a member crashes; when is it first probed, suspected, declared, and when do all know?"""

from __future__ import annotations

from random import Random
from statistics import median as middle
from typing import TYPE_CHECKING

import msgspec

from benchmarks.papers.confidence import mean, median
from benchmarks.papers.grouping import grouped
from benchmarks.papers.plot import Panel, Series
from benchmarks.papers.swim.group import PERIOD, SIZES, form_group, overhear, rounds
from benchmarks.papers.table import markdown
from gossip.serf.effects import MemberFailed, MemberSuspected
from gossip.sim.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from gossip.serf.effects import Effect
    from gossip.sim.cluster import Cluster
    from gossip.sim.host import Host

SEEDS = 200
QUIET_PERIODS = 4
JUST_BEFORE = 0.01
"""How long before a round the crash is, in seconds: whatever was under way has arrived."""
MOST_PERIODS = 60
LARGEST_STEP = 0.5
PAPER_FIRST: Mapping[float, float] = {10: 1.1, 14.5: 3.3, 19: 2.0, 23.5: 1.25, 28: 2.1, 32: 1.4, 37: 1.2}
PAPER_INFECTION: Mapping[float, float] = {
    6: 1.0,
    13: 1.25,
    20: 3.0,
    28: 3.05,
    35: 1.95,
    43: 2.5,
    52: 1.5,
    56: 2.25,
}
PAPER_TIMEOUT: Mapping[float, float] = {8: 9, 19: 9, 20: 12, 53: 12, 54: 15}
ANALYTIC = 1.582
"""e/(e-1) periods to the first detection (section 3.1)."""


class Run(msgspec.Struct, frozen=True):
    """One crash."""

    members: int
    in_step: bool  # all probe at the same moments; the crash is just before a round
    seed: int


class Found(msgspec.Struct, frozen=True):
    """Periods since the crash, or since the first suspicion or declaration; -1 if it was not waited for."""

    probed: float
    suspected: float
    timeout: float = -1.0  # of the suspicion: from the first suspicion to the first declaration
    infected: float = -1.0  # from the first suspicion to that of the median member
    all_infected: float = -1.0  # and to the last's
    all_declared: float = -1.0  # from the first declaration to the last


class Reports(Observer):
    """Keeps when each member first suspected the victim, and when it first declared it failed."""

    def __init__(self, victim: str) -> None:
        self._victim = victim
        self.suspected: dict[str, float] = {}
        self.declared: dict[str, float] = {}

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """See `Observer`."""
        for effect in effects:
            if isinstance(effect, MemberSuspected) and effect.member.name == self._victim:
                self.suspected.setdefault(host.name, now)
            elif isinstance(effect, MemberFailed) and effect.member.name == self._victim:
                self.declared.setdefault(host.name, now)


def runs(seeds: int) -> Iterator[Run]:
    """Yield all runs."""
    for in_step in (True, False):
        for size in SIZES:
            yield from (Run(size, in_step, seed) for seed in range(min(seeds, SEEDS)))


def perform(run: Run) -> Found:
    """Crash a member and follow the news."""
    cluster, hosts = form_group(run.seed, run.members, in_step=run.in_step)
    chance = Random(f"crash/{run.seed}/{run.members}")
    victim = chance.choice(hosts)
    reports = Reports(victim.name)
    cluster.observers.append(reports)
    at = 1.0 + QUIET_PERIODS * PERIOD + (-JUST_BEFORE if run.in_step else chance.random() * PERIOD)
    cluster.run(at)
    probes: list[float] = []
    overhear(cluster, lambda target: probes.append(cluster.now) if target == victim.name else None)
    cluster.crash(victim)
    _run_until(cluster, lambda: bool(reports.suspected))
    first = min(reports.suspected.values())
    began = at + JUST_BEFORE if run.in_step else at
    probed, suspected = (probes[0] - began) / PERIOD, (first - began) / PERIOD
    if run.in_step:
        return Found(probed, suspected)
    _run_until(cluster, lambda: len(reports.declared) == run.members - 1)
    declared = reports.declared.values()
    # Who hears of the death before the suspicion was not infected by the latter.
    infected = [when - first for when in reports.suspected.values()]
    return Found(
        probed,
        suspected,
        timeout=(min(declared) - first) / PERIOD,
        infected=middle(infected) / PERIOD,
        all_infected=max(infected) / PERIOD,
        all_declared=(max(declared) - min(declared)) / PERIOD,
    )


def _run_until(cluster: Cluster, is_over: Callable[[], bool]) -> None:
    end = cluster.now + MOST_PERIODS * PERIOD
    while not is_over():
        assert cluster.now < end, "the crash was not noticed"
        cluster.run(cluster.now + LARGEST_STEP)


Groups = dict[tuple[bool, int], list[Found]]
"""Results by mode (in step or not) and size."""


def sort_out(results: Iterable[tuple[Run, Found]]) -> Groups:
    """Return the results by mode and size."""
    return grouped(results, lambda run: (run.in_step, run.members))


def expected_rounds(members: int) -> float:
    """Return the rounds to the first detection when all probe round robin, in step.

    The paper's e/(e-1) is for choices with replacement, and many members. Round robin, a survivor has the
    victim in one of n-1 rounds, each as likely; that none of n-1 has it in the first k has probability
    (1 - k/(n-1))^(n-1), and the sum over k is the mean.
    """
    others = members - 1
    return sum(float((1 - k / others) ** others) for k in range(others))


def pooled(groups: Groups, *, in_step: bool, least: int) -> list[Found]:
    """Return all results of a mode from groups of at least `least` members."""
    return [each for (mode, n), found in groups.items() if mode is in_step and n >= least for each in found]


def detection_table(groups: Groups, least: int = 16) -> str:
    """Return figure 3a as a table, and below it all sizes from `least` on together."""
    head = (
        "members",
        "runs",
        "in step: first detection",
        "round robin, expected",
        "staggered: first probe",
        "to the suspicion",
        "paper",
    )
    rows = []
    for size in sorted({n for _, n in groups}):
        named = (str(size), f"{expected_rounds(size):.2f}", _near(PAPER_FIRST, size))
        rows.append(_detection(groups.get((True, size), []), groups.get((False, size), []), *named))
    together = [pooled(groups, in_step=mode, least=least) for mode in (True, False)]
    rows.append(_detection(together[0], together[1], f"all from {least}", "", f"{ANALYTIC:.2f} (analytic)"))
    return markdown(head, rows)


def spread_table(groups: Groups) -> str:
    """Return figures 3b and 3c as a table."""
    head = (
        "members",
        "runs",
        "3b: median member infected",
        "paper",
        "last member infected",
        "3c: suspicion",
        "paper",
        "first to last declaration",
    )
    rows = []
    for (in_step, size), found in sorted(groups.items()):
        if in_step:
            continue
        rows.append(
            (
                size,
                len(found),
                median([each.infected for each in found]).text(),
                _near(PAPER_INFECTION, size),
                median([each.all_infected for each in found]).text(),
                median([each.timeout for each in found]).text(),
                rounds(size),
                median([each.all_declared for each in found]).text(),
            )
        )
    return markdown(head, rows)


def panels(groups: Groups) -> list[Panel]:
    """Return figures 3a, 3b and 3c as plots."""
    step = {n: found for (mode, n), found in sorted(groups.items()) if mode}
    free = {n: found for (mode, n), found in sorted(groups.items()) if not mode}
    first = [
        Series("ours, in step", list(step), [mean([e.suspected for e in found]) for found in step.values()]),
        Series(
            "ours, staggered", list(free), [mean([e.suspected for e in found]) for found in free.values()]
        ),
        Series("ours, first probe", list(free), [mean([e.probed for e in found]) for found in free.values()]),
        _paper(PAPER_FIRST),
    ]
    infection = [
        Series("ours, median", list(free), [median([e.infected for e in found]) for found in free.values()]),
        Series(
            "ours, last", list(free), [median([e.all_infected for e in found]) for found in free.values()]
        ),
        _paper(PAPER_INFECTION),
    ]
    timeout = [
        Series("ours", list(free), [median([e.timeout for e in found]) for found in free.values()]),
        _paper(PAPER_TIMEOUT),
    ]
    plots = {
        "Figure 3a: crash to first detection": first,
        "Figure 3b: infection time": infection,
        "Figure 3c: suspicion time-out": timeout,
    }
    return [Panel(title=title, x="members", y="periods", series=lines) for title, lines in plots.items()]


def _detection(
    step: Sequence[Found], free: Sequence[Found], size: str, expected: str, paper: str
) -> tuple[str, ...]:
    return (
        size,
        str(len(step) or len(free)),
        mean([each.suspected for each in step]).text() if step else "",
        expected,
        mean([each.probed for each in free]).text() if free else "",
        mean([each.suspected for each in free]).text() if free else "",
        paper,
    )


def _paper(points: Mapping[float, float]) -> Series:
    return Series("paper (read off)", list(points), list(points.values()), is_paper=True)


def _near(points: Mapping[float, float], size: int, within: float = 2.0) -> str:
    """Return what the paper has for about this size, empty if it has nothing."""
    closest = min(points, key=lambda each: abs(each - size))
    return f"{points[closest]:g}" if abs(closest - size) <= within else ""
