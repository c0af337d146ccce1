"""The table: each contender's lowest, median and highest trial, and the ratio of the medians."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Trials = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    key: str
    label: str
    unit: str
    decimals: int = 2
    more_is_better: bool = False
    own_network_only: bool = False
    """Means something only where the counters are the cluster's own."""


SOLO = (
    Figure("start", "start to IPC answering", "ms", 0),
    Figure("start_cpu", "CPU used until then", "ms", 0),
    Figure("pairs", "ping-to-ack pairs per second", "1/s", 0, more_is_better=True),
    Figure("pairs_per_cpu", "ping-to-ack pairs per CPU second", "1/s", 0, more_is_better=True),
)
CLUSTER = (
    Figure("cold_start", "all start at once, until all see all", "s"),
    Figure("join", "join of all (running agents)", "s"),
    Figure("tag_last", "tag change, last to know", "s"),
    Figure("leave_first", "graceful leave, first to know", "s"),
    Figure("leave_last", "graceful leave, last to know", "s"),
    Figure("crash_first", "SIGKILL, first survivor to know", "s"),
    Figure("crash_last", "SIGKILL, last survivor to know", "s"),
    Figure("rss", "memory per agent, RSS", "MB", 1),
    Figure("private", "memory per agent, private dirty", "MB", 1),
    Figure("anonymous", "memory per agent, anonymous", "MB", 1),
    Figure("cpu", "CPU per agent and minute at rest", "s", 3),
    Figure("datagrams", "datagrams per agent and second at rest", "1/s", 2, own_network_only=True),
    Figure("bytes", "IP bytes per agent and second at rest", "B/s", 0, own_network_only=True),
)
HEAD = ("| N | figure | unit | ours | Serf | ours/Serf | |", "|--:|---|---|--:|--:|--:|---|")


def lines(results: Mapping[int, Mapping[str, Trials]], *, isolated: bool) -> Iterator[str]:
    """Yield the table's lines; `results` holds the trials by size and contender."""
    yield from HEAD
    for size, trials in results.items():
        for figure in SOLO if size == 1 else CLUSTER:
            if figure.own_network_only and not isolated:
                yield f"| {size} | {figure.label} | {figure.unit} | not measured: no namespace | | | |"
            elif trials["ours"] and trials["serf"]:
                yield _row(size, figure, trials)


def _row(size: int, figure: Figure, trials: Mapping[str, Trials]) -> str:
    ours, serf = ([trial[figure.key] for trial in trials[name]] for name in ("ours", "serf"))
    ratio = round(median(ours) / median(serf), 2)
    worse = ratio < 1 if figure.more_is_better else ratio > 1
    cells = (
        str(size),
        figure.label,
        figure.unit,
        _spread(ours, figure),
        _spread(serf, figure),
        f"{ratio:.2f}",
    )
    return f"| {' | '.join(cells)} | {'worse' if worse else ''} |"


def _spread(values: Sequence[float], figure: Figure) -> str:
    return " / ".join(f"{value:.{figure.decimals}f}" for value in (min(values), median(values), max(values)))
