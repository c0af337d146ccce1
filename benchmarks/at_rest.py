"""Memory and CPU of agents at rest: this checkout beside another one, in the same minute.

    python benchmarks/at_rest.py --python ../other/.venv/bin/python              # four agents of each, 60 s
    python benchmarks/at_rest.py --python ../other/.venv/bin/python --agents 8 --rest 120

Each side is a cluster of its own, on loopback addresses (127.78.x.y). They are started in turn, so that what
else the machine does affects both. Printed is the median agent's memory and the mean of all agents' CPU.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.convergence.contender import environment
from benchmarks.convergence.proc import cpu_seconds, memory

AGENTS, MAX_AGENTS = 4, 32
REST = 60.0
START_PAUSE = 0.5
"""Seconds between two starts: an interpreter that starts keeps a core busy."""
SETTLE = 20.0
"""Seconds from the last start to the rest: joins are over, and threads that were used for them have ended."""
MEGABYTE = 1e6


def start(python: str, cluster: int, number: int) -> subprocess.Popen[bytes]:
    """Start agent `number` of a cluster; all but the first join the first."""
    host = f"127.78.{cluster}.{number}"
    # As people start it: with "-m", runpy would take memory, too.
    command = [str(Path(python).with_name("gossip")), "agent", f"-node=n{number}", f"-bind={host}:7946"]
    command += [f"-rpc-addr={host}:7373"]
    if number > 1:
        command += [f"-retry-join=127.78.{cluster}.1"]
    return subprocess.Popen(
        command, cwd="/", env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def describe(name: str, pids: Sequence[int], used: Sequence[float], rest: float) -> str:
    """Return the figures of one side as a row of a table; `used` are CPU seconds during the rest."""
    found = [memory(pid) for pid in pids]
    sizes = [
        median(each.resident for each in found),
        median(each.private_dirty for each in found),
        median(each.anonymous for each in found),
    ]
    shares = [100 * seconds / rest for seconds in used]
    cells = [name, *(f"{size / MEGABYTE:.2f}" for size in sizes)]
    cells += [f"{fmean(shares):.4f}", f"{min(shares):.4f} to {max(shares):.4f}"]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str]) -> int:
    """Start both sides, let them rest, print a table; 1 if an agent ended."""
    parser = argparse.ArgumentParser(description="agents at rest, beside another checkout's")
    parser.add_argument("--python", required=True, help="the interpreter of the other checkout's environment")
    parser.add_argument("--agents", type=int, default=AGENTS, help=f"agents of each side [{AGENTS}]")
    parser.add_argument("--rest", type=float, default=REST, help=f"seconds of measured rest [{REST:g}]")
    wanted = parser.parse_args(arguments)
    if not 0 < wanted.agents <= MAX_AGENTS:
        parser.error(f"--agents must be from 1 to {MAX_AGENTS}")
    pythons = {"other": str(Path(wanted.python).absolute()), "this": sys.executable}
    running: dict[str, list[subprocess.Popen[bytes]]] = {name: [] for name in pythons}
    try:
        for number in range(1, wanted.agents + 1):
            for cluster, (name, python) in enumerate(pythons.items(), 1):
                running[name].append(start(python, cluster, number))
                time.sleep(START_PAUSE)
        time.sleep(SETTLE)
        pids = {name: [agent.pid for agent in agents] for name, agents in running.items()}
        before = {name: [cpu_seconds(pid) for pid in each] for name, each in pids.items()}
        began = time.monotonic()
        time.sleep(wanted.rest)
        after = {name: [cpu_seconds(pid) for pid in each] for name, each in pids.items()}
        rest = time.monotonic() - began
        if any(agent.poll() is not None for agents in running.values() for agent in agents):
            print("an agent ended: is 127.78.0.0/16 in use?", file=sys.stderr)
            return 1
        print("| | RSS, MB | private dirty, MB | anonymous, MB | CPU, % of a core | least to most |")
        print("|---|--:|--:|--:|--:|--:|")
        for name in pythons:
            used = [end - start for start, end in zip(before[name], after[name], strict=True)]
            print(describe(name, pids[name], used, rest))
    finally:
        for agent in (agent for agents in running.values() for agent in agents):
            agent.kill()
            agent.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
