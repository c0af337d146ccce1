"""One trial: what happens to one cluster of one contender, and what is measured on the way.

A trial runs in a process of its own (`python -m benchmarks.convergence.trial`), because it runs in a network
namespace of its own. It prints its figures as one JSON object.
"""

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from types import FrameType

from benchmarks.convergence.cluster import Agent, Cluster, TrialFailedError
from benchmarks.convergence.contender import CONTENDERS, Contender
from benchmarks.convergence.namespace import raise_loopback
from benchmarks.convergence.ping_flood import flood
from benchmarks.convergence.proc import cpu_seconds, memory, traffic
from gossip.ipc.client import AgentUnreachableError, Client

RETRY_INTERVAL = "1s"
"""Both retry a join this often; Serf's default of 30 s would be most of the figure."""
JOIN_LIMIT = 90.0
NEWS_LIMIT = 75.0
"""Seconds that a leave or a changed tag may take: whom gossip missed, a push/pull tells, every 30 s."""
DETECTION_LIMIT = 60.0
CALM = 10.0
"""Seconds after a join until it is no longer talked about; measured rest starts then."""
BETWEEN_ACTS = (3.0, 4.0)
"""Seconds between two acts: the news of the first have run out by then. News are seen right after a gossip
tick; a constant pause would let every act fall upon the same moment of the next ticks."""
SPREAD = 2.0
"""Seconds over which the agents of a cluster are started. Serf's tickers run in step if its agents start in
step; real clusters, started over time on many machines, do not."""
MILLISECONDS = 1000.0
MINUTE = 60.0
MEGABYTE = 1e6

Figures = dict[str, float]


def solo(contender: Contender, folder: Path) -> Figures:
    """Measure one agent alone: its start, and how many pings it answers."""
    with Cluster(contender, 1, folder) as cluster:
        began = cluster.start()
        (answered,) = cluster.connect()
        (agent,) = cluster.agents
        busy = cpu_seconds(agent.pid)
        pairs = flood(agent)
        return {
            "start": (answered - began) * MILLISECONDS,
            "start_cpu": busy * MILLISECONDS,
            "pairs": pairs.per_second,
            "pairs_per_cpu": pairs.per_cpu_second,
        }


def cold_start(contender: Contender, size: int, folder: Path) -> Figures:
    """Start everything at once with a seed to be found, until all see all."""
    with Cluster(contender, size, folder) as cluster:
        began = cluster.start(f"-retry-join={cluster.seed}", f"-retry-interval={RETRY_INTERVAL}")
        cluster.connect()
        seen = cluster.watch("start", _sees(size), cluster.agents, JOIN_LIMIT)
        return {"cold_start": max(seen) - began}


def life(contender: Contender, size: int, rest: float, folder: Path) -> Figures:
    """Lead a cluster through join, rest, a changed tag, a leave and a crash."""
    with Cluster(contender, size, folder) as cluster:
        cluster.start(spread=SPREAD)
        cluster.connect()
        time.sleep(random.uniform(*BETWEEN_ACTS))
        figures = _join(cluster)
        cluster.disconnect()
        time.sleep(CALM)
        figures |= _rest(cluster, rest)
        cluster.connect()
        time.sleep(random.uniform(*BETWEEN_ACTS))
        *_, changer, leaver, victim = cluster.agents
        figures |= _change_tag(cluster, changer)
        time.sleep(random.uniform(*BETWEEN_ACTS))
        figures |= _leave(cluster, leaver)
        time.sleep(random.uniform(*BETWEEN_ACTS))
        return figures | _crash(cluster, victim)


def _join(cluster: Cluster) -> Figures:
    """Tell all agents but the seed to join it, at the same time."""
    others = cluster.agents[1:]
    began = time.monotonic()
    cluster.each(lambda agent: agent.ipc.join([cluster.seed]), others)
    seen = cluster.watch("join", _sees(cluster.size), cluster.agents, JOIN_LIMIT)
    for agent in cluster.agents:
        alive = sum(member.status == "alive" for member in agent.ipc.members())
        if alive != cluster.size:
            raise TrialFailedError(f"join: {agent.name} sees {alive} of {cluster.size} alive")
    return {"join": max(seen) - began}


def _rest(cluster: Cluster, seconds: float) -> Figures:
    """Leave the cluster alone for a while: nobody asks it anything."""
    pids = [agent.pid for agent in cluster.agents]
    began = time.monotonic()
    carried, busy = traffic(), sum(map(cpu_seconds, pids))
    time.sleep(seconds)
    lasted = time.monotonic() - began
    busy, carried = sum(map(cpu_seconds, pids)) - busy, traffic().since(carried)
    used = [memory(pid) for pid in pids]
    agent_seconds = lasted * cluster.size
    return {
        "rss": median(one.resident for one in used) / MEGABYTE,
        "private": median(one.private_dirty for one in used) / MEGABYTE,
        "anonymous": median(one.anonymous for one in used) / MEGABYTE,
        "cpu": busy / agent_seconds * MINUTE,
        "datagrams": carried.datagrams / agent_seconds,
        "bytes": carried.ip_bytes / agent_seconds,
    }


def _change_tag(cluster: Cluster, changer: Agent) -> Figures:
    """Change a tag of one agent, until all others know."""

    def act() -> None:
        changer.ipc.change_tags({"release": "2"})

    def seen(client: Client) -> bool:
        rows = client.members_filtered(name=changer.name)
        return bool(rows) and rows[0].tags.get("release") == "2"

    return {"tag_last": max(delays(cluster, changer, act, seen, NEWS_LIMIT))}


def _leave(cluster: Cluster, leaver: Agent) -> Figures:
    """Let one agent leave gracefully, until all others call it left."""
    known = delays(cluster, leaver, leaver.ipc.leave, calls(leaver, "left"), NEWS_LIMIT)
    leaver.kill()
    cluster.agents.remove(leaver)
    return {"leave_first": min(known), "leave_last": max(known)}


def _crash(cluster: Cluster, victim: Agent) -> Figures:
    """Kill one agent, until all others call it failed."""
    known = delays(cluster, victim, victim.kill, calls(victim, "failed"), DETECTION_LIMIT)
    return {"crash_first": min(known), "crash_last": max(known)}


def delays(
    cluster: Cluster, actor: Agent, act: Callable[[], None], seen: Callable[[Client], bool], limit: float
) -> list[float]:
    """Let `actor` act; return after how many seconds each of the others has `seen` it."""
    others = [agent for agent in cluster.agents if agent is not actor]
    began = time.monotonic()
    acting = cluster.begin(act)
    times = cluster.watch(f"what {actor.name} did", seen, others, limit)
    try:
        acting.result(limit)
    except TimeoutError:
        raise TrialFailedError(f"{actor.name} does not end what it did") from None
    return [at - began for at in times]


def _sees(size: int) -> Callable[[Client], bool]:
    return lambda client: client.stats()["serf"]["members"] == str(size)


def calls(agent: Agent, status: str) -> Callable[[Client], bool]:
    """Return the question whether another agent shows `agent` with this status."""
    return lambda client: any(row.status == status for row in client.members_filtered(name=agent.name))


def run(contender: Contender, size: int, rest: float) -> Figures:
    """Run the whole trial: one agent alone, or a cluster of `size` from cold start to crash."""
    with tempfile.TemporaryDirectory(prefix="convergence-") as name:
        folder = Path(name)
        if size == 1:
            return solo(contender, folder)
        return cold_start(contender, size, folder) | life(contender, size, rest, folder)


def stop_on_signals() -> None:
    """Let SIGTERM and Ctrl-C raise SystemExit: on the way out all that was started is ended."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit("stopped")

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def main(arguments: Sequence[str]) -> int:
    """Run one trial as the parent process asks for; print its figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("size", type=int)
    parser.add_argument("--rest", type=float, required=True)
    parser.add_argument("--isolated", action="store_true", help="this is a new network namespace")
    wanted = parser.parse_args(arguments)
    stop_on_signals()
    if wanted.isolated:
        raise_loopback()
    try:
        figures = run(CONTENDERS[wanted.contender], wanted.size, wanted.rest)
    except (TrialFailedError, AgentUnreachableError) as error:
        print(f"trial failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
