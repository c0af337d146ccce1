"""Run the trials, ours and Serf's in turn, and print the table.

    python -m benchmarks.convergence                  # 8 and 32 agents, five trials: about 35 minutes
    python -m benchmarks.convergence --sizes 1,4 --trials 1 --rest 10

Needs Serf on the PATH. Each trial runs in a network namespace of its own if this user may make one.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.convergence.contender import CONTENDERS, OURS, Contender, environment
from benchmarks.convergence.namespace import isolating_command
from benchmarks.convergence.table import Trials, lines
from benchmarks.convergence.trial import stop_on_signals

SIZES = "1,8,32"
TRIALS = 5
REST = 60.0
MIN_CLUSTER, MAX_CLUSTER = 4, 64
"""One agent each changes, leaves and crashes, and one must be left to see it."""
TRIAL_LIMIT = 600.0
"""Seconds; the bounds inside a trial add up to less, rest excluded."""
STOP_LIMIT = 30.0


def run_trial(
    contender: Contender, size: int, rest: float, isolate: Sequence[str]
) -> dict[str, float] | None:
    """Run one trial in a process of its own; None if it failed, which it has then told on standard error."""
    command = [*isolate, sys.executable, "-m", "benchmarks.convergence.trial", contender.name, str(size)]
    command += [f"--rest={rest}", *(["--isolated"] if isolate else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as trial:
        try:
            output, _ = trial.communicate(timeout=TRIAL_LIMIT + rest)
        except BaseException as error:  # interrupted, or too late: either way it must kill its agents
            trial.terminate()
            trial.communicate(timeout=STOP_LIMIT)
            if isinstance(error, subprocess.TimeoutExpired):
                print("trial failed: it does not end", file=sys.stderr)
                return None
            raise
    if trial.returncode:
        return None
    figures: dict[str, float] = json.loads(output)
    return figures


def measure(
    sizes: Sequence[int], trials: int, rest: float, isolate: Sequence[str]
) -> dict[int, dict[str, Trials]]:
    """Run everything; whatever else the machine does should hit both contenders, so they take turns."""
    run_trial(OURS, 1, 0.0, isolate)  # fills the bytecode cache and the disk's
    results: dict[int, dict[str, Trials]] = {}
    for size in sizes:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
        for number in range(trials):
            for contender in CONTENDERS.values():
                began = time.monotonic()
                figures = run_trial(contender, size, rest, isolate)
                took = time.monotonic() - began
                said = "failed" if figures is None else " ".join(f"{k}={v:.4g}" for k, v in figures.items())
                print(f"N={size} {contender.name} {number + 1}/{trials} {took:.0f}s: {said}", file=sys.stderr)
                if figures is not None:
                    found[contender.name].append(figures)
        results[size] = {name: tuple(figures) for name, figures in found.items()}
    return results


def report(results: dict[int, dict[str, Trials]], trials: int, *, isolated: bool) -> int:
    """Print the table and what it rests on; return how many trials failed."""
    print(
        f"min / median / max of {trials} trials; {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    if not isolated:
        print("no network namespace to be had here (run as root): packets and bytes are not measured")
    print()
    print("\n".join(lines(results, isolated=isolated)))
    failed = sum(trials - len(done) for found in results.values() for done in found.values())
    if failed:
        print(f"\n{failed} trials failed and are left out")
    return failed


def main(arguments: Sequence[str]) -> int:
    """Return 0 if all trials could be measured, 1 if some failed, 2 if it cannot run at all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.convergence", description="ours beside Serf")
    parser.add_argument("--sizes", default=SIZES, help=f"agents; 1 is the start and the pings [{SIZES}]")
    parser.add_argument("--trials", type=int, default=TRIALS, help=f"trials of each [{TRIALS}]")
    parser.add_argument("--rest", type=float, default=REST, help=f"seconds of measured rest [{REST:g}]")
    wanted = parser.parse_args(arguments)
    sizes = [int(size) for size in wanted.sizes.split(",")]
    if any(size != 1 and not MIN_CLUSTER <= size <= MAX_CLUSTER for size in sizes):
        parser.error(f"a size must be 1 or from {MIN_CLUSTER} to {MAX_CLUSTER}")
    if shutil.which("serf") is None:
        parser.error("serf is not installed (Debian: apt-get install serf)")
    stop_on_signals()
    isolate = isolating_command()
    results = measure(sizes, wanted.trials, wanted.rest, isolate)
    return 1 if report(results, wanted.trials, isolated=bool(isolate)) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
