"""What the commands of all papers have in common: flags, progress, where results and plots go."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from benchmarks.papers.plot import draw, is_available
from benchmarks.papers.pool import MOST_JOBS, Journal, Result, Work, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.papers.plot import Panel

SAY_EVERY = 10.0
"""Seconds between two words of progress, on standard error."""


def flags(paper: str, description: str) -> ArgumentParser:
    """Return a parser with the flags that all papers share."""
    parser = ArgumentParser(prog=f"python -m benchmarks.papers.{paper}", description=description)
    parser.add_argument("--jobs", type=int, default=1, help=f"processes, at most {MOST_JOBS} [1]")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIRECTORY",
        help="keep the results of single runs; those kept are not redone",
    )
    parser.add_argument("--kept-only", action="store_true", help="no new runs: the tables of what is kept")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the plots there (needs matplotlib)")
    return parser


def understand(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Return the arguments; a flag that cannot be honoured ends the program with code 2."""
    wanted = parser.parse_args(arguments)
    if not 1 <= wanted.jobs <= MOST_JOBS:
        parser.error(f"--jobs must be from 1 to {MOST_JOBS}, not {wanted.jobs}")
    if wanted.svg is not None and not is_available():
        parser.error("--svg needs matplotlib: pip install --require-hashes -r requirements-bench.lock")
    if wanted.kept_only and wanted.keep is None:
        parser.error("--kept-only needs --keep DIRECTORY, where the results are")
    if wanted.keep is not None:
        try:
            wanted.keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"cannot keep results in {wanted.keep}: {error}")
    return wanted


def measure(
    name: str, task: Callable[[Work], Result], work: Iterable[Work], result: type[Result], wanted: Namespace
) -> list[tuple[Work, Result]]:
    """Do all the work of the experiment `name`, tell how far it is, and return what was found.

    With `kept_only` in the arguments nothing is done: what is kept is returned.
    """
    path = None if wanted.keep is None else wanted.keep / f"{name}.jsonl"
    journal: Journal[Work, Result] = Journal(path, result)
    pieces = [piece for piece in work if not wanted.kept_only or journal.get(piece) is not None]
    found = []
    began = said = monotonic()
    for pair in gather(task, pieces, jobs=wanted.jobs, journal=journal):
        found.append(pair)
        if monotonic() - said >= SAY_EVERY:
            said = monotonic()
            print(f"{name}: {len(found)} of {len(pieces)}, {said - began:.0f} s", file=sys.stderr, flush=True)
    return found


def picture(wanted: Namespace, panels: Sequence[Panel]) -> None:
    """Draw the panels if that was asked for."""
    if wanted.svg is not None:
        draw(wanted.svg, panels)
        print(f"plots: {wanted.svg}", file=sys.stderr)
