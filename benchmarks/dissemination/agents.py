"""Leaves and tag changes in clusters of eight real agents: when does the last of the others know?

    python -m benchmarks.dissemination.agents                # 100 of each, ours and Serf's: seven minutes
    python -m benchmarks.dissemination.agents --acts 4       # a look

Each cluster runs in a network namespace of its own, so that all run at the same time under the same load.
Needs Serf on the PATH, and a user that may make namespaces.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from benchmarks.convergence.cluster import Agent, Cluster, TrialFailedError
from benchmarks.convergence.contender import CONTENDERS, Contender, environment
from benchmarks.convergence.namespace import isolating_command, raise_loopback
from benchmarks.convergence.trial import calls, delays, stop_on_signals
from benchmarks.papers.confidence import proportion, quantile
from benchmarks.papers.table import markdown
from gossip.ipc.client import AgentUnreachableError, Client

SIZE = 8
ACTS = 100
CLUSTERS = 2
"""Clusters of each contender among which the acts are shared out."""
NEWS_LIMIT = 100.0
"""Seconds until everybody must know: a push/pull tells whom gossip missed."""
PROMPT = 3.0
"""Seconds beyond which somebody was missed."""
PAUSE = (1.0, 2.0)
"""Seconds between two acts, so that the news of the first have run out."""
TIME = 560.0
"""Seconds after which a cluster begins no further act."""
GRACE = 120.0
SPREAD = 2.0

Times = dict[str, list[float]]


def live(contender: Contender, acts: int, folder: Path) -> Times:
    """Let members of one cluster change tags and leave in turn; return when the last of the others knew."""
    found: Times = {"tag change": [], "leave": []}
    end = time.monotonic() + TIME
    rng = Random()
    with Cluster(contender, SIZE, folder) as cluster:
        join = (f"-retry-join={cluster.seed}", "-retry-interval=1s")
        cluster.start(*join, spread=SPREAD)
        cluster.connect()
        cluster.watch("the start", _sees_all, cluster.agents, NEWS_LIMIT)
        for number in range(acts):
            if time.monotonic() > end:
                break
            time.sleep(rng.uniform(*PAUSE))
            found["tag change"].append(_change_tag(cluster, rng.choice(cluster.agents), str(number)))
            time.sleep(rng.uniform(*PAUSE))
            leaver = rng.choice([agent for agent in cluster.agents if agent.host != cluster.seed])
            found["leave"].append(
                max(delays(cluster, leaver, leaver.ipc.leave, calls(leaver, "left"), NEWS_LIMIT))
            )
            cluster.restart(leaver, *join)
            cluster.watch("the return", _sees_all, cluster.agents, NEWS_LIMIT)
    return found


def _change_tag(cluster: Cluster, changer: Agent, value: str) -> float:
    def act() -> None:
        changer.ipc.change_tags({"release": value})

    def seen(client: Client) -> bool:
        return any(row.tags.get("release") == value for row in client.members_filtered(name=changer.name))

    return max(delays(cluster, changer, act, seen, NEWS_LIMIT))


def _sees_all(client: Client) -> bool:
    return sum(member.status == "alive" for member in client.members()) == SIZE


def measure(acts: int, isolate: Sequence[str]) -> dict[str, Times]:
    """Run all clusters at once; one that fails tells it on standard error and counts for nothing."""
    children = []
    for name in CONTENDERS:
        for number in range(CLUSTERS):
            share = acts // CLUSTERS + (number < acts % CLUSTERS)
            command = [*isolate, sys.executable, "-m", "benchmarks.dissemination.agents"]
            command += [f"--acts={share}", f"--cluster-of={name}"]
            child = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment())
            children.append((name, child))
    found: dict[str, Times] = {name: {"tag change": [], "leave": []} for name in CONTENDERS}
    deadline = time.monotonic() + TIME + GRACE
    try:
        for name, child in children:
            output, _ = child.communicate(timeout=max(1.0, deadline - time.monotonic()))
            if child.returncode == 0:
                for act, times in json.loads(output).items():
                    found[name][act] += times
    finally:
        for _, child in children:
            child.terminate()  # it kills its agents
            child.wait(GRACE)
    return found


def table(found: dict[str, Times]) -> str:
    """Return a row for each contender and act."""
    rows = []
    for name, acts in found.items():
        for act, times in acts.items():
            if not times:
                rows.append((name, act, 0, "-", "-", "-", "-"))
                continue
            late = proportion(sum(at > PROMPT for at in times), len(times)).scaled(100.0)
            ordered = sorted(times)
            middle, high = quantile(ordered, 0.5), quantile(ordered, 0.95)
            slowest = ", ".join(f"{at:.1f}" for at in ordered[-3:])
            rows.append((name, act, len(times), f"{middle:.2f}", f"{high:.2f}", slowest, late.text(1)))
    head = ("agents", "act", "acts", "last knows, median s", "95 %", "three slowest", f"over {PROMPT:g} s, %")
    return markdown(head, rows)


def main(arguments: Sequence[str]) -> int:
    """Return 0 when the table is printed, 1 if a cluster failed, 2 if it cannot run at all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dissemination.agents", description="real agents"
    )
    parser.add_argument("--acts", type=int, default=ACTS, help=f"leaves, and tag changes, of each [{ACTS}]")
    parser.add_argument("--cluster-of", choices=CONTENDERS, help=argparse.SUPPRESS)
    wanted = parser.parse_args(arguments)
    stop_on_signals()
    if wanted.cluster_of:
        raise_loopback()
        try:
            with tempfile.TemporaryDirectory(prefix="dissemination-") as folder:
                print(json.dumps(live(CONTENDERS[wanted.cluster_of], wanted.acts, Path(folder))))
        except (TrialFailedError, AgentUnreachableError) as error:
            print(f"cluster of {wanted.cluster_of} failed: {error}", file=sys.stderr)
            return 1
        return 0
    isolate = isolating_command()
    if shutil.which("serf") is None or not isolate:
        parser.error("it needs serf (Debian: apt-get install serf) and network namespaces (run as root)")
    found = measure(wanted.acts, isolate)
    print(table(found))
    print("slowest of each act, in order:", json.dumps(found), file=sys.stderr)
    return 0 if all(len(times) == wanted.acts for acts in found.values() for times in acts.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
