"""The simulator's counterpart of the agent's driver: feeds nodes, carries out effects, keeps their time.

Each input is one step: hand it to the core, drain the effects, set the host's alarm. Stalls and slowness of
the process come between the network and the core, as in reality.
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gossip.serf.effects import ContactSeed, LeaveAnnounced, LeaveFinished, ResolveSeeds
from gossip.sim.host import MAX_BACKLOG, Absence, Host, Stall
from gossip.sim.streams import Streams
from gossip.swim.effects import OpenPushPull, OpenStreamPing, SendPacket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gossip.serf.effects import Effect
    from gossip.serf.node import SerfNode
    from gossip.sim.byte_path import BytePath
    from gossip.sim.network import Network
    from gossip.sim.observer import Observer
    from gossip.sim.schedule import Schedule
    from gossip.sim.trace import Trace
    from gossip.wire.address import Address
    from gossip.wire.messages import PushPull

DATAGRAM_OVERHEAD_BYTES = 28
"""IP and UDP headers."""

ROUNDING = 1e-6
"""Seconds that may be lost when times are added and subtracted, above all clock offsets; with a margin."""


class Driver:
    """Connects all nodes with the simulated world."""

    def __init__(
        self,
        schedule: Schedule,
        network: Network,
        trace: Trace,
        hosts: Mapping[str, Host],
        path: BytePath | None,
    ) -> None:
        """Look seeds up in `hosts`, at the time of each look-up."""
        self.at: dict[Address, Host] = {}  # the host at each address now
        self.observers: list[Observer] = []
        self.trace = trace
        self.packets = 0  # packets sent
        self.streams = Streams(schedule, network, self.at.get, self.flush, path)
        self._schedule = schedule
        self._network = network
        self._path = path
        self._hosts = hosts

    def flush(self, host: Host) -> None:
        """Carry out the node's effects, tell observers, and set the alarm."""
        if host.is_flushing:
            return  # an observer gave a command: the outer call carries it out
        host.is_flushing = True
        node = host.node
        while node is not None and (effects := node.effects()):
            told: list[Effect] = []
            for effect in effects:
                # Most effects are packets.
                if type(effect) is SendPacket:
                    self._send(host, effect)
                else:
                    told.append(effect)
                    self._carry_out(host, node, effect)
            if told:
                for observer in self.observers:
                    observer.told(host, told, self._schedule.now)
            node = host.node
        host.is_flushing = False
        self.arm(host)

    def arm(self, host: Host) -> None:
        """Make sure that the agent is woken in time; a host has one valid timer entry, the earliest."""
        node = host.node
        if node is None:
            return
        # A slow agent may be busy with a packet when the alarm goes off, and gets to it after that packet.
        at = node.next_deadline() - host.offset + host.cost
        if at < host.wake_at:
            host.wake_at = at
            if at != inf:
                self._schedule.at(at, partial(self._wake, host, host.life, at))

    def stop(self, host: Host, why: Absence) -> None:
        """End the agent's process; everything queued for it is lost."""
        for observer in self.observers:
            observer.stopped(host, self._schedule.now)
        host.node = None
        host.absence = why
        host.down_since = self._schedule.now
        host.stall = Stall.NONE
        host.inbox, host.outbox = [], []
        host.waiting = 0

    def resume(self, host: Host, *, timers_first: bool) -> None:
        """End a pause: everything that waited is handled now, one item after the other."""
        timers_stood_still = host.stall is Stall.ALL
        host.stall = Stall.NONE
        waiting = [*host.outbox, *host.inbox]
        host.inbox, host.outbox = [], []
        now = self._schedule.now
        if timers_stood_still:
            host.wake_at = now
            waiting.insert(0 if timers_first else len(waiting), partial(self._wake, host, host.life, now))
        for action in waiting:
            self._schedule.at(now, action)

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace and tell observers: a command, or a fault."""
        now = self._schedule.now
        self.trace.note(now, who, what)
        for observer in self.observers:
            observer.happened(f"{who} {what}", now)

    # --- effects ------------------------------------------------------------------------------------------

    def _carry_out(self, host: Host, node: SerfNode, effect: Effect) -> None:
        self.trace.effect(self._schedule.now, host.name, effect)
        if isinstance(effect, OpenPushPull):
            self._when_able(host, partial(self.streams.anti_entropy, host, effect))
        elif isinstance(effect, OpenStreamPing):
            self._when_able(host, partial(self.streams.stream_ping, host, effect))
        elif isinstance(effect, ResolveSeeds):
            self._when_able(host, partial(self._resolve, host, host.life, effect))
        elif isinstance(effect, ContactSeed):
            self._when_able(host, partial(self._contact, host, effect))
        elif isinstance(effect, LeaveAnnounced):
            if host.drain:
                end = partial(self._finish_leave, host, host.life)
                self._schedule.at(self._schedule.now + host.drain, end)
            else:
                node.finish_leave(host.local_time(self._schedule.now))
        elif isinstance(effect, LeaveFinished):
            # Not yet: the rest of this batch must be carried out first.
            self._schedule.at(self._schedule.now, partial(self._leave_is_over, host, host.life))

    def _resolve(self, host: Host, life: int, effect: ResolveSeeds) -> None:
        """Answer a look-up with the hosts' current addresses."""
        places = {name: (self._hosts[name].address,) for name in effect.seeds if name in self._hosts}

        def resolved() -> None:
            if host.life == life and host.node is not None:
                now = host.local_time(self._schedule.now)
                host.node.seeds_resolved(effect.attempt, places, (), now)
                self.flush(host)

        self._schedule.at(self._schedule.now, resolved)

    def _contact(self, host: Host, effect: ContactSeed) -> None:
        """Carry out the push/pull of a join, and report the result."""

        def ended(reply: PushPull | None) -> None:
            assert host.node is not None
            host.node.contact_ended(
                effect.attempt,
                effect.to,
                "" if reply is not None else "no answer",
                met_others=reply is not None and any(row.name != host.name for row in reply.nodes),
                now=host.local_time(self._schedule.now),
            )
            self.flush(host)

        self.streams.push_pull(host, effect.to, join=True, replay=effect.replay, on_end=ended)

    def _finish_leave(self, host: Host, life: int) -> None:
        """The drain is over; a stalled agent finishes the leave once it runs again."""
        if host.life != life or host.node is None:
            return
        if host.stall is not Stall.NONE:
            host.hold_back(partial(self._finish_leave, host, life))
            return
        self.note(host.name, "has drained")
        host.node.finish_leave(host.local_time(self._schedule.now))
        self.flush(host)

    def _leave_is_over(self, host: Host, life: int) -> None:
        if host.life == life and host.node is not None:
            self.note(host.name, "has left")
            # As in a snapshot: the clocks outlast the leave, the members do not.
            host.saved = replace(host.node.saved_state(), peers=(), failed=())
            self.stop(host, Absence.LEFT)

    def _when_able(self, host: Host, action: Callable[[], None]) -> None:
        """Do something on the network now, or when the host's stall ends."""
        if host.stall is Stall.NONE:
            action()
        else:
            host.hold_back(action)

    def _send(self, host: Host, effect: SendPacket) -> None:
        self.packets += 1
        host.packets_sent += 1
        if self._path is None:
            parts: Sequence[bytes] | bytes = effect.parts
            size = DATAGRAM_OVERHEAD_BYTES + sum(map(len, effect.parts))
        else:
            parts = self._path.seal(effect.parts, crc=effect.crc)
            size = DATAGRAM_OVERHEAD_BYTES + len(parts)
        host.bytes_sent += size
        if host.stall is not Stall.NONE:
            host.hold_back(partial(self._transmit, host, effect.to, parts, size))
            return
        self._transmit(host, effect.to, parts, size)

    def _transmit(self, host: Host, to: Address, parts: Sequence[bytes] | bytes, size: int) -> None:
        target = self.at.get(to)
        if target is not None:
            arrival = partial(self._arrive, target, host, host.address, parts)
            self._network.send(host.name, target.name, size, arrival)

    def _arrive(self, target: Host, sender: Host, source: Address, parts: Sequence[bytes] | bytes) -> None:
        """A packet reaches a machine."""
        node = target.node
        if node is None:
            return
        if target.stall is not Stall.NONE:
            target.keep(partial(self._arrive, target, sender, source, parts))
            return
        if target.cost:
            self._queue(target, partial(self._handle, target, sender, source, parts))
            return
        self._handle(target, sender, source, parts)

    def _handle(self, target: Host, sender: Host, source: Address, parts: Sequence[bytes] | bytes) -> None:
        """A packet reaches the agent."""
        node = target.node
        if node is None:
            return
        if isinstance(parts, bytes):
            assert self._path is not None
            parts = self._path.unseal(parts)
        now = self._schedule.now
        target.packets_received += 1
        self.trace.packet(now, sender.number, target.number, len(parts))
        node.receive_packet(parts, source, target.local_time(now))
        self.flush(target)

    def _queue(self, host: Host, action: Callable[[], None]) -> None:
        """Queue a packet for a slow agent, if there is room."""
        if host.waiting >= MAX_BACKLOG:
            return
        host.waiting += 1
        host.busy_until = max(host.busy_until, self._schedule.now) + host.cost
        self._schedule.at(host.busy_until, partial(self._dequeue, host, action))

    def _dequeue(self, host: Host, action: Callable[[], None]) -> None:
        host.waiting = max(0, host.waiting - 1)
        if host.stall is not Stall.NONE:
            host.keep(partial(self._queue, host, action))  # it is handled, slowly, after the stall
        else:
            action()

    def _wake(self, host: Host, life: int, at: float) -> None:
        """The alarm goes off; it may have been moved, or the agent may be busy or gone."""
        node = host.node
        if node is None or host.life != life or host.wake_at != at or host.stall is Stall.ALL:
            return
        host.wake_at = inf
        now = host.local_time(self._schedule.now)
        deadline = node.next_deadline()
        if deadline - now < ROUNDING:
            now = host.last_now = max(now, deadline)
            node.handle_timeout(now)
        self.flush(host)
