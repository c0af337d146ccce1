"""Run the sampled grid, or all of it, and print the tables.

python -m benchmarks.papers.lifeguard --keep runs.jsonl         # interrupted, it goes on where it stopped
python -m benchmarks.papers.lifeguard --full --jobs 16
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.papers.lifeguard.experiment import Found, Run, perform
from benchmarks.papers.lifeguard.grid import sampled, whole
from benchmarks.papers.pool import MOST_JOBS, Journal, gather


def main(arguments: Sequence[str]) -> int:
    """Return 0 when the tables are printed, 2 if it cannot run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.papers.lifeguard", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the paper's whole grid: weeks of one core")
    parser.add_argument("--jobs", type=int, default=1, help=f"processes, at most {MOST_JOBS} [1]")
    parser.add_argument(
        "--keep", type=Path, help="a file for the results of single runs; those in it are not redone"
    )
    wanted = parser.parse_args(arguments)
    try:
        journal: Journal[Run, Found] = Journal(wanted.keep, Found)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    runs = list(whole() if wanted.full else sampled())
    done = []
    began = time.monotonic()
    for run, found in gather(perform, runs, jobs=wanted.jobs, journal=journal):
        done.append((run, found))
        print(f"{len(done)}/{len(runs)} {time.monotonic() - began:.0f} s", end="\r", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
