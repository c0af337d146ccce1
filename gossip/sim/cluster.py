"""A simulated cluster: many nodes, with the same core as the agent, on virtual time and from one seed.

It is a driver, like `gossip.agent.driver`: it passes packets, streams and time to each `SerfNode` and carries
out the effects. One `Random` belongs to the world (latencies, losses), one to each life of each node. Events
of processes (crash, restart, pause, leave) are handled here; links are in `gossip.sim.network`.
"""

from __future__ import annotations

from math import inf
from random import Random
from typing import TYPE_CHECKING, TypeVar

from gossip.errors import LocalProtocolError
from gossip.serf.members import MemberStatus
from gossip.serf.node import LocalMember, SerfNode
from gossip.serf.saved_state import FIRST_START
from gossip.sim.driver import Driver
from gossip.sim.host import Absence, Host, Stall
from gossip.sim.network import Conditions, Latency, Network
from gossip.sim.schedule import Schedule
from gossip.sim.trace import Trace
from gossip.wire.address import Address, pack_address
from gossip.wire.messages import PushPull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gossip.serf.config import SerfConfig
    from gossip.sim.byte_path import BytePath
    from gossip.sim.observer import Observer

PORT = 7946
RETRY_INTERVAL = 30.0
"""Pause between attempts to join, as the agent's `retry_interval`."""
TICK = 1.0
"""Seconds between calls of the observers' `ticked`."""
WORLD = "world"
"""The name in the trace for actions that belong to no host."""
MAX_HOSTS = 60_000
"""Machines in one run, so that their numbers fit into addresses and traces."""
LAN = Latency()
CALM = Conditions()

T = TypeVar("T")


class Cluster:
    """Hosts by name; methods to build, command and break them; `run` lets time pass."""

    def __init__(
        self,
        seed: int,
        config: SerfConfig,
        *,
        latency: Latency = LAN,
        conditions: Conditions = CALM,
        path: BytePath | None = None,
        trace: Trace | None = None,
    ) -> None:
        self.seed = seed
        self.config = config
        self.rng = Random(f"world/{seed}")
        self.schedule = Schedule()
        self.network = Network(self.schedule, latency, conditions, self.rng)
        self.trace = trace or Trace()
        self.hosts: dict[str, Host] = {}
        self.driver = Driver(self.schedule, self.network, self.trace, self.hosts, path)
        self.retry_interval = RETRY_INTERVAL
        self._numbers = 0
        self._next_tick = TICK

    @property
    def observers(self) -> list[Observer]:
        """The observers; add to the list before the first node starts."""
        return self.driver.observers

    @property
    def now(self) -> float:
        """The world's time in seconds."""
        return self.schedule.now

    # --- building -----------------------------------------------------------------------------------------

    def add(self, name: str, *, tags: Mapping[str, str] | None = None, offset: float = 0.0) -> Host:
        """Add a machine with an address of its own; `boot` starts its agent."""
        host = self._new_host(name, tags or {})
        host.offset = offset
        return host

    def set_seeds(self, host: Host, seeds: Iterable[str]) -> None:
        """Configure the host's seeds: names of hosts, resolved again for each attempt."""
        host.seeds = tuple(seeds)

    def boot(self, host: Host, *, remembers: bool = False) -> None:
        """Start the agent of `host`. If it `remembers`, it starts from the snapshot of its last life."""
        host.life += 1
        host.remembers = remembers
        now = host.local_time(self.now)
        host.rng = Random(f"{self.seed}/{host.name}/{host.life}")
        me = LocalMember(
            host.name,
            pack_address(host.address.host),
            host.address.port,
            host.tags,
            incarnation=1 + int(self.now),  # seconds since the run began; in the agent, since 1970
        )
        saved = host.saved if remembers else FIRST_START
        host.node = SerfNode(self.config, me, rng=host.rng, now=now, saved=saved)
        host.absence = Absence.NONE
        host.up_since = self.now
        host.wake_at = inf
        host.stall = Stall.NONE
        host.incoming = host.outgoing = 0
        self.note(host.name, f"starts at {host.address}")
        for observer in self.observers:
            observer.started(host, self.now)
        self.driver.flush(host)

    def acquaint(self, hosts: Sequence[Host]) -> None:
        """Let running agents know each other as if for a long time: same views, nothing left to send."""
        rows = tuple(host.node.local_state(join=False).nodes[0] for host in hosts if host.node)
        for host in hosts:
            assert host.node is not None
            host.node.merge_remote_state(
                PushPull(join=False, nodes=rows, user_state=b""),
                initiated=True,
                now=host.local_time(self.now),
            )
            queue = host.node.swim.queue
            while len(queue):
                queue.take(budget=1 << 30, limit=1)
            self.driver.flush(host)

    def join(self, host: Host, seeds: Iterable[str], *, replay: bool = False) -> None:
        """Carry out a join command: push/pull with each of `seeds`, announce the first success."""
        names = tuple(seeds)
        self.command(host, lambda node, _: node.join(names, replay=replay), f"joins {','.join(names)}")

    # --- commands -----------------------------------------------------------------------------------------

    def command(self, host: Host, command: Callable[[SerfNode, float], T], what: str) -> T | None:
        """Run a public command of the node on `host`; None if it is down, stalled, or refuses."""
        if host.node is None or host.stall is not Stall.NONE:
            return None
        self.note(host.name, what)
        try:
            return command(host.node, host.local_time(self.now))
        except LocalProtocolError:
            return None
        finally:
            self.driver.flush(host)

    def leave(self, host: Host, *, drain: float = 0.0) -> None:
        """Make the agent leave gracefully, with `drain` seconds between leave intent and leave broadcast.

        It then stops by itself. A second command does not change the first.
        """
        if host.node is not None and host.node.status is MemberStatus.ALIVE:
            host.drain = drain
        self.command(host, lambda node, now: node.begin_leave(now), "is told to leave")

    # --- faults of processes ------------------------------------------------------------------------------

    def crash(self, host: Host) -> None:
        """Stop the agent without a leave."""
        if host.node is not None:
            self.note(host.name, "crashes")
            host.saved = host.node.saved_state()
            self.driver.stop(host, Absence.CRASHED)

    def restart(self, host: Host, *, snapshot: bool = False, rejoin: bool = True) -> None:
        """Stop the agent if it is running, and start it again on the same address.

        With `snapshot` it keeps its clocks and looks for the members known to its last life.
        """
        self.crash(host)
        self.boot(host, remembers=snapshot)
        if rejoin:
            self.rejoin(host)

    def move(self, host: Host, *, address: Address | None = None) -> Host:
        """Replace the machine: the same name, a new address (a fresh one unless given)."""
        self.crash(host)
        moved = self._new_host(host.name, host.tags, address)
        moved.life, moved.seeds = host.life, host.seeds
        moved.offset = host.offset
        moved.last_now = host.last_now
        self.boot(moved)
        self.rejoin(moved)
        return moved

    def rejoin(self, host: Host) -> None:
        """Let a fresh agent join through its seeds until it has met a member, like the agent's retry-join."""
        if host.seeds:
            interval = self.retry_interval
            self.command(
                host,
                lambda node, now: node.keep_joining(host.seeds, interval=interval, now=now),
                "joins its seeds",
            )

    def stall(self, host: Host, how: Stall) -> None:
        """Pause the agent on `host`."""
        if host.node is not None and host.stall is Stall.NONE:
            host.stall = how
            self.note(host.name, f"pauses: {how.value}")

    def resume(self, host: Host) -> None:
        """End a pause: all that waited is handled now, either timers or messages first, at random."""
        if host.stall is Stall.NONE:
            return
        self.note(host.name, "resumes")
        self.driver.resume(host, timers_first=self.rng.random() < 0.5)

    def slow_down(self, host: Host, cost: float) -> None:
        """Make the agent take `cost` seconds for each packet; 0 for none."""
        host.cost = cost
        host.busy_until = self.now
        self.driver.arm(host)
        self.note(host.name, f"takes {cost:g} s for each packet")

    def jump(self, host: Host, seconds: float) -> None:
        """Make the host's clock jump forward, as after a suspended virtual machine resumes."""
        host.offset += seconds
        self.note(host.name, f"sees its clock leap by {seconds:g} s")
        self.driver.arm(host)

    # --- time ---------------------------------------------------------------------------------------------

    def run(self, until: float) -> None:
        """Let time pass; observers are called each second on the way."""
        while self._next_tick <= until:
            self.schedule.run(self._next_tick)
            self._next_tick += TICK
            for observer in self.observers:
                observer.ticked(self.now)
        self.schedule.run(until)

    def up(self) -> list[Host]:
        """Return the hosts whose agents are running."""
        return [host for host in self.hosts.values() if host.node is not None]

    def note(self, who: str, what: str) -> None:
        """Add a command or a fault to the trace and tell observers; use `WORLD` if it concerns no host."""
        self.driver.note(who, what)

    # --- parts of the above -------------------------------------------------------------------------------

    def _new_host(self, name: str, tags: Mapping[str, str], address: Address | None = None) -> Host:
        number = self._numbers
        assert number < MAX_HOSTS, f"more than {MAX_HOSTS} machines"
        self._numbers += 1
        fresh = Address(f"10.{number // 250 // 250}.{number // 250 % 250}.{number % 250 + 1}", PORT)
        host = Host(name, number, address or fresh, tags)
        self.hosts[name] = host
        self.driver.at[host.address] = host
        return host
