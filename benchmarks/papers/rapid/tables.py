"""What was found, beside what the paper says: three tables, and the sizes over time."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from benchmarks.papers.confidence import mean
from benchmarks.papers.plot import Panel, Series
from benchmarks.papers.rapid.experiment import FAULT_AT, SEED_ALONE, VICTIMS, Found, Run
from benchmarks.papers.table import markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.papers.rapid.views import Second

NOT_SAID = ""


class Kind(msgspec.Struct, frozen=True):
    """One experiment at one size."""

    fault: str
    nodes: int
    reconnect: bool

    @property
    def title(self) -> str:
        """Return what it is, for a table."""
        extra = ", with Serf's reconnecting" if self.reconnect else ""
        return f"{TITLES[self.fault]}, N = {self.nodes}{extra}"


Results = dict[Kind, list[Found]]
TITLES = {
    "crash": "10 crash",
    "ingress": "10 hear nothing for 20 s of each 40",
    "loss": "80 % loss in both directions at 10",
    "loss-in": "80 % of what 10 are sent is lost",
    "loss-out": "80 % of what 10 send is lost",
    "bootstrap": "bootstrap",
}
PAPER_VIEWS = {
    "crash": "many intermediate sizes (Fig. 8)",
    "ingress": "≈ 990 to 1000 throughout, never all 10 (Fig. 9)",
    "loss": "992 to 998, never all 10 (Figs. 1, 10)",
}
PAPER_BOOTSTRAP = {1000: ("≈ 46", "901")}
"""Mean seconds (Fig. 5, read off) and unique sizes (Table 1)."""
PAPER_FIRST, PAPER_AGREED = "≈ 10 before Rapid", "views differ from ≈ 10 to ≈ 75 s (read off)"
PAPER_SENT = ("0.64", "6.40", "8.04")
"""KB per second: mean, 99th percentile and most (Table 2)."""


def sort_out(found: Iterable[tuple[Run, Found]]) -> Results:
    """Return the results by experiment and size."""
    results: Results = defaultdict(list)
    for run, each in found:
        results[Kind(run.fault, run.nodes, run.reconnect)].append(each)
    faults = list(TITLES)
    return dict(
        sorted(
            results.items(), key=lambda item: (item[0].nodes, faults.index(item[0].fault), item[0].reconnect)
        )
    )


def views_table(results: Results) -> str:
    """Return what the healthy members saw."""
    head = ["experiment", "runs", "removals", "returns", "wrongly removed", "sizes"]
    head += ["seconds in which views differ", "seconds without all 10", "paper, memberlist"]
    rows = []
    for kind, found in _faults(results):
        lows = [each.low for one in found for each in _during(one)]
        highs = [each.high for one in found for each in _during(one)]
        rows.append(
            (
                kind.title,
                len(found),
                _mean(found, lambda one: one.removals),
                _mean(found, lambda one: one.returns),
                _mean(found, lambda one: one.wrong_removals, 2),
                f"{min(lows)} to {max(highs)}",
                _mean(found, lambda one: _share(one, lambda second: second.distinct > 1), 0, " %"),
                _mean(found, _share_without_victims(kind.nodes), 0, " %"),
                PAPER_VIEWS.get(kind.fault, NOT_SAID) if kind.nodes == 1000 else NOT_SAID,
            )
        )
    return markdown(head, rows)


def balancer_table(results: Results) -> str:
    """Return what the load balancer on a healthy member did."""
    head = ("experiment", "member events about its 50 backends", "swaps", "of which later undone", "emptied")
    rows = []
    for kind, found in results.items():
        rows.append(
            (
                kind.title,
                _mean(found, lambda one: one.member_events),
                _mean(found, lambda one: len(one.swaps)),
                _mean(found, lambda one: one.undone),
                sum(one.emptied for one in found),
            )
        )
    return markdown(head, rows)


def crash_table(results: Results) -> str:
    """Return times of the crashes, and the traffic in those runs."""
    head = ("10 crash", "N = 51", "N = 1000", "paper, memberlist, N = 1000")
    small, large = (results.get(Kind("crash", nodes, reconnect=False), []) for nodes in (51, 1000))
    kinds: list[tuple[str, Callable[[Found], float], int, str]] = [
        ("first removal from a view, s", lambda one: one.first, 1, PAPER_FIRST),
        ("last removal: all views agree, s", lambda one: one.last, 1, PAPER_AGREED),
        ("between the two, s", lambda one: one.last - one.first, 1, "≈ 65"),
        ("the balancer's last swap, s", lambda one: one.swaps[-1], 1, NOT_SAID),
        ("datagrams sent per member, KB/s, mean", lambda one: one.sent_mean / 1000, 2, PAPER_SENT[0]),
        ("the same, 99th percentile", lambda one: one.sent_p99 / 1000, 2, PAPER_SENT[1]),
        ("the same, most", lambda one: one.sent_max / 1000, 2, PAPER_SENT[2]),
    ]
    rows = [
        (name, _mean(small, figure, decimals), _mean(large, figure, decimals), paper)
        for name, figure, decimals, paper in kinds
    ]
    return markdown(head, rows)


def bootstrap_table(results: Results) -> str:
    """Return how long it takes until all see all, and how many sizes were reported on the way."""
    head = ("N", "runs", "until all report N, s", "paper", "unique sizes", "paper", "swaps", "undone")
    rows = []
    for kind, found in results.items():
        if kind.fault == "bootstrap":
            time, unique = PAPER_BOOTSTRAP.get(kind.nodes, (NOT_SAID, NOT_SAID))
            rows.append(
                (
                    kind.nodes,
                    len(found),
                    _mean(found, lambda one: one.seconds[-1].at - SEED_ALONE),
                    time,
                    _mean(found, lambda one: one.unique, 0),
                    unique,
                    _mean(found, lambda one: len(one.swaps)),
                    _mean(found, lambda one: one.undone),
                )
            )
    return markdown(head, rows)


def panels(results: Results) -> list[Panel]:
    """Return how many members are missing from healthy views over time, and sizes while bootstrapping."""
    drawn = []
    for fault in ("crash", "ingress", "loss", "bootstrap"):
        sizes = [kind for kind in results if kind.fault == fault and not kind.reconnect]
        if sizes:
            kind = max(sizes, key=lambda kind: kind.nodes)
            one = results[kind][0]
            drawn.append(_bootstrap(kind, one) if fault == "bootstrap" else _missing(kind, one))
    return drawn


def _missing(kind: Kind, one: Found) -> Panel:
    corners = _corners(_during(one))
    xs = [each.at - FAULT_AT for each in corners]
    most = [kind.nodes - each.low for each in corners]
    least = [kind.nodes - each.high for each in corners]
    return Panel(
        title=kind.title,
        x="seconds since the fault began",
        y="members missing from healthy views",
        series=[
            Series("in the view that misses most", xs, most),
            Series("in the view that misses least", xs, least),
            Series("the balancer swaps", one.swaps, [0.0] * len(one.swaps), is_paper=True),
        ],
    )


def _bootstrap(kind: Kind, one: Found) -> Panel:
    seconds = _corners([each for each in one.seconds if each.at > SEED_ALONE])
    xs = [each.at - SEED_ALONE for each in seconds]
    return Panel(
        title=kind.title,
        x="seconds since the others start",
        y="sizes reported",
        series=[
            Series("largest", xs, [each.high for each in seconds]),
            Series("smallest", xs, [each.low for each in seconds]),
        ],
    )


def _faults(results: Results) -> Iterable[tuple[Kind, list[Found]]]:
    return ((kind, found) for kind, found in results.items() if kind.fault != "bootstrap")


def _during(one: Found) -> list[Second]:
    return [each for each in one.seconds if each.at > FAULT_AT]


def _corners(seconds: Sequence[Second]) -> list[Second]:
    """Return the seconds next to a change, the first and the last: the line through them is the same."""
    return [
        each
        for i, each in enumerate(seconds)
        if {(near.low, near.high) for near in seconds[max(0, i - 1) : i + 2]} != {(each.low, each.high)}
        or i in (0, len(seconds) - 1)
    ]


def _share(one: Found, holds: Callable[[Second], bool]) -> float:
    seconds = _during(one)
    return 100.0 * sum(map(holds, seconds)) / len(seconds)


def _share_without_victims(nodes: int) -> Callable[[Found], float]:
    return lambda one: _share(one, lambda second: second.high <= nodes - VICTIMS)


def _mean(found: Sequence[Found], figure: Callable[[Found], float], decimals: int = 1, unit: str = "") -> str:
    """Return the mean with its interval; without one if there are too few runs, or all say the same."""
    if not found:
        return NOT_SAID
    values = [figure(one) for one in found]
    if len(values) < 3 or len(set(values)) == 1:
        return f"{mean(values).value:.{decimals}f}{unit}"
    return mean(values).text(decimals) + unit
