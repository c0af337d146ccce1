"""Attack an agent with two peers, and print what it cost: ``python -m benchmarks.attacks``.

Everything stays on 127.77.x.y and is bounded in time. ``--python`` names the interpreter of another
checkout's environment, to measure that one. Times depend on the machine; ratios and memory hardly do.
"""

import argparse
import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.attacks import attackers, datagrams
from benchmarks.attacks.victim import PEERS, VICTIM, Agent, Meter, alive, cluster, environment
from gossip.errors import GossipError

TOKEN_FLAGS = ("-rpc-auth=secret",)
REST = 3.0
"""Seconds before and after an attack."""


class Outcome(NamedTuple):
    """What an attack did."""

    name: str
    offered: int
    third: int
    cpu: float
    median: float
    longest: float
    lost: float
    seen_failed: bool
    memory: tuple[float, float, float]
    serves: bool


class ThirdParty(threading.Thread):
    """Counts what arrives where nobody asked for anything."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((datagrams.THIRD.host, datagrams.THIRD.port))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.received = 0
        self.start()

    def run(self) -> None:
        """Receive until the process ends."""
        while True:
            self.received += len(self._socket.recv(65_535))


def measure(python: str, name: str, attack: attackers.Attack, seconds: float, third: ThirdParty) -> Outcome:
    """Run `attack` on a fresh cluster."""
    flags = TOKEN_FLAGS if "token" in name else ()
    with cluster(python, *flags) as (victim, peer, _other):
        meter = Meter()
        meter.start()
        time.sleep(REST)
        meter.reset()
        before, cpu, received, begin = victim.memory(), victim.cpu(), third.received, time.monotonic()
        failed = threading.Event()
        stop = threading.Event()
        watcher = threading.Thread(target=watch, args=(peer, failed, stop))
        watcher.start()
        offered = attack(seconds)
        took = time.monotonic() - begin
        used = (victim.cpu() - cpu) / took
        serves = "IPC" not in name or bool(flags) or alive(victim) > 0
        time.sleep(REST)
        stop.set()
        watcher.join()
        meter.stop()
        answers = sorted(meter.answers) or [float("inf")]
        return Outcome(
            name,
            offered,
            third.received - received,
            used,
            answers[len(answers) // 2],
            answers[-1],
            len(meter.sent) / max(1, len(meter.sent) + len(meter.answers)),
            failed.is_set(),
            (before, victim.memory("VmHWM"), victim.memory()),
            serves,
        )


def watch(peer: Agent, failed: threading.Event, stop: threading.Event) -> None:
    """Note whether `peer` ever believes that the victim is not alive."""
    while not stop.wait(0.3):
        with suppress(OSError, GossipError):
            if peer.statuses().get(VICTIM) != "alive":
                failed.set()


def show_costs(python: str) -> None:
    """Print what single datagrams cost."""
    script = Path(datagrams.__file__)
    run = subprocess.run([python, str(script)], check=True, capture_output=True, text=True, env=environment())
    print("| datagram | bytes | ms | answers |\n|---|--:|--:|--:|")
    for name, size, milliseconds, answers in json.loads(run.stdout):
        print(f"| {name} | {size:,} | {milliseconds:.2f} | {answers} |")
    print()


def show(outcome: Outcome) -> None:
    """Print one row."""
    start, peak, end = outcome.memory
    print(
        f"| {outcome.name} | {outcome.offered:,} | {outcome.third:,} | {outcome.cpu:.0%} "
        f"| {outcome.median * 1e3:.1f} | {outcome.longest * 1e3:.0f} | {outcome.lost:.0%} "
        f"| {'yes' if outcome.seen_failed else 'no'} | {start:.0f} → {peak:.0f} → {end:.0f} "
        f"| {'yes' if outcome.serves else 'no'} |",
        flush=True,
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="Attack an agent on loopback and print what it costs.")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the agent's environment")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each attack")
    parser.add_argument("--only", default="", help="attacks whose name contains this")
    arguments = parser.parse_args()
    if not arguments.only:
        show_costs(arguments.python)
    third = ThirdParty()
    print(
        "| attack | sent, bytes | to a third party, bytes | CPU | answer p50, ms | longest, ms | lost "
        "| seen failed | MB before → peak → after | IPC serves |\n|---|--:|--:|--:|--:|--:|--:|--|--|--|"
    )
    for name, attack in (attackers.floods() | attackers.streams() | attackers.clients()).items():
        if arguments.only in name:
            show(measure(arguments.python, name, attack, arguments.seconds, third))


assert all(host.startswith("127.") for host in PEERS), "nothing leaves this machine"

if __name__ == "__main__":
    main()
