"""What the flight recorder costs: time per input with and without it, and what its ring takes.

Each figure is CPU time and the median of several rounds, both sides in turn; the ratio is what counts.
"""

import gc
import os
import resource
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

from gossip.recording.graph import digest, dump_state
from gossip.recording.recorder import Recorder, record
from gossip.recording.recording import encode_recording
from gossip.serf.config import SerfConfig
from gossip.serf.node import LocalMember, SerfNode
from gossip.serf.tags import encode_tags
from gossip.wire.address import Address
from gossip.wire.codec import encode
from gossip.wire.messages import PROTOCOL_VERSIONS, Alive, Ping

PORT = 7946
ROUNDS = 7
INPUTS = 2000
AGENT_ROUNDS = 3
PINGS = 30_000
"""More than a window and a half of inputs: the ring is renewed on the way."""
BLOCK = "127.2.91"
PEER = Address("10.0.0.9", PORT)


def node_of(members: int) -> SerfNode:
    """Return a node that knows so many others and has nothing left to say."""
    node = SerfNode(SerfConfig(), LocalMember("me", bytes(4), PORT), rng=Random(1), now=0.0)
    for number in range(members - 1):
        node.receive_packet([alive(number)], PEER, 1.0)
    while node.swim.queue.take(1 << 20, 1):
        pass
    node.effects()
    return node


def alive(number: int) -> bytes:
    """Return a member's announcement."""
    addr = (0x0A000000 + number).to_bytes(4, "big")
    meta = encode_tags({"role": "web", "port": "8001", "zone": "a"})
    return encode(Alive(1, f"node-{number}", addr, PORT, meta, PROTOCOL_VERSIONS))


def pings(node: SerfNode) -> float:
    """Return the microseconds that one ping takes, its ack included."""
    return per_packet(node, [encode(Ping(7, "me"))])


def known_gossip(node: SerfNode) -> float:
    """Return the microseconds that one packet of ten announcements takes that are all known."""
    return per_packet(node, [alive(number) for number in range(10)])


def per_packet(node: SerfNode, parts: list[bytes]) -> float:
    """Return the microseconds that one packet of `parts` takes, as a driver handles it."""
    start = time.process_time()
    for number in range(INPUTS):
        node.receive_packet(parts, PEER, 2.0 + number * 1e-6)
        node.effects()
        node.next_deadline()
    return (time.process_time() - start) / INPUTS * 1e6


def push_pulls(node: SerfNode) -> float:
    """Return the microseconds that merging a state of all members takes that is all known."""
    remote = node.local_state(join=False)
    start = time.process_time()
    for _ in range(10):
        node.merge_remote_state(remote, initiated=False, now=3.0)
        node.effects()
        node.next_deadline()
    return (time.process_time() - start) / 10 * 1e6


def compare(title: str, measure: Callable[[SerfNode], float], members: int) -> None:
    """Print a figure without and with the recorder."""
    bare, recorded = node_of(members), node_of(members)
    held = record(recorded, Recorder(recorded, max_inputs=10**9, max_bytes=10**9))
    pairs = [(measure(bare), measure(held)) for _ in range(ROUNDS)]
    without, with_it = (median(column) for column in zip(*pairs, strict=True))
    print(f"{title:44} {without:10.1f} {with_it:10.1f} {with_it / without:8.2f} x")


def checkpoint(members: int) -> None:
    """Print what a checkpoint takes."""
    node = node_of(members)
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        state = dump_state(node)
        times.append(time.process_time() - start)
    start = time.process_time()
    digest(state)
    hashing = time.process_time() - start
    print(f"checkpoint of {members:6} members {median(times) * 1e3:10.1f} ms {len(state) / 1e6:8.2f} MB"
          f" (hashed in {hashing * 1e3:.1f} ms, in a thread)")  # fmt: skip


def ring(members: int) -> None:
    """Print what a ring takes that is full, and a dump of it."""
    node = node_of(members)
    parts = [alive(number) for number in range(10)]
    gc.collect()
    tracemalloc.start()
    recorder = Recorder(node)
    held = record(node, recorder)
    number = 0
    while recorder.renewals < 3:
        held.receive_packet(parts, PEER, 4.0 + number * 1e-3)
        held.effects()
        number += 1
    used, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    start = time.process_time()
    snapshot = recorder.snapshot()
    taken = time.process_time() - start
    data = encode_recording(snapshot, "", 0.0)
    print(f"a full ring of {members:6} members {used / 1e6:8.2f} MB (peak {peak / 1e6:.2f} MB),"
          f" a dump {len(data) / 1e6:.2f} MB, the agent held up for {taken * 1e3:.1f} ms")  # fmt: skip


def agents() -> None:
    """Print what a ping takes in an agent's process, and its memory, without and with the recorder."""
    with TemporaryDirectory() as folder:
        flags = (("without", ()), ("with", ("--record", f"--record-dir={folder}")))
        figures = {name: [ask_agent(f"{BLOCK}.{number}", *extra) for _ in range(AGENT_ROUNDS)]
                   for number, (name, extra) in enumerate(flags, 1)}  # fmt: skip
    for name, measured in figures.items():
        cpu, rss = (median(column) for column in zip(*measured, strict=True))
        print(f"an agent {name:7} the recorder: {cpu:6.1f} microseconds of CPU per ping, RSS {rss:.1f} MB")


def ask_agent(host: str, *flags: str) -> tuple[float, float]:
    """Return microseconds of CPU per ping answered, and the resident megabytes after all of them."""
    command = [sys.executable, "-m", "gossip", "agent", "--node=me", f"--bind={host}", "--rpc-addr="]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with (
        subprocess.Popen([*command, "--ready-fd=1", *flags], **quiet) as agent,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking,
    ):
        assert agent.stdout is not None
        agent.stdout.readline()
        asking.settimeout(5.0)
        asking.connect((host, PORT))
        ping = encode(Ping(7, "me"))
        before = cpu_seconds(agent.pid)
        for _ in range(PINGS):
            asking.send(ping)
            asking.recv(2048)
        used = cpu_seconds(agent.pid) - before
        pages = int(Path(f"/proc/{agent.pid}/statm").read_text().split()[1])
        agent.kill()
    return used / PINGS * 1e6, pages * resource.getpagesize() / 1e6


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, in the system and outside of it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Print the table."""
    print(f"{'microseconds in the core':44} {'without':>10} {'with':>10} {'ratio':>10}")
    for members in (100, 1000):
        compare(f"a ping and its ack, {members} members", pings, members)
        compare(f"ten known announcements, {members} members", known_gossip, members)
        compare(f"a push/pull of {members} members", push_pulls, members)
    for members in (100, 1000, 10_000):
        checkpoint(members)
    for members in (100, 1000):
        ring(members)
    agents()
    return 0


if __name__ == "__main__":
    sys.exit(main())
