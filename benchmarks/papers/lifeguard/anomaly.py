"""Lifeguard's anomaly (section 5.2): an agent blocks before it sends and after it received, then is released.

The simulator's pause blocks packets and streams and lets all timers run (`Anomaly`). An agent made of loops,
such as the paper's, does less meanwhile, because a loop that blocks in sending does not go on: its prober
does not probe one member after the other in vain, and its gossiper does not use up its transmissions. Only
time-outs of suspicions, which send nothing themselves, run on. That is `BlockedLoops`: what would send waits
for the release, except that a probe may begin, to block in its ping.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from gossip.sim.host import Stall
from gossip.swim.detector import PROBE_TIMEOUT, VERDICT
from gossip.swim.node import GOSSIP, PUSH_PULL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.sim.cluster import Cluster
    from gossip.sim.host import Host

DIRECT, END = PROBE_TIMEOUT, VERDICT
LOOPS = (GOSSIP, PUSH_PULL)
LOOK_EVERY = 0.1
"""How often blocked agents are looked at, in seconds: sooner than a probe that began could go on."""


class Anomaly:
    """Strikes several agents at once."""

    def __init__(self, cluster: Cluster, hosts: Sequence[Host]) -> None:
        self._cluster = cluster
        self._hosts = hosts

    def strike(self, seconds: float) -> None:
        """Block the agents for so long; time passes meanwhile."""
        for host in self._hosts:
            self._cluster.stall(host, Stall.IO)
        self._endure(self._cluster.now + seconds)
        for host in self._hosts:
            self._cluster.resume(host)

    def _endure(self, until: float) -> None:
        self._cluster.run(until)


class BlockedLoops(Anomaly):
    """The same, on agents whose loops block."""

    def _endure(self, until: float) -> None:
        pinging = {host.name: host.node.swim.deadlines.when(DIRECT) for host in self._hosts if host.node}
        while self._cluster.now < until:
            for host in self._hosts:
                self._hold(host, until, is_blocked_in_ping=pinging[host.name] == inf)
            self._cluster.run(min(until, self._cluster.now + LOOK_EVERY))

    def _hold(self, host: Host, until: float, *, is_blocked_in_ping: bool) -> None:
        assert host.node is not None
        deadlines = host.node.swim.deadlines
        if deadlines.when(DIRECT) < until:
            # The prober goes on when its ping or its first request to a relay is out. After the ping it
            # waits for an ack as long as ever, but not beyond the end of the cycle as it was meant to be.
            end = max(until, deadlines.when(END))
            wait = host.node.config.swim.probe_timeout if is_blocked_in_ping else 0.0
            deadlines.set(DIRECT, min(until + wait, end))
            deadlines.set(END, end)
        elif deadlines.when(END) < until:
            deadlines.set(END, until)
        for loop in LOOPS:
            if deadlines.when(loop) <= until:
                deadlines.set(loop, until)  # after the verdict, which it may carry
        self._cluster.driver.arm(host)
