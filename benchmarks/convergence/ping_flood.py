"""How many pings an agent answers: a fixed number is under way at any time, each ack lets the next one go."""

import socket
import time
from dataclasses import dataclass

from benchmarks.convergence.cluster import Agent, TrialFailedError
from benchmarks.convergence.proc import cpu_seconds
from gossip.wire.codec import encode
from gossip.wire.messages import Ping

WINDOW = 32
SECONDS = 3.0
REFILL_AFTER = 0.2
"""Seconds without an ack after which the window counts as lost and is sent anew."""
MAX_REFILLS = 10
GOSSIP_PORT = 7946
BUFFER_BYTES = 2048


@dataclass(frozen=True)
class Pairs:
    """Pings answered, per second of wall time and per second that the agent computed."""

    per_second: float
    per_cpu_second: float


def flood(agent: Agent) -> Pairs:
    """Ping `agent` for `SECONDS` as fast as it answers."""
    ping = encode(Ping(1, agent.name))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as generator:
        generator.bind((agent.host, 0))
        generator.connect((agent.host, GOSSIP_PORT))
        generator.settimeout(REFILL_AFTER)
        busy, began = cpu_seconds(agent.pid), time.monotonic()
        acks = _exchange(generator, ping, began + SECONDS)
        busy, seconds = cpu_seconds(agent.pid) - busy, time.monotonic() - began
    return Pairs(acks / seconds, acks / busy)


def _exchange(generator: socket.socket, ping: bytes, until: float) -> int:
    acks = refills = 0
    send, receive, now = generator.send, generator.recv, time.monotonic
    for _ in range(WINDOW):
        send(ping)
    while now() < until:
        try:
            receive(BUFFER_BYTES)
        except TimeoutError:
            refills += 1
            if refills > MAX_REFILLS:
                raise TrialFailedError(f"pings are not answered: {acks} acks, then silence") from None
            for _ in range(WINDOW):
                send(ping)
            continue
        acks += 1
        send(ping)
    return acks
