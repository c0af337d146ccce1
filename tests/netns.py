"""Agents in network namespaces of their own, with real faults between them: needs root, `ip` and `iptables`.

One namespace is the switch; each agent has another, with one address. Everything is deleted at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import randrange

from tests.agents import OURS, Agent, eventually

SETUP_TIMEOUT = 20.0


def why_not() -> str:
    """Return why namespaces cannot be used here, empty if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in ("ip", "iptables") if shutil.which(tool) is None]
    if missing:
        return f"missing: {', '.join(missing)}"
    name = f"gossip-try-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return "network namespaces cannot be made here"
    try:
        rule = [
            "iptables",
            "-A",
            "INPUT",
            "-p",
            "udp",
            "-m",
            "length",
            "--length",
            "1000:65535",
            "-j",
            "DROP",
        ]
        tried = subprocess.run(["ip", "netns", "exec", name, *rule], capture_output=True, check=False)
        return "iptables does not work in a namespace" if tried.returncode else ""
    finally:
        run("ip", "netns", "del", name)


def run(*words: str) -> None:
    """Run a command of the system; what it complains about is in the error."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=SETUP_TIMEOUT, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


class HiddenAgent(Agent):
    """An agent behind its namespace; our agents are asked over a Unix socket, Serf's from inside."""

    namespace = ""

    @property
    def rpc(self) -> str:
        return f"unix:{self.log.with_suffix('.sock')}" if self.program == OURS else "127.0.0.1:7373"

    def run(self, *words: str, client: tuple[str, ...] | None = None) -> subprocess.CompletedProcess[str]:
        command, *rest = words
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace, *(client or self.program), command,
             f"-rpc-addr={self.rpc}", *rest],
            capture_output=True, text=True, timeout=60.0, check=False,
        )  # fmt: skip

    def forbid(self, *rule: str) -> None:
        """Drop what arrives here and matches an iptables rule."""
        run("ip", "netns", "exec", self.namespace, "iptables", "-A", "INPUT", *rule, "-j", "DROP")


class Namespaces:
    """The namespaces and the agents of one test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = f"{os.getpid()}-{randrange(1_000_000)}"
        self._names: list[str] = []
        self.agents: list[HiddenAgent] = []
        self._switch = self._add("sw")
        run("ip", "-n", self._switch, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self._switch, "link", "set", "br0", "up")

    def _add(self, name: str) -> str:
        full = f"gossip-{self._mark}-{name}"
        run("ip", "netns", "add", full)
        self._names.append(full)
        run("ip", "-n", full, "link", "set", "lo", "up")
        return full

    def place(self) -> tuple[str, str]:
        """Return a new namespace and its address."""
        number = len(self._names)
        space, host = self._add(f"n{number}"), f"10.99.0.{number}"
        run("ip", "-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", f"p{number}",
            "netns", self._switch)  # fmt: skip
        run("ip", "-n", self._switch, "link", "set", f"p{number}", "master", "br0", "up")
        run("ip", "-n", space, "addr", "add", f"{host}/24", "dev", "eth0")
        run("ip", "-n", space, "link", "set", "eth0", "up")
        run("ip", "-n", space, "route", "add", "default", "dev", "eth0")
        return space, host

    def start(
        self,
        name: str,
        *options: str,
        program: tuple[str, ...] = OURS,
        starter: Sequence[str] = (),
        log: str = "",
        waits: bool = True,
    ) -> HiddenAgent:
        """Start an agent in a namespace of its own; `starter` replaces the command that starts our agent."""
        space, host = self.place()
        path = self._folder / f"{log or name}.log"
        with path.open("wb") as sink:
            agent = HiddenAgent(name, host, program, None, path)  # type: ignore[arg-type] # set below
            agent.namespace = space
            agent.process = subprocess.Popen(
                ["ip", "netns", "exec", space, *(starter or program), "agent", f"-node={name}",
                 f"-bind={host}", f"-rpc-addr={agent.rpc}", *options],
                stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.agents.append(agent)
        if waits:
            eventually(lambda: bool(agent.members()), 30, f"{name} to answer: {path.read_text()}")
        return agent

    def stop(self) -> None:
        for agent in self.agents:
            if agent.process.poll() is None:
                agent.process.kill()
            agent.process.wait(10)
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@contextmanager
def namespaces(folder: Path) -> Iterator[Namespaces]:
    """Hand out `Namespaces`; kill the agents and delete everything at the end."""
    made = Namespaces(folder)
    try:
        yield made
    finally:
        made.stop()


QUICK_ANTI_ENTROPY = (
    sys.executable,
    "-c",
    "import sys\n"
    "from msgspec.structs import replace\n"
    "from gossip.swim.config import SwimConfig\n"
    "quick = replace(SwimConfig.local(), push_pull_interval=0.2)\n"
    "SwimConfig.local = classmethod(lambda cls: quick)\n"
    "from gossip.cli.main import main\n"
    "sys.exit(main())\n",
)
"""Starts our agent with a push/pull every 0.2 s in the profile `local`."""
