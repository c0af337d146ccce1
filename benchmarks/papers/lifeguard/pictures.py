"""The tables as plots."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.papers.confidence import bootstrap
from benchmarks.papers.lifeguard import paper
from benchmarks.papers.lifeguard.experiment import CONFIGURATIONS
from benchmarks.papers.lifeguard.grid import BASE, TUNINGS
from benchmarks.papers.lifeguard.tables import (
    LIFEGUARD,
    SAMPLED_SHARE,
    SWIM,
    main_cells,
    tuning_cells,
    tuning_latencies,
)
from benchmarks.papers.plot import Panel, Series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.papers.lifeguard.tables import Cell, Results


def panels(results: Results) -> list[Panel]:
    """Return false positives by anomalous members, latencies as a distribution, and the trade-off."""
    return [_by_anomalous(results), _latencies(results), _trade_off(results)]


def _by_anomalous(results: Results) -> Panel:
    cells = main_cells(results)
    counts = sorted({key[0] for key in cells})
    series = []
    for name in CONFIGURATIONS:
        chosen = [[cell for key, cell in cells.items() if key[0] == c] for c in counts]
        ys = [bootstrap(some, partial(_mean, name=name)) for some in chosen]
        series.append(Series(name, counts, [each.scaled(SAMPLED_SHARE) for each in ys]))
    for name, points in paper.BY_ANOMALOUS.items():
        totals = [total / paper.RUNS_PER_C for total in points.values()]
        series.append(Series(f"{name}, paper", list(points), totals, is_paper=True))
    return Panel(
        title="False positives of a run (paper's figure 2)",
        x="anomalous members of 128",
        y="failures of healthy members",
        series=series,
        y_scale="symlog",
    )


def _latencies(results: Results) -> Panel:
    series = []
    for name in (SWIM, LIFEGUARD):
        times = sorted(_first(results, name, BASE))
        shares = [(number + 1) / len(times) for number in range(len(times))]
        series.append(Series(f"{name}, first", times, shares, marks=False))
        series.append(
            Series(f"{name}, paper", list(paper.LATENCY[name][:3]), [0.5, 0.99, 0.999], is_paper=True)
        )
    return Panel(title="First detection (table V)", x="seconds", y="share of members", series=series)


def _trade_off(results: Results) -> Panel:
    xs, ys = [], []
    for tuning in TUNINGS:
        ours, swim = (
            [each for run in runs for each in run.first] for runs in tuning_latencies(results, tuning)
        )
        cells = tuning_cells(results, tuning)
        if ours and swim and cells:
            xs.append(100 * median(ours) / median(swim))
            ys.append(100 * _mean(cells, LIFEGUARD) / _mean(cells, SWIM))
    points = Series("ours", xs, ys, line=False)
    theirs = Series("paper", paper.TUNINGS["median first"], paper.TUNINGS["FP"], is_paper=True)
    return Panel(
        title="Lifeguard's tunings (table VII)",
        x="median first detection, % of SWIM",
        y="false positives, % of SWIM",
        series=[points, theirs],
    )


def _first(results: Results, name: str, tuning: tuple[int, int]) -> list[float]:
    chosen = [
        found
        for run, found in results
        if (run.experiment, run.configuration, run.alpha, run.beta) == ("threshold", name, *tuning)
    ]
    return [each for found in chosen for each in found.first]


def _mean(cells: Sequence[Cell], name: str) -> float:
    return sum(cell[name].false_positives for cell in cells) / len(cells)
