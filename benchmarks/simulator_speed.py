"""How fast the simulator runs the core: virtual seconds per CPU second of one core, and the memory for it.

Three experiments, each in a process of its own: a calm cluster of a thousand in which one member crashes, a
thousand that join through three seeds at once, and 128 that join and go on. CPU seconds of the process are
counted, not wall time, so that other work on the machine moves the figures less. `--profile` says where the
time goes instead, by module.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gossip.sim.acts import Crash
from gossip.sim.agreement import Agreement
from gossip.sim.scenario import Scenario
from gossip.sim.trace import Trace
from gossip.sim.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable

STORM_DEADLINE = 600.0
"""Virtual seconds after which a join storm is given up."""
TIMEOUT = 3600.0
"""Wall seconds that one experiment may take."""
TOP_MODULES = 12


class Figures(NamedTuple):
    """What one run took; times in seconds."""

    setup: float  # CPU before the measurement
    virtual: float
    cpu: float
    packets: int
    parts: int  # messages that nodes received
    peak_mib: float
    note: str = ""


class CountingTrace(Trace):
    """Counts the messages that nodes receive, besides its own work."""

    def __init__(self) -> None:
        super().__init__()
        self.messages = 0

    def packet(self, now: float, sender: int, target: int, parts: int) -> None:
        """See `Trace`."""
        self.messages += parts
        super().packet(now, sender, target, parts)


def _counted(trial: Trial) -> CountingTrace:
    trace = CountingTrace()
    trial.cluster.trace = trial.cluster.driver.trace = trace
    return trace


def calm(nodes: int) -> Figures:
    """Agreed views, LAN profile, 60 s with one crash."""
    scenario = Scenario(
        seed=1, nodes=nodes, start="agreed", duration=60.0, acts=(Crash(at=10.0, node="n17"),)
    )
    return _run(scenario, 60.0)


def joining(nodes: int) -> Figures:
    """A join storm through three seeds and what follows, 60 s in all."""
    return _run(Scenario(seed=1, nodes=nodes, seeds=3, spread=1.0, duration=60.0), 60.0)


def storm(nodes: int) -> Figures:
    """A join storm within ten seconds through three seeds, until all views agree."""
    scenario = Scenario(seed=1, nodes=nodes, seeds=3, spread=10.0)
    trial = Trial(scenario, checks=False)
    counter = _counted(trial)
    start = time.process_time()
    trial.start()
    cluster = trial.cluster
    agreement = Agreement(cluster, scenario.names)
    cluster.observers.append(agreement)
    while not agreement.holds():
        if cluster.now >= STORM_DEADLINE:
            sys.exit(f"simulator_speed: no agreement after {STORM_DEADLINE:g} s: {agreement.missing(3)}")
        trial.advance(cluster.now + 1.0)
    cpu, agreed, parts = time.process_time() - start, cluster.now, counter.messages
    while agreement.missing(1):
        trial.advance(cluster.now + 5.0)
    drained = time.process_time() - start
    spent = f"{drained:.0f} CPU s and {counter.messages:,} messages"
    note = f"nothing left to tell at {cluster.now:g} s, after {spent}"
    return Figures(0.0, agreed, cpu, cluster.driver.packets, parts, _peak_mib(), note)


EXPERIMENTS: dict[str, tuple[str, Callable[[int], Figures], int]] = {
    "calm": ("agreed views, one crash, 60 s", calm, 1000),
    "joining": ("join storm within 1 s and what follows, 60 s", joining, 128),
    "storm": ("join storm within 10 s through 3 seeds, until all agree", storm, 1000),
}


def _run(scenario: Scenario, until: float) -> Figures:
    start = time.process_time()
    trial = Trial(scenario, checks=False)
    counter = _counted(trial)
    trial.start()
    for act in scenario.acts:
        trial.cluster.schedule.at(act.at, partial(trial.perform, act))
    setup = time.process_time() - start
    trial.advance(until)
    cpu = time.process_time() - start - setup
    return Figures(setup, until, cpu, trial.cluster.driver.packets, counter.messages, _peak_mib())


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _alone(name: str, nodes: int) -> Figures:
    """Run one experiment in a process of its own, so that its memory is its own."""
    command = [sys.executable, "-m", "benchmarks.simulator_speed", "--only", name, "--nodes", str(nodes)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=TIMEOUT)
    return Figures(*json.loads(done.stdout))


def _table() -> None:
    print("| experiment | nodes | virtual s | CPU s | x real time | packets | messages | peak MiB |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    notes = []
    for name, (title, _, nodes) in EXPERIMENTS.items():
        f = _alone(name, nodes)
        print(
            f"| {title} | {nodes} | {f.virtual:g} | {f.cpu:.1f} | {f.virtual / f.cpu:.1f} "
            f"| {f.packets:,} | {f.parts:,} | {f.peak_mib:.0f} |",
            flush=True,
        )
        if f.note:
            notes.append(f"{title}: {f.note}")
        if f.setup > 1.0:
            notes.append(f"{title}: acquainting {nodes} nodes beforehand took {f.setup:.1f} CPU s")
    print("\n" + "\n".join(notes))


def _profile(name: str, nodes: int) -> None:
    """Print each module's own share of the time."""
    profile = cProfile.Profile()
    profile.runcall(EXPERIMENTS[name][1], nodes)
    shares: Counter[str] = Counter()
    for (path, _, function), row in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        own = row[2]
        built_in = "built-in: " + function if path == "~" else ""
        shares[built_in or "/".join(Path(path).with_suffix("").parts[-2:])] += own
    total = sum(shares.values())
    print(f"{name}, {nodes} nodes: own time by module, under the profiler")
    for module, own in shares.most_common(TOP_MODULES):
        print(f"{own / total:6.1%}  {module}")


def main() -> None:
    """Print the table, or one experiment's figures or profile."""
    parser = argparse.ArgumentParser(prog="simulator_speed", description=__doc__)
    parser.add_argument("--only", choices=EXPERIMENTS, help="one experiment, its figures as JSON")
    parser.add_argument("--profile", choices=EXPERIMENTS, help="where the time goes in one experiment")
    parser.add_argument("--nodes", type=int, help="another size")
    chosen = parser.parse_args()
    name = chosen.only or chosen.profile
    if name is None:
        _table()
    elif chosen.profile:
        _profile(name, chosen.nodes or EXPERIMENTS[name][2])
    else:
        print(json.dumps(EXPERIMENTS[name][1](chosen.nodes or EXPERIMENTS[name][2])))


if __name__ == "__main__":
    main()
