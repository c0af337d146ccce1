"""Figure 2: messages that a member sends and receives in one period while nothing happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from benchmarks.papers.confidence import Estimate, mean, proportion
from benchmarks.papers.grouping import grouped
from benchmarks.papers.plot import Panel, Series
from benchmarks.papers.swim.group import PERIOD, SIZES, form_group
from benchmarks.papers.table import markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

LARGER = (64, 128, 256, 512)
PERIODS = 20
QUIET = 5 * PERIOD
FEW = 5
"""The paper: at 28 members, a member sends fewer than this many in 99 % of its periods."""
SEEDS = 40
SEEDS_LARGER = 5
PAPER_SENT = 2.05


class Run(msgspec.Struct, frozen=True):
    """A group at rest."""

    members: int
    seed: int


class Found(msgspec.Struct, frozen=True):
    """Messages of all members in all periods."""

    sent: float  # per member and period
    received: float
    spread: float  # standard deviation of those sent by one member in one period
    few: int  # of so many
    samples: int


def runs(seeds: int) -> Iterator[Run]:
    """Yield all runs; beyond the paper's sizes each has many members, and fewer seeds do."""
    for size in SIZES:
        yield from (Run(size, seed) for seed in range(min(seeds, SEEDS)))
    for size in LARGER:
        yield from (Run(size, seed) for seed in range(min(seeds, SEEDS_LARGER)))


def perform(run: Run) -> Found:
    """Count for some periods."""
    cluster, hosts = form_group(run.seed, run.members)
    cluster.run(QUIET)
    sent: list[int] = []
    received = [host.packets_received for host in hosts]
    for _ in range(PERIODS):
        before = [host.packets_sent for host in hosts]
        cluster.run(cluster.now + PERIOD)
        sent += [host.packets_sent - then for host, then in zip(hosts, before, strict=True)]
    arrived = sum(host.packets_received for host in hosts) - sum(received)
    centre = sum(sent) / len(sent)
    variance = sum((count - centre) ** 2 for count in sent) / (len(sent) - 1)
    few = sum(count < FEW for count in sent)
    return Found(centre, arrived / len(sent), variance**0.5, few, len(sent))


def by_size(results: Iterable[tuple[Run, Found]]) -> dict[int, list[Found]]:
    """Return the results of each size."""
    return grouped(results, lambda run: run.members)


def table(results: Mapping[int, Sequence[Found]]) -> str:
    """Return figure 2 as a table."""
    rows = []
    for size, found in results.items():
        few = proportion(sum(each.few for each in found), sum(each.samples for each in found))
        spread = mean([each.spread for each in found])
        rows.append(
            (size, len(found), _sent(found).text(), _received(found).text(), spread.text(), few.text(3))
        )
    head = ("members", "runs", "sent", "received", "standard deviation of sent", f"P(sent < {FEW})")
    return markdown(head, rows)


def panel(results: Mapping[int, Sequence[Found]]) -> Panel:
    """Return figure 2 as a plot."""
    sizes = list(results)
    ours = Series("ours, sent", sizes, [_sent(found) for found in results.values()])
    paper = Series("paper, sent (about)", [5, 28, 55], [PAPER_SENT] * 3, is_paper=True)
    return Panel(
        title="Figure 2: load",
        x="members",
        y="messages / member / period",
        series=[ours, paper],
        x_scale="log",
    )


def _sent(found: Sequence[Found]) -> Estimate:
    return mean([each.sent for each in found])


def _received(found: Sequence[Found]) -> Estimate:
    return mean([each.received for each in found])
