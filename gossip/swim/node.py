"""`SwimNode`: memberlist's semantics without its sockets, clocks and locks (SWIM; Lifeguard; serf-wire 3).

It takes packets, streams' contents and the time, and dispatches them to the parts: `View` (messages about
members), `FailureDetector` (probes), `Piggyback` and `BroadcastQueue` (dissemination), `Deadlines` (timers).
It contains no arithmetic of its own. Its owner passes `now` as monotonic seconds that never go back, carries
out the emitted effects, and pops `deadlines` when they are due.
"""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

from gossip.errors import RemoteProtocolError
from gossip.swim.config import push_pull_delay, transmissions
from gossip.swim.deadlines import Timer
from gossip.swim.detector import FailureDetector, PingLate, ProbeDue, RelayLate, VerdictDue
from gossip.swim.dissemination import BroadcastQueue
from gossip.swim.effects import Effect, MessageRejected, OpenPushPull
from gossip.swim.evidence import Channel, Origin
from gossip.swim.health import LocalHealth
from gossip.swim.member import Member
from gossip.swim.member_table import MemberTable
from gossip.swim.path_check import PathCheckLate, PathChecks
from gossip.swim.piggyback import Piggyback, longest_broadcast
from gossip.swim.pings import Pings
from gossip.swim.reclaim import ReclaimDue, Reclaims
from gossip.swim.view import SuspicionEnds, View
from gossip.wire.codec import decode, decode_gossip, encode
from gossip.wire.messages import (
    USER,
    Ack,
    Alive,
    Dead,
    IndirectPing,
    MemberState,
    MessageType,
    Nack,
    Ping,
    PushPull,
    Suspect,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gossip.swim.config import SwimConfig
    from gossip.swim.delegate import Delegate
    from gossip.swim.runtime import Runtime
    from gossip.wire.address import Address


class GossipDue(Timer, frozen=True, gc=False):
    """Time to send queued broadcasts; set only while there are any."""


GOSSIP = GossipDue()


class PushPullDue(Timer, frozen=True, gc=False):
    """Time for anti-entropy with a random member."""


PUSH_PULL = PushPullDue()


class PushPullStagger(Timer, frozen=True, gc=False):
    """The random delay after which the first interval of anti-entropy begins."""


PUSH_PULL_STAGGER = PushPullStagger()

NO_BYTE = -1
ALIVE_BYTE = int(MessageType.ALIVE)
USER_BYTE = int(MessageType.USER)
MAX_REPORTED_ROWS = 16
"""Rejected rows of one push/pull that are reported; all are counted. A stranger may send 131,072 rows."""
MAX_REQUESTS = 2
"""Pings, and indirect pings, answered in one datagram; members put one request into a datagram.

Each costs the sender about twenty bytes and makes this node send a datagram to an address of its choice.
"""
MAX_QUEUED_MESSAGES = 65_536
"""Limit of SWIM's own queue; one message per name can wait, so `max_members` is reached first."""


class SwimNode:
    """One member of the cluster, as a pure state machine."""

    def __init__(
        self,
        config: SwimConfig,
        me: Alive,
        delegate: Delegate,
        emit: Callable[[Effect], None],
        runtime: Runtime,
        *,
        now: float,
    ) -> None:
        rng = runtime.rng
        self.config = config
        self._size = 0  # of the cluster, when the retransmit limit was last computed
        self.rejected = 0  # messages that broke the protocol
        self.last_heard = float("-inf")  # packet or stream of a known, not suspect member; or our probe's ack
        self._asked: list[bytes] = []  # requests of the current datagram that were answered
        self._delegate = delegate
        self._rng = rng
        self._emit = emit
        self.deadlines = runtime.deadlines
        self.health = LocalHealth(config.awareness_max, config.probe_interval)
        self.finished = runtime.finished  # tokens of finished broadcasts, including the upper layer's
        self.queue = BroadcastQueue(MAX_QUEUED_MESSAGES, longest_broadcast(config), self.finished)
        self.table = MemberTable(Member(me, now), rng)
        self._piggyback = Piggyback(config, self.queue, delegate, emit)
        pings = Pings(self.table.me, rng)
        self.reclaims = Reclaims(config, self.table, pings, self._piggyback, emit, self.deadlines)
        self.view = View(
            config, self.table, self.queue, self.health, self.reclaims, delegate, emit, self.deadlines
        )
        self.detector = FailureDetector(
            config, self.table, self.view, self.health, pings, self._piggyback, delegate, emit, runtime
        )
        self.detector.start(now)
        self._path_checks = PathChecks(config, pings, self._piggyback, runtime, emit)
        self._gossip_phase = now + rng.random() * config.gossip_interval
        self._gossip_tick = -1  # number of the last tick that was armed, counted from the phase
        self.deadlines.set(PUSH_PULL_STAGGER, now + rng.random() * config.push_pull_interval)
        self._follow_size()

    # --- inputs -----------------------------------------------------------------------------------------

    def receive_packet(self, parts: Sequence[bytes], source: Address, now: float) -> Sequence[bytes]:
        """Handle the messages of one datagram; return those of the upper layer, in their order.

        Malformed ones are counted and reported; the rest are still handled. The upper layer calls
        `heard_from` for each message that it accepts.
        """
        user_messages: list[bytes] = []
        by_name = self.table.by_name
        rejected = self.rejected
        self._asked.clear()
        for part in parts:
            # The hot path of a join storm: an announcement that is already known costs one memo look-up.
            # The memo hands out the same object for the same bytes, so so identity suffices.
            try:
                kind = part[0] if part else NO_BYTE
                if kind == ALIVE_BYTE:
                    alive = decode_gossip(part)
                    assert isinstance(alive, Alive)
                    known = by_name.get(alive.node)
                    if known is None or known.alive is not alive:
                        self.view.handle_alive(alive, part, now)
                elif kind == USER_BYTE:
                    user_messages.append(part[1:])
                else:
                    self._receive(part, source, now)
            except RemoteProtocolError as error:
                self.reject(str(source), error)
        if self.rejected - rejected < len(parts) - len(user_messages):
            self.heard_from(source, now)
        self._settle(now)
        return user_messages

    def local_state(self, *, join: bool) -> PushPull:
        """Return this node's rows for a push/pull, on either side of it."""
        rows = tuple(member.row() for member in self.table.by_name.values())
        return PushPull(join, rows, self._delegate.local_user_state())

    def merge_remote_state(
        self, remote: PushPull, now: float, *, joining: bool = False, peer: str = ""
    ) -> None:
        """Merge a peer's rows; the upper layer merges its own part afterwards.

        `joining`: this node asked to join the peer's cluster, which may know an earlier life of it. A row
        that breaks the protocol is rejected on its own: one bad member must not cut us off from its peers.
        `peer` is the sender, a name or ``host:port``, used only as evidence.

        Raises:
            RemoteProtocolError: none of the alive rows has versions that fit ours; nothing was merged.
        """
        self.view.versions.verify_any(remote.nodes)
        self.view.is_joining = joining
        reported = self.rejected + MAX_REPORTED_ROWS
        for row in remote.nodes:
            try:
                self.view.merge(row, now, peer)
            except RemoteProtocolError as error:
                self.reject(row.name, error, report=self.rejected < reported)
        self.view.is_joining = False
        self._settle(now)

    def answer_stream_ping(self, ping: Ping) -> Ack | None:
        """Return the ack for a ping over a stream; None if it is for another member."""
        return None if ping.node and ping.node != self.table.me.name else Ack(ping.seq)

    def stream_ping_answered(self, seq: int) -> None:
        """The driver carried out `OpenStreamPing` and got the matching ack."""
        self.detector.receive_stream_ack(seq)
        self._path_checks.receive_ack(seq)

    def stream_ping_failed(self, seq: int, reason: str) -> None:
        """The driver could not carry out `OpenStreamPing`; kept as evidence in case the probe fails."""
        self.detector.receive_stream_failure(seq, reason)

    # --- time -------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """Return when `handle_timeout` wants to be called, `math.inf` for never."""
        return self.deadlines.next()

    def handle_timeout(self, timer: Timer, now: float) -> None:  # noqa: C901 - a case for each timer
        """Handle `timer`, which the owner popped from `deadlines` because it is due."""
        match timer:
            case GossipDue():
                self._gossip(now)
            case ProbeDue():
                self.detector.probe_next(now)
            case PingLate():
                self.detector.ping_timed_out()
            case VerdictDue():
                self.detector.give_verdict(now)
            case RelayLate(seq):
                self.detector.relay_timed_out(seq)
            case SuspicionEnds(name):
                self.view.suspicion_expired(name, now)
            case PushPullStagger():
                self._await_push_pull(now)
            case PushPullDue():
                self._push_pull(now)
            case ReclaimDue(name):
                self._reclaim(name, now)
            case PathCheckLate(name):
                self._path_checks.finish(name)
            case _:
                raise AssertionError(f"nobody handles {timer}")
        self._settle(now)

    # --- commands ---------------------------------------------------------------------------------------

    def announce(self, meta: bytes, now: float, token: int) -> None:
        """Change this node's metadata. Raises LocalProtocolError while leaving."""
        self.view.announce(meta, token)
        self._settle(now)

    def move(self, addr: bytes, now: float) -> None:
        """Announce this node at another address, by gossip and to a few members at once.

        Raises:
            LocalProtocolError: the node is leaving; nothing changed.
        """
        self.view.move(addr)
        for member in self.table.choose(self.config.gossip_nodes, self._may_answer):
            self.push_pull_with(member)
        self._settle(now)

    def leave(self, now: float, token: int) -> None:
        """Send the leave broadcast; the node keeps answering until its driver stops."""
        self.view.leave(token, now)
        self._settle(now)

    def check_paths(self, name: str, now: float) -> bool:
        """Ping a member in three ways; `PathsChecked` follows. False: unknown name, or over the limit."""
        member = self.table.by_name.get(name)
        return member is not None and self._path_checks.begin(member, now)

    def push_pull_with(self, member: Member, *, join: bool = False) -> None:
        """Ask the driver for a push/pull with `member`."""
        self._emit(OpenPushPull(member.address, member.name, join))

    def send_user(self, to: Address, payload: bytes) -> None:
        """Send a message of the upper layer to one address, alone in its packet."""
        self._piggyback.send_alone(to, USER + payload)

    def wake(self, now: float) -> None:
        """Arm the gossip timer, after the upper layer has queued broadcasts."""
        self._settle(now)

    def heard_from(self, source: Address, now: float) -> None:
        """Note that a message from `source` was accepted, by either layer."""
        name = self.table.name_at.get(source)
        if name is None:
            return
        member = self.table.by_name[name]
        member.is_heard = True
        if member.state is MemberState.ALIVE:
            self.last_heard = now

    def reject(self, source: str, error: RemoteProtocolError, *, report: bool = True) -> None:
        """Count a broken message from `source`, and report it."""
        self.rejected += 1
        if report:
            self._emit(MessageRejected(source, str(error)))

    def any_other_alive(self) -> bool:
        """Tell whether any other member is alive or suspected."""
        return self.table.any_other_alive()

    @property
    def retransmit_limit(self) -> int:
        """How often each broadcast is sent at the current cluster size."""
        return self._piggyback.limit

    # --- parts of the above -----------------------------------------------------------------------------

    def _receive(self, encoded: bytes, source: Address, now: float) -> None:
        """Handle one message that is neither an announcement nor the upper layer's."""
        receive = RECEIVERS.get(encoded[0]) if encoded else None
        if receive is None:
            raise RemoteProtocolError(f"message of type {encoded[:1].hex() or 'none'} in a datagram")
        receive(self, encoded, source, now)

    def _receive_suspect(self, encoded: bytes, source: Address, now: float) -> None:
        message = decode_gossip(encoded)
        assert isinstance(message, Suspect)
        sender = self.table.name_at.get(source) or str(source)
        self.view.handle_suspect(message, encoded, now, Origin(Channel.GOSSIP, sender))
        self._repeat_leave(message)

    def _receive_dead(self, encoded: bytes, _source: Address, now: float) -> None:
        message = decode_gossip(encoded)
        assert isinstance(message, Dead)
        self.view.handle_dead(message, encoded, now)
        self._repeat_leave(message)

    def _receive_ping(self, encoded: bytes, source: Address, _now: float) -> None:
        if self._is_answered(encoded):
            ping = decode(encoded)
            assert isinstance(ping, Ping)
            self.detector.receive_ping(ping, source)

    def _receive_indirect_ping(self, encoded: bytes, source: Address, now: float) -> None:
        if self._is_answered(encoded):
            request = decode(encoded)
            assert isinstance(request, IndirectPing)
            self.detector.receive_indirect_ping(request, source, now)

    def _receive_nack(self, encoded: bytes, source: Address, _now: float) -> None:
        nack = decode(encoded)
        assert isinstance(nack, Nack)
        self.detector.receive_nack(nack, source)

    def _receive_ack(self, encoded: bytes, _source: Address, now: float) -> None:
        ack = decode(encoded)
        assert isinstance(ack, Ack)
        probe = self.detector.receive_ack(ack, now)
        self.reclaims.receive_ack(ack.seq)
        self._path_checks.receive_ack(ack.seq)
        if probe is None:
            return
        self.last_heard = now  # from any address, as the peer may have several
        rtt = now - probe.started
        if ack.payload and rtt < self.config.probe_timeout:  # a later one may have been relayed
            self._delegate.ping_completed(probe.target.name, rtt, ack.payload)

    def _reclaim(self, name: str, now: float) -> None:
        try:
            self.view.reclaim_timed_out(name, now)
        except RemoteProtocolError as error:
            self.reject(name, error)

    def _repeat_leave(self, message: Suspect | Dead) -> None:
        """Tell the reporter that the member it accuses has left: the reporter missed the leave broadcast.

        Costs one packet per accusation. Otherwise the reporter would declare a failure, and keep it until the
        next push/pull.
        """
        accused, reporter = map(self.table.by_name.get, (message.node, message.reporter))
        if (
            accused is None
            or accused.state is not MemberState.LEFT
            or accused.incarnation < message.incarnation
        ):
            return
        if reporter is not None and reporter is not self.table.me and not reporter.is_gone:
            left = Dead(accused.incarnation, accused.name, accused.name)
            self._piggyback.send_to_member(reporter, (encode(left),))

    def _is_answered(self, request: bytes) -> bool:
        """Tell whether to answer a request of the current datagram: no repeats, and a limited number."""
        if request in self._asked:
            return False
        if sum(known[0] == request[0] for known in self._asked) >= MAX_REQUESTS:
            raise RemoteProtocolError(f"more than {MAX_REQUESTS} requests of one kind in a datagram")
        self._asked.append(request)
        return True

    def _gossip(self, now: float) -> None:
        """Send broadcasts to a few members; each gets its own selection."""
        is_random = self.config.memberlist_gossip
        choose = self.table.choose if is_random else self.table.next_listeners
        for member in choose(self.config.gossip_nodes, lambda m: self._hears_gossip(m, now)):
            if not self._piggyback.gossip_to(member) or not self._piggyback.pending():
                return  # before the ring advances, so that the next tick starts with this member

    def _has_audience(self, now: float) -> bool:
        return any(self._hears_gossip(member, now) for member in self.table.by_name.values())

    def _hears_gossip(self, member: Member, now: float) -> bool:
        if member is self.table.me:
            return False
        # Gossip to dead and left members for a while, so that one that is in fact alive can refute.
        return not member.is_gone or now - member.since <= self.config.gossip_to_the_dead

    def _push_pull(self, now: float) -> None:
        me = self.table.me
        for member in self.table.choose(1, lambda m: m is not me and m.state is MemberState.ALIVE):
            self.push_pull_with(member)
        self._await_push_pull(now)

    def _await_push_pull(self, now: float) -> None:
        delay = push_pull_delay(self.config.push_pull_interval, len(self.table))
        self.deadlines.set(PUSH_PULL, now + delay)

    def _may_answer(self, member: Member) -> bool:
        return member is not self.table.me and not member.is_gone

    def _settle(self, now: float) -> None:
        """After any input: follow the cluster's size, report finished broadcasts, arm the gossip timer."""
        self._follow_size()
        while self.finished:
            self._delegate.broadcast_finished(self.finished.pop(0), now)
        if GOSSIP not in self.deadlines and self._piggyback.pending() and self._has_audience(now):
            # Ticks keep their own phase, as a free-running ticker would, but fire only while needed. They are
            # counted, so that a rounding error cannot make one fire twice.
            interval = self.config.gossip_interval
            next_tick = floor((now - self._gossip_phase) / interval) + 1
            self._gossip_tick = max(next_tick, self._gossip_tick + 1)
            self.deadlines.set(GOSSIP, self._gossip_phase + self._gossip_tick * interval)

    def _follow_size(self) -> None:
        n = len(self.table)
        if n != self._size:
            self._size = n
            self._piggyback.limit = transmissions(self.config, n)


# Handlers of `_receive` by type byte; the other two types are handled earlier, on the hot path.
RECEIVERS: dict[int, Callable[[SwimNode, bytes, Address, float], None]] = {
    MessageType.PING: SwimNode._receive_ping,
    MessageType.INDIRECT_PING: SwimNode._receive_indirect_ping,
    MessageType.ACK: SwimNode._receive_ack,
    MessageType.NACK: SwimNode._receive_nack,
    MessageType.SUSPECT: SwimNode._receive_suspect,
    MessageType.DEAD: SwimNode._receive_dead,
}
