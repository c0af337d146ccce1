"""Tables IV to VII, ours beside the paper's, with intervals from resampled runs.

Counts are compared in pairs: a cell of the grid meets the same anomalies in every configuration, and what is
resampled is the cell with all its configurations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.papers.confidence import Estimate, bootstrap, quantile
from benchmarks.papers.lifeguard import paper
from benchmarks.papers.lifeguard.experiment import CONFIGURATIONS, LASTS, MEMBERS, Found, Run
from benchmarks.papers.lifeguard.grid import (
    ANOMALIES,
    BASE,
    LONG,
    PAUSES,
    SAMPLED_ANOMALIES,
    SAMPLED_PAUSES,
    TUNINGS,
)
from benchmarks.papers.table import markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Results = list[tuple[Run, Found]]
Cell = dict[str, Found]
"""One cell of the grid by configuration."""
Count = str
"""What is counted: a field of `Found`."""

SWIM, LIFEGUARD = "SWIM", "Lifeguard"
SHARES = (0.5, 0.99, 0.999)
SAMPLED_SHARE = len(SAMPLED_ANOMALIES) * len(SAMPLED_PAUSES) / (len(ANOMALIES) * len(PAUSES))
"""The part of the paper's grid that the sampled cells are; in the rest hardly anybody is mistaken."""


def latency_table(results: Results) -> str:
    """Return table V: seconds to the first report and to the last of all healthy members'."""
    head = ("seconds", "members found", *(f"{what} {_name(s)}" for what in ("first", "full") for s in SHARES))
    rows = []
    for name in CONFIGURATIONS:
        runs = _of(results, "threshold", name, BASE)
        if runs:
            latencies = [_latency(runs, what, share) for what in ("first", "full") for share in SHARES]
            rows.append((name, sum(len(run.first) for run in runs), *(each.text() for each in latencies)))
        rows.append((f"{name}, paper", "", *(f"{each:.2f}" for each in paper.LATENCY[name])))
    return markdown(head, rows)


def false_positive_table(results: Results) -> str:
    """Return table IV: failures of healthy members, in per cent of SWIM's."""
    cells = list(main_cells(results).values())
    head = ("configuration", "FP / run", "FP %", "paper", "FP- / run", "FP- %", "paper")
    rows = []
    for name in CONFIGURATIONS:
        theirs = paper.FALSE_POSITIVES[name]
        columns: list[str] = []
        for count, percent in (("false_positives", theirs[0]), ("at_healthy", theirs[1])):
            per_run = bootstrap(cells, _mean_of(name, count))
            columns += [per_run.text(), _percent(cells, name, count), f"{percent:.2f}"]
        rows.append((name, *columns))
    return f"{len(cells)} cells\n\n" + markdown(head, rows)


def by_anomalous_table(results: Results) -> str:
    """Return false positives of a run by the number of anomalous members (the paper's figures 2 and 3).

    The paper's means are over anomalies of six lengths and pauses of eight. Ours are four and five of
    them; the others give none or few, and count as none.
    """
    cells = main_cells(results)
    columns = [(name, paper.BY_ANOMALOUS.get(name, {})) for name in CONFIGURATIONS]
    head = ["C", "cells"]
    for name, theirs in columns:
        head += [name, f"{name}, paper"] if theirs else [name]
    rows = []
    for c in sorted({each[0] for each in cells}):
        chosen = [cell for key, cell in cells.items() if key[0] == c]
        row = [str(c), str(len(chosen))]
        for name, theirs in columns:
            row.append(bootstrap(chosen, _mean_of(name, "false_positives")).scaled(SAMPLED_SHARE).text(1))
            if theirs:
                row.append(f"{theirs[c] / paper.RUNS_PER_C:.1f}")
        rows.append(row)
    return markdown(head, rows)


def by_anomaly_table(results: Results) -> str:
    """Return FP and, after the stroke, FP- of all runs together, by the length of the anomalies."""
    return _sums_by("D", 1, _cells(results))


def by_pause_table(results: Results) -> str:
    """Return the same by the length of the pauses."""
    return _sums_by("I", 2, _cells(results))


def load_table(results: Results) -> str:
    """Return table VI: messages and bytes, in per cent of SWIM's and for one agent and two minutes."""
    cells = list(main_cells(results).values())
    head = ("configuration", "messages %", "paper", "bytes %", "paper", "messages / agent", "kB / agent")
    rows = []
    for name in CONFIGURATIONS:
        theirs = paper.LOAD[name]
        rows.append(
            (
                name,
                _percent(cells, name, "messages"),
                f"{theirs[0]:.2f}",
                _percent(cells, name, "size"),
                f"{theirs[1]:.2f}",
                bootstrap(cells, _rate_of(name, "messages")).text(0),
                bootstrap(cells, _rate_of(name, "size")).scaled(1e-3).text(0),
            )
        )
    return markdown(head, rows)


def tuning_table(results: Results) -> str:
    """Return table VII: Lifeguard under other alpha and beta, in per cent of SWIM with alpha = 5."""
    head = ("% of SWIM; alpha, beta", *(f"{alpha}, {beta}" for alpha, beta in TUNINGS))
    rows: list[list[str]] = []
    for what in ("first", "full"):
        for share in SHARES:
            row = [f"{_name(share)} {what}"]
            for tuning in TUNINGS:
                ours, swim = tuning_latencies(results, tuning)
                row.append(_ratio(ours, swim, what, share) if ours and swim else "")
            rows += [row, [f"{row[0]}, paper", *(f"{each:.2f}" for each in paper.TUNINGS[row[0]])]]
    for name, count in (("FP", "false_positives"), ("FP-", "at_healthy")):
        row = [name]
        for tuning in TUNINGS:
            cells = tuning_cells(results, tuning)
            row.append(_percent(cells, LIFEGUARD, count))
        rows += [row, [f"{name}, paper", *(f"{each:.2f}" for each in paper.TUNINGS[name])]]
    return markdown(head, rows)


def order_table(results: Results) -> str:
    """Return every pair of configurations with the paper's ratio of counts, and whether ours goes its way."""
    cells = list(main_cells(results).values())
    head = ("pair", "count", "paper's ratio", "ours", "")
    names = list(CONFIGURATIONS)
    rows = []
    for number, (count, title) in enumerate((("false_positives", "FP"), ("at_healthy", "FP-"))):
        for place, one in enumerate(names):
            for other in names[place + 1 :]:
                theirs = paper.FALSE_POSITIVES[other][number] / paper.FALSE_POSITIVES[one][number]
                if not all(sum(getattr(cell[name], count) for cell in cells) for name in (one, other)):
                    # Resampling zeros gives zeros: an interval would claim what was not seen.
                    rows.append((f"{other} / {one}", title, f"{theirs:.3f}", "one has 0", "open"))
                    continue
                ours = bootstrap(cells, _ratio_of(other, one, count))
                rows.append((f"{other} / {one}", title, f"{theirs:.3f}", ours.text(3), verdict(ours, theirs)))
    return markdown(head, rows)


def main_cells(results: Results) -> dict[tuple[int, float, float], Cell]:
    """Return the cells of the sample, where all configurations were run."""
    return {
        (c, anomaly, pause): cell
        for (c, anomaly, pause), cell in _cells(results).items()
        if anomaly in SAMPLED_ANOMALIES and pause in SAMPLED_PAUSES
    }


def tuning_latencies(results: Results, tuning: tuple[int, int]) -> tuple[list[Found], list[Found]]:
    """Return Lifeguard's runs under `tuning`, and SWIM's, of the cells that all tunings were run in."""
    runs = [(run, found) for run, found in results if run.experiment == "threshold" and run.anomaly in LONG]
    seeds = [{run.seed for run, _ in runs if _is(run, "threshold", LIFEGUARD, each)} for each in TUNINGS]
    shared = set.intersection(*seeds)
    ours = [f for run, f in runs if run.seed in shared and _is(run, "threshold", LIFEGUARD, tuning)]
    swim = [f for run, f in runs if run.seed in shared and _is(run, "threshold", SWIM, BASE)]
    return ours, swim


def tuning_cells(results: Results, tuning: tuple[int, int]) -> list[Cell]:
    """Return the cells that were run with SWIM and with Lifeguard under `tuning`, where all tunings were."""
    swim = {_key(run): found for run, found in results if _is(run, "interval", SWIM, BASE)}
    tuned = [
        {_key(run): found for run, found in results if _is(run, "interval", LIFEGUARD, each)}
        for each in TUNINGS
    ]
    wanted = tuned[TUNINGS.index(tuning)]
    shared = [key for key in swim if all(key in each for each in tuned)]
    return [{SWIM: swim[key], LIFEGUARD: wanted[key]} for key in shared]


def _sums_by(what: str, place: int, cells: Mapping[tuple[int, float, float], Cell]) -> str:
    rows = []
    for value in sorted({key[place] for key in cells}):
        chosen = [cell for key, cell in cells.items() if key[place] == value]
        counts = [
            f"{sum(c[name].false_positives for c in chosen)} / {sum(c[name].at_healthy for c in chosen)}"
            for name in CONFIGURATIONS
        ]
        rows.append((f"{value:g} s", len(chosen), *counts))
    return markdown((what, "cells", *CONFIGURATIONS), rows)


def verdict(ours: Estimate, theirs: float) -> str:
    """Say whether our order is the paper's, or the paper's gap is too small for our interval to tell."""
    if (ours.high < 1 and theirs < 1) or (ours.low > 1 and theirs > 1):
        return "the paper's order"
    if ours.low <= theirs <= ours.high or ours.low <= 1 <= ours.high:
        return "within our interval"
    return "the other way round"


def _cells(results: Results) -> dict[tuple[int, float, float], Cell]:
    cells: dict[tuple[int, float, float], Cell] = {}
    for run, found in results:
        if run.experiment == "interval" and (run.alpha, run.beta) == BASE:
            cells.setdefault(_key(run), {})[run.configuration] = found
    return {key: cell for key, cell in sorted(cells.items()) if len(cell) == len(CONFIGURATIONS)}


def _key(run: Run) -> tuple[int, float, float]:
    return run.anomalous, run.anomaly, run.pause


def _is(run: Run, experiment: str, configuration: str, tuning: tuple[int, int]) -> bool:
    return (run.experiment, run.configuration, run.alpha, run.beta) == (experiment, configuration, *tuning)


def _of(results: Results, experiment: str, configuration: str, tuning: tuple[int, int]) -> list[Found]:
    return [found for run, found in results if _is(run, experiment, configuration, tuning)]


def _name(share: float) -> str:
    return "median" if share == 0.5 else f"{share:.1%}".replace(".0%", "%").replace("%", " %")


def _pooled(runs: Iterable[Found], what: str) -> list[float]:
    return sorted(each for run in runs for each in (run.first if what == "first" else run.full))


def _latency(runs: Sequence[Found], what: str, share: float) -> Estimate:
    return bootstrap(runs, lambda some: _quantile(_pooled(some, what), share))


def _ratio(ours: Sequence[Found], swim: Sequence[Found], what: str, share: float) -> str:
    """Return a quantile in per cent of SWIM's; the interval is that of ours, SWIM's sample taken as it is."""
    base = _quantile(_pooled(swim, what), share)
    return _latency(ours, what, share).scaled(100 / base).text(1) if base else ""


def _quantile(ordered: Sequence[float], share: float) -> float:
    return quantile(ordered, share) if ordered else 0.0


def _mean_of(name: str, count: Count) -> Callable[[Sequence[Cell]], float]:
    return lambda cells: sum(getattr(cell[name], count) for cell in cells) / len(cells)


def _rate_of(name: str, count: Count) -> Callable[[Sequence[Cell]], float]:
    """For one agent and 120 seconds: runs differ in length, as they end with an anomaly."""
    return lambda cells: (
        sum(getattr(cell[name], count) / cell[name].seconds for cell in cells) / len(cells) * LASTS / MEMBERS
    )


def _ratio_of(name: str, base: str, count: Count) -> Callable[[Sequence[Cell]], float]:
    def ratio(cells: Sequence[Cell]) -> float:
        whole = sum(getattr(cell[base], count) for cell in cells)
        return sum(getattr(cell[name], count) for cell in cells) / whole if whole else 0.0

    return ratio


def _percent(cells: Sequence[Cell], name: str, count: Count) -> str:
    if not sum(getattr(cell[SWIM], count) for cell in cells):
        return "SWIM has none"
    return bootstrap(cells, _ratio_of(name, SWIM, count)).scaled(100.0).text()
