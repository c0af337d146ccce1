"""A cluster of agents as processes, each on a loopback address of its own, and an IPC client for each.

Nothing outlives the `with` block: every agent is killed by its process id and reaped.
"""

import random
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from benchmarks.convergence.contender import Contender, environment
from gossip.ipc.client import AgentUnreachableError, Client

BLOCK = "127.9"
MAX_AGENTS = 250
START_LIMIT = 60.0
"""Seconds until all agents must answer; 32 interpreters on a busy core start for a while."""
CONNECT_PAUSE = 0.002
"""Seconds between two attempts to reach an agent that is starting: the resolution of that figure."""
QUESTIONS_PER_SECOND = 640
"""Asked of a cluster while it is watched: few enough not to be what keeps it busy."""
REAP_LIMIT = 10.0
LOG_TAIL = 400

T = TypeVar("T")


class TrialFailedError(Exception):
    """Something did not happen in time; the text says what, and for which agents."""


@dataclass
class Agent:
    """One running agent."""

    name: str
    host: str
    process: subprocess.Popen[bytes]
    log: Path
    client: Client | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    @property
    def ipc(self) -> Client:
        """The open connection to it."""
        assert self.client is not None
        return self.client

    def connect(self, deadline: float) -> float:
        """Open the connection as soon as the agent lists its members; return the time of that."""
        while True:
            try:
                client = Client(f"{self.host}:7373")
                client.members()
            except AgentUnreachableError as error:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    tail = self.log.read_text(errors="replace")[-LOG_TAIL:]
                    raise TrialFailedError(f"{self.name} does not answer: {error}; its log: {tail}") from None
                time.sleep(CONNECT_PAUSE)
            else:
                self.client = client
                return time.monotonic()

    def disconnect(self) -> None:
        """Close the connection, so that the agent is truly left alone."""
        if self.client is not None:
            self.client.close()
            self.client = None

    def kill(self) -> None:
        """End the process without a chance to say goodbye, and reap it."""
        self.disconnect()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(REAP_LIMIT)


class Cluster:
    """`size` agents of one contender."""

    def __init__(self, contender: Contender, size: int, folder: Path) -> None:
        assert 0 < size <= MAX_AGENTS
        self._contender = contender
        self._folder = folder
        self.size = size
        self.agents: list[Agent] = []
        self._pool = ThreadPoolExecutor(max_workers=size)

    def __enter__(self) -> Self:
        """Return the cluster; nothing runs yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill and reap all agents."""
        for agent in self.agents:
            agent.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def seed(self) -> str:
        """The address of the first agent."""
        return f"{BLOCK}.1.1"

    @property
    def poll_pause(self) -> float:
        """Seconds between two questions to one agent."""
        return self.size / QUESTIONS_PER_SECOND

    def start(self, *options: str, spread: float = 0.0) -> float:
        """Start all agents, at once or over about `spread` seconds; return when the first was started."""
        began = time.monotonic()
        for number in range(1, self.size + 1):
            if spread:
                time.sleep(random.uniform(0.0, 2.0 * spread / self.size))
            self.agents.append(self._launch(f"n{number}", f"{BLOCK}.1.{number}", options))
        return began

    def restart(self, agent: Agent, *options: str) -> Agent:
        """Kill `agent` and start it anew under its name and address; return it when it answers."""
        agent.kill()
        self.agents.remove(agent)
        fresh = self._launch(agent.name, agent.host, options)
        self.agents.append(fresh)
        fresh.connect(time.monotonic() + START_LIMIT)
        return fresh

    def connect(self) -> list[float]:
        """Connect to every agent; return when each of them first answered."""
        deadline = time.monotonic() + START_LIMIT
        return self.each(lambda agent: agent.connect(deadline), self.agents)

    def disconnect(self) -> None:
        """Close all connections."""
        for agent in self.agents:
            agent.disconnect()

    def each(self, act: Callable[[Agent], T], agents: Sequence[Agent]) -> list[T]:
        """Do `act` with all `agents` at the same time and return the results in order."""
        return list(self._pool.map(act, agents))

    def begin(self, act: Callable[[], T]) -> Future[T]:
        """Start `act` and return at once."""
        return self._pool.submit(act)

    def watch(
        self, what: str, seen: Callable[[Client], bool], agents: Sequence[Agent], limit: float
    ) -> list[float]:
        """Ask `agents` until `seen` holds for each; return when each of them first said so.

        Each is asked every `poll_pause` seconds, which is the resolution of the times.

        Raises:
            TrialFailedError: some do not say so within `limit` seconds.
        """
        deadline = time.monotonic() + limit

        def watch_one(agent: Agent) -> float | None:
            while time.monotonic() < deadline:
                if seen(agent.ipc):
                    return time.monotonic()
                time.sleep(self.poll_pause)
            return None

        times = self.each(watch_one, agents)
        missing = [agent.name for agent, at in zip(agents, times, strict=True) if at is None]
        if missing:
            raise TrialFailedError(f"{what}: not within {limit:g} s on {', '.join(missing)}")
        return [at for at in times if at is not None]

    def _launch(self, name: str, host: str, options: Sequence[str]) -> Agent:
        log = self._folder / f"{name}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                self._contender.command(name, host, *options),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=environment(),
            )
        return Agent(name, host, process, log)
