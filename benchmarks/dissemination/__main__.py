"""Run the simulator's part and print its table; `benchmarks.dissemination.agents` is the other part.

python -m benchmarks.dissemination --keep DIRECTORY    # a quarter of an hour of one core
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence

from benchmarks.dissemination.experiment import Found, Run, perform, runs
from benchmarks.papers.command import flags, measure, understand
from benchmarks.papers.confidence import proportion, quantile
from benchmarks.papers.table import markdown

HEAD = (
    "members",
    "loss",
    "rule",
    "broadcasts",
    "missed somebody, %",
    "last hears, median s",
    "99 %",
    "latest",
    "datagrams / member",
)


def main(arguments: Sequence[str]) -> int:
    """Return 0 when the table is printed; 2 if the flags make no sense."""
    parser = flags("dissemination", "broadcasts that miss somebody, by memberlist's rule and by ours")
    wanted = understand(parser, arguments)
    print(table(measure("dissemination", perform, runs(), Found, wanted)))
    return 0


def table(results: Iterable[tuple[Run, Found]]) -> str:
    """Return a row for each size, loss and rule; runs that differ only in the seed are one measurement."""
    cells: dict[tuple[int, float, str], list[tuple[Run, Found]]] = defaultdict(list)
    for run, found in results:
        cells[run.members, run.loss, run.rule].append((run, found))
    return markdown(HEAD, (_row(*key, pairs) for key, pairs in cells.items()))


def _row(members: int, loss: float, rule: str, pairs: Sequence[tuple[Run, Found]]) -> tuple[object, ...]:
    broadcasts = sum(run.broadcasts for run, _ in pairs)
    missed = sum(found.missed for _, found in pairs)
    lasts = sorted(last for _, found in pairs for last in found.lasts)
    datagrams = sum(found.datagrams * run.broadcasts for run, found in pairs) / broadcasts
    return (
        members,
        f"{100 * loss:g} %",
        rule,
        broadcasts,
        proportion(missed, broadcasts).scaled(100.0).text(3),
        f"{quantile(lasts, 0.5):.2f}",
        f"{quantile(lasts, 0.99):.2f}",
        f"{lasts[-1]:.2f}",
        f"{datagrams:.1f}",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
