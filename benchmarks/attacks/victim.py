"""The agent under attack and its peers, as processes, and a member of ours that measures it from outside."""

import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gossip.errors import GossipError
from gossip.ipc.client import Client, Timeouts
from gossip.wire.address import pack_address
from gossip.wire.codec import decode, encode
from gossip.wire.messages import PROTOCOL_VERSIONS, Ack, Alive, Ping
from gossip.wire.packet import seal, unseal

PORT, RPC_PORT = 7946, 7373
VICTIM, PEERS = "127.77.1.1", ("127.77.1.2", "127.77.1.3")
METER = "127.77.1.100"
PATIENCE = 30.0
PERIOD = 0.02
"""Seconds between two pings of the meter."""


def environment() -> dict[str, str]:
    """Return the environment of what is measured: its own packages, not the harness's."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


class Agent:
    """One agent."""

    def __init__(self, python: str, host: str, log: Path, *flags: str) -> None:
        command = [str(Path(python).with_name("gossip")), "agent", f"-node={host}", f"-bind={host}:{PORT}"]
        command += [f"-rpc-addr={host}:{RPC_PORT}", "-retry-interval=1s", *flags]
        self.host = host
        self.token = next((flag.partition("=")[2] for flag in flags if flag.startswith("-rpc-auth=")), "")
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=environment()
            )

    def memory(self, key: str = "VmRSS") -> float:
        """Return resident megabytes: now, or with ``VmHWM`` at most so far."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split(f"{key}:")[1].split()[0]) / 1024

    def cpu(self) -> float:
        """Return the seconds of CPU used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def statuses(self) -> dict[str, str]:
        """Return the status of every member that this agent knows."""
        with Client(f"{self.host}:{RPC_PORT}", auth_key=self.token, timeouts=Timeouts(5, 5, 5)) as client:
            return {member.name: member.status for member in client.members()}

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


@contextmanager
def cluster(python: str, *flags: str) -> Iterator[list[Agent]]:
    """Run the victim and its peers until they know each other."""
    with tempfile.TemporaryDirectory() as scratch:
        agents = []
        try:
            for host in (VICTIM, *PEERS):
                join = () if host == VICTIM else (f"-retry-join={VICTIM}:{PORT}",)
                agents.append(Agent(python, host, Path(scratch) / host, *flags, *join))
            wait(lambda: all(alive(agent) >= 3 for agent in agents))
            yield agents
        finally:
            for agent in agents:
                agent.stop()


def alive(agent: Agent) -> int:
    """Return how many members `agent` believes to be alive; 0 if it does not say."""
    with suppress(OSError, GossipError):
        return list(agent.statuses().values()).count("alive")
    return 0


def wait(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("the agents did not find each other")
        time.sleep(0.1)


class Meter(threading.Thread):
    """A member that pings the victim all the time, answers its pings, and keeps how long each answer took."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((METER, PORT))
        self._socket.settimeout(0.005)
        self._runs = True
        self.sent: dict[int, float] = {}
        self.answers: list[float] = []

    def run(self) -> None:
        """Ping and listen until stopped."""
        self._say(encode(Alive(1, "meter", pack_address(METER), PORT, b"", PROTOCOL_VERSIONS)))
        seq, due = 10_000_000, time.monotonic()
        while self._runs:
            if time.monotonic() >= due:
                seq, due = seq + 1, max(due + PERIOD, time.monotonic())
                self.sent[seq] = time.monotonic()
                self._say(encode(Ping(seq, VICTIM, pack_address(METER), PORT, "meter")))
            with suppress(OSError, GossipError):
                data, source = self._socket.recvfrom(65_535)
                for part in unseal(data, encryption=None):
                    self._hear(part, source)

    def _hear(self, part: bytes, source: tuple[str, int]) -> None:
        if part[0] > 2:
            return
        message = decode(part)
        if isinstance(message, Ping):
            self._socket.sendto(encode(Ack(message.seq)), source)
        elif isinstance(message, Ack) and (sent := self.sent.pop(message.seq, None)):
            self.answers.append(time.monotonic() - sent)

    def _say(self, part: bytes) -> None:
        datagram = seal([part], compress=False, crc=False, encryption=None, nonce=b"")
        with suppress(OSError):
            self._socket.sendto(datagram, (VICTIM, PORT))

    def reset(self) -> None:
        """Forget what was measured so far."""
        self.sent, self.answers = {}, []

    def stop(self) -> None:
        """Stop pinging."""
        self._runs = False
        self.join()
        self._socket.close()
