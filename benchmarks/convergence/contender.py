"""The two programs that are compared, and how each is started; both take Serf's flags."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Contender:
    """A program that runs an agent when it is called with ``agent`` and Serf's flags."""

    name: str
    program: tuple[str, ...]

    def command(self, node: str, host: str, *options: str) -> list[str]:
        """Return the command line of an agent `node` whose gossip and IPC live on the address `host`."""
        listen = (f"-node={node}", f"-bind={host}:7946", f"-rpc-addr={host}:7373", "-profile=lan")
        return [*self.program, "agent", *listen, *options]


def _console_script() -> tuple[str, ...]:
    script = Path(sys.executable).parent / "gossip"
    return (str(script),) if script.exists() else (sys.executable, "-m", "gossip")


OURS = Contender("ours", _console_script())
SERF = Contender("serf", ("serf",))
CONTENDERS = {contender.name: contender for contender in (OURS, SERF)}


def environment() -> Mapping[str, str]:
    """Return this process's environment without what would keep Python from caching its bytecode.

    An agent that compiles its own source at every start is not what anybody installs.
    """
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
