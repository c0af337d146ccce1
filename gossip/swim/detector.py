"""The failure detector: probes members in turn and accuses silent ones (SWIM section 3, Lifeguard 4.1, 4.3).

One probe runs at a time. After a success, the next probe starts at the next tick of the probe interval; a
failure takes interval x (1 + local health), and the next probe starts at once. A ping to a suspect comes with
the suspicion (buddy system).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.swim.deadlines import Timer
from gossip.swim.effects import Effect, OpenStreamPing, PingFromElsewhere
from gossip.swim.member import NACK_SINCE_PROTOCOL, STREAM_PING_SINCE_PROTOCOL, Member
from gossip.swim.probe import Probe
from gossip.swim.relay import Relay, Relays
from gossip.wire.address import Address, unpack_address
from gossip.wire.codec import encode
from gossip.wire.messages import Ack, IndirectPing, MemberState, Nack, Ping, Suspect

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.swim.config import SwimConfig
    from gossip.swim.delegate import Delegate
    from gossip.swim.health import LocalHealth
    from gossip.swim.member_table import MemberTable
    from gossip.swim.piggyback import Piggyback
    from gossip.swim.pings import Pings
    from gossip.swim.runtime import Runtime
    from gossip.swim.view import View


class ProbeDue(Timer, frozen=True, gc=False):
    """Time for the next probe."""


PROBE = ProbeDue()


class PingLate(Timer, frozen=True, gc=False):
    """The direct ping is late."""


PROBE_TIMEOUT = PingLate()


class VerdictDue(Timer, frozen=True, gc=False):
    """The probe cycle ends."""


VERDICT = VerdictDue()


class RelayLate(Timer, frozen=True, gc=False):
    """A ping relayed for another member, with our number `seq`, is late."""

    seq: int


class FailureDetector:
    """Probes members of the view, relays pings for others, and accuses members that do not answer."""

    def __init__(  # noqa: PLR0913, PLR0917 - its inputs, its outputs and the shared runtime
        self,
        config: SwimConfig,
        table: MemberTable,
        view: View,
        health: LocalHealth,
        pings: Pings,
        piggyback: Piggyback,
        delegate: Delegate,
        emit: Callable[[Effect], None],
        runtime: Runtime,
    ) -> None:
        self._config = config
        self._table = table
        self._view = view
        self._health = health
        self._pings = pings
        self._piggyback = piggyback
        self._delegate = delegate
        self._emit = emit
        self._deadlines = runtime.deadlines
        self._rng = runtime.rng
        self._probe: Probe | None = None
        self.relays = Relays(config.max_relays)
        self.probes = 0
        self.failed_probes = 0
        self.stream_only_probes = 0  # answered by stream only: datagrams do not get through

    def start(self, now: float) -> None:
        """Begin probing, at a random offset so that a cluster's probes are not synchronized."""
        self._deadlines.set(PROBE, now + self._rng.random() * self._config.probe_interval)

    # --- timers -----------------------------------------------------------------------------------------

    def probe_next(self, now: float) -> None:
        """Start the next probe cycle, or wait an interval if there is no member to probe."""
        target = self._next_target(now)
        if target is None:
            self._deadlines.set(PROBE, now + self._config.probe_interval)
            return
        deadline = now + self._health.scale(self._config.probe_interval)
        self._probe = Probe(target, self._pings.new_seq(), now, deadline, self._health.score)
        self.probes += 1
        self._send_ping(self._probe, target)
        self._deadlines.set(PROBE_TIMEOUT, now + self._config.probe_timeout)
        self._deadlines.set(VERDICT, deadline)

    def ping_timed_out(self) -> None:
        """The direct ping is late: ask relays to ping the target, and ping it over a stream."""
        probe = self._probe
        assert probe is not None  # its end cancels this timer
        target = probe.target
        relays = self._table.choose(self._config.indirect_checks, lambda m: self._may_relay(m, target))
        for relay in relays:
            can_nack = self._health.is_enabled and relay.protocol_max >= NACK_SINCE_PROTOCOL
            probe.ask(relay, can_nack=can_nack)
            self._piggyback.send(relay.address, self._pings.indirect(probe.seq, target, nack=can_nack))
        if target.protocol_max >= STREAM_PING_SINCE_PROTOCOL:
            probe.try_stream()
            ping = self._pings.direct(probe.seq, target.name)
            self._emit(OpenStreamPing(target.address, target.name, probe.seq, ping, probe.deadline))

    def give_verdict(self, now: float) -> None:
        """The cycle is over: accuse the target unless it answered by some path."""
        probe = self._probe
        assert probe is not None  # its end cancels this timer
        self._end(probe, next_at=now)
        if probe.succeeded:
            self.stream_only_probes += 1
        else:
            self.failed_probes += 1
            self._view.accuse(probe.target.name, probe.incarnation, now, probe.record())

    def relay_timed_out(self, seq: int) -> None:
        """A relayed ping is late: send a nack if the requester asked for one."""
        relay = self.relays.pop(seq)
        assert relay is not None  # its ack cancels this timer
        if relay.wants_nack:
            self._reply(relay.requester, encode(Nack(relay.seq)))

    # --- messages ---------------------------------------------------------------------------------------

    def receive_ping(self, ping: Ping, source: Address) -> None:
        """Answer a ping addressed to this node; only members get the payload and piggyback."""
        if ping.node and ping.node != self._table.me.name:
            return
        to = _reply_address(ping, source)
        payload = self._delegate.ack_payload() if to in self._table.name_at else None
        self._reply(to, encode(Ack(ping.seq, payload)))
        sender = self._table.by_name.get(ping.source_node)
        if sender is not None and sender is not self._table.me and sender.address.host != source.host:
            self._emit(PingFromElsewhere(sender.name, source))

    def receive_indirect_ping(self, request: IndirectPing, source: Address, now: float) -> None:
        """Ping the target in our own name and remember the requester."""
        if self.relays.is_full:
            return
        target = unpack_address(request.target, request.port or self._table.me.alive.port)
        seq = self._pings.new_seq()
        self.relays.add(seq, Relay(_reply_address(request, source), request.seq, request.nack))
        self._reply(target, self._pings.direct(seq, request.node))
        self._deadlines.set(RelayLate(seq), now + self._config.probe_timeout)

    def receive_ack(self, ack: Ack, now: float) -> Probe | None:
        """Handle an ack for our probe or for a relayed ping; ignore one that is no longer expected.

        Returns our own probe if the ack ended it, which proves that packets pass in both directions.
        """
        relay = self.relays.pop(ack.seq)
        probe = self._probe
        if relay is not None:
            self._deadlines.cancel(RelayLate(ack.seq))
            self._reply(relay.requester, encode(Ack(relay.seq)))
        elif probe is not None and probe.receive_ack(ack.seq):
            self._end(probe, next_at=max(now, probe.started + self._config.probe_interval))
            return probe
        return None

    def receive_nack(self, nack: Nack, source: Address) -> None:
        """Handle a nack: the relay's ping is late, but the relay is alive."""
        if self._probe is not None:
            self._probe.receive_nack(nack.seq, source)

    def receive_stream_ack(self, seq: int) -> None:
        """The target of a probe answered over a stream."""
        if self._probe is not None:
            self._probe.receive_stream_ack(seq)

    def receive_stream_failure(self, seq: int, reason: str) -> None:
        """The stream to the target of a probe could not be opened, or broke."""
        if self._probe is not None:
            self._probe.receive_stream_failure(seq, reason)

    # --- parts of the above -----------------------------------------------------------------------------

    def _reply(self, to: Address, message: bytes) -> None:
        """Send the answer to a request. Only members get piggyback.

        Anyone can name any address in a ping: strangers would use up broadcasts, and 20 bytes received would
        cause 1,400 bytes to be sent.
        """
        if to in self._table.name_at:
            self._piggyback.send(to, message)
        else:
            self._piggyback.send_alone(to, message)

    def _next_target(self, now: float) -> Member | None:
        target = self._table.next_target()
        if target is None:
            self._view.forget(self._table.start_round(now - self._config.gossip_to_the_dead))
            target = self._table.next_target()
        return target

    def _end(self, probe: Probe, next_at: float) -> None:
        self._probe = None
        probe.target.is_heard |= probe.succeeded
        self._health.apply(probe.health_delta)
        self._deadlines.cancel(PROBE_TIMEOUT)
        self._deadlines.cancel(VERDICT)
        self._deadlines.set(PROBE, next_at)

    def _send_ping(self, probe: Probe, target: Member) -> None:
        ping = self._pings.direct(probe.seq, target.name)
        if target.state is MemberState.ALIVE or not self._config.tell_suspects:
            self._piggyback.send(target.address, ping)
            return
        # Buddy system: the suspicion goes first, so that the suspect can refute at once.
        accusation = Suspect(target.incarnation, target.name, self._table.me.name)
        self._piggyback.send_to_member(target, (ping, encode(accusation)))

    def _may_relay(self, member: Member, target: Member) -> bool:
        return member is not self._table.me and member is not target and member.state is MemberState.ALIVE


def _reply_address(message: Ping | IndirectPing, source: Address) -> Address:
    """Return the address for the answer: the one given in the request, else the source of the packet."""
    if message.source_addr and message.source_port:
        return unpack_address(message.source_addr, message.source_port)
    return source
