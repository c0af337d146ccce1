"""Real agents as processes, ours and Serf's, each on a loopback address of its own.

Verbs for tests: start, ask (through either command line), wait for a condition, stop by id. Everything is
bounded; whatever was started is killed at the end.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import randrange

OURS = (sys.executable, "-m", "gossip")
SERF = ("serf",)
COMMAND_TIMEOUT = 30.0


@dataclass
class Row:
    """What a command line says of one member."""

    address: str
    status: str
    tags: Mapping[str, str]


@dataclass
class Agent:
    """One running agent; `program` is the command that started it and its preferred client."""

    name: str
    host: str
    program: tuple[str, ...]
    process: subprocess.Popen[bytes]
    log: Path
    answers: list[str] = field(default_factory=list)

    @property
    def rpc(self) -> str:
        return f"{self.host}:7373"

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def wait(self, seconds: float) -> int:
        return self.process.wait(seconds)

    def run(self, *words: str, client: tuple[str, ...] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a sub-command of either client against this agent."""
        command, *rest = words
        return subprocess.run(
            [*(client or self.program), command, f"-rpc-addr={self.rpc}", *rest],
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )

    def members(self, client: tuple[str, ...] | None = None) -> dict[str, Row]:
        """Return the member list, by name; empty while the agent does not answer."""
        done = self.run("members", "-format=json", client=client)
        if done.returncode:
            return {}
        rows = json.loads(done.stdout)["members"] or []
        return {row["name"]: Row(row["addr"], row["status"], row["tags"]) for row in rows}

    def statuses(self) -> dict[str, str]:
        return {name: row.status for name, row in self.members().items()}


def free_block() -> str:
    """Return the first three numbers of loopback addresses that nobody uses, not even a second test run."""
    while True:
        block = f"127.{randrange(64, 128)}.{randrange(1, 255)}"
        with socket.socket() as probe:
            if probe.connect_ex((f"{block}.1", 7946)) != 0:
                return block


class Agents:
    """The agents of one test, in one block of loopback addresses."""

    def __init__(self, folder: Path) -> None:
        self._block = free_block()
        self._folder = folder
        self.all: list[Agent] = []

    def start(
        self,
        program: tuple[str, ...],
        name: str,
        *options: str,
        host: str = "",
        log_name: str = "",
        reply: Callable[[Agent], bool] = lambda agent: bool(agent.members()),
    ) -> Agent:
        """Start an agent, at an address of its own unless `host` is given, and wait until its IPC answers.

        `reply` finds out whether it does.
        """
        host = host or f"{self._block}.{len(self.all) + 1}"
        log = self._folder / f"{log_name or name}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [*program, "agent", f"-node={name}", f"-bind={host}", f"-rpc-addr={host}:7373", *options],
                stdout=sink,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        agent = Agent(name, host, program, process, log)
        self.all.append(agent)
        eventually(lambda: reply(agent), 20, f"{name} to answer: {log.read_text(errors='replace')}")
        return agent

    def stop(self) -> None:
        for agent in self.all:
            if agent.process.poll() is None:
                agent.process.kill()
            agent.process.wait(10)


@contextmanager
def agents(folder: Path) -> Iterator[Agents]:
    """Hand out `Agents` and kill them all at the end."""
    started = Agents(folder)
    try:
        yield started
    finally:
        started.stop()


def eventually(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until `condition` holds; return how long it took, fail after `seconds`."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"waited {seconds} s for {what}"
        time.sleep(0.05)
    return time.monotonic() - start


def has_serf() -> bool:
    """Whether Debian's serf is here."""
    return shutil.which("serf") is not None
