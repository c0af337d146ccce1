"""The driver: owns the node, feeds it packets and time, carries out its effects (architecture 2.4).

Every access to the node is one synchronous section: input, then `_flush`. Trio switches tasks only at awaits,
so no locks are needed and none exist. All other code that changes the node goes through `apply`. One task
sleeps until the node's next deadline, and moving that deadline does not wake it.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from time import thread_time
from typing import TypeVar

import trio

from gossip.agent.admission import Admission
from gossip.agent.bugs import Bugs
from gossip.agent.destinations import Destinations
from gossip.agent.envelope import Envelope, Refusals
from gossip.agent.event_log import EventLog
from gossip.agent.joining import Joins
from gossip.agent.streams import Streams
from gossip.agent.symptoms import Symptoms
from gossip.agent.transport import Transport, dial_error
from gossip.errors import GossipError, RemoteProtocolError
from gossip.serf.effects import (
    ContactSeed,
    Effect,
    JoinEnded,
    LeaveAnnounced,
    LeaveFinished,
    QueryEffect,
    ResolveSeeds,
)
from gossip.serf.node import SerfNode
from gossip.swim.effects import (
    BroadcastFinished,
    OpenPushPull,
    OpenStreamPing,
    PathsChecked,
    PingFromElsewhere,
    SendPacket,
)
from gossip.wire.address import Address
from gossip.wire.codec import encode_push_pull
from gossip.wire.keyring import Keyring
from gossip.wire.messages import Ack, Ping, PushPull

MAX_OUTGOING_STREAMS = 64
"""Streams that the node may have opened at once; more would only mean that no peer answers."""
ROWS_A_TURN = 256
"""Rows of a push/pull merged before other tasks get a turn: ten milliseconds, if all are newcomers."""
MESSAGES_A_TURN = 32
"""Messages of one datagram handled before other tasks get a turn: a millisecond, if all are newcomers."""
MAX_FINISHED_TOKENS = 256
"""Finished broadcasts remembered until their result is requested."""

T = TypeVar("T")
Observer = Callable[[Sequence[Effect], float], None]
log = logging.getLogger("gossip.agent")


class Driver:
    """One running node. Create it, then keep `run` running."""

    def __init__(self, node: SerfNode, transport: Transport, envelope: Envelope, rpc_port: int = 0) -> None:
        self.node = node
        self.observers: list[Observer] = []
        self.leave_announced = trio.Event()
        self.leave_finished = trio.Event()
        self.rejected_packets = 0
        self.misdirected = 0  # packets and streams not sent, because no member can have the address
        self.streams_skipped = 0  # not opened, because too many were open
        self.on_bug: Callable[[], None] = lambda: None  # a command made the node raise
        self._transport = transport
        self._envelope = envelope
        self._streams = Streams(transport, envelope, node.config.swim.stream_timeout)
        self.admission = Admission(lambda address: address in node.swim.table.name_at, self.now())
        self.destinations = Destinations(transport.address, node.members()[0].address, rpc_port)
        self._asked_by: Address | None = None  # the source of the datagram being handled
        self._event_log = EventLog()
        self.symptoms = Symptoms(self.now())
        self._joins = Joins(node.name, transport.address.port, self._exchange_for_join, self.apply)
        self._bugs = Bugs()
        self._timer: trio.CancelScope | None = None
        self._nursery: trio.Nursery | None = None
        self._outgoing = 0
        self._flushing = False
        self._waiting: dict[int, trio.Event] = {}
        self._finished: dict[int, None] = {}  # in the order in which they finished

    @staticmethod
    def now() -> float:
        """Return the monotonic time in seconds that the node uses."""
        return trio.current_time()

    @property
    def transport(self) -> Transport:
        """The sockets, for their address and counters."""
        return self._transport

    @property
    def streams(self) -> Streams:
        """The TCP side, for its counters."""
        return self._streams

    @property
    def refusals(self) -> Refusals:
        """How many packets and streams were refused because of their envelope."""
        return self._envelope.refusals

    @property
    def withheld_lines(self) -> int:
        """How many log lines about members were withheld because there were too many."""
        return self._event_log.withheld

    @property
    def is_encrypted(self) -> bool:
        """Whether gossip is encrypted."""
        return self._envelope.keyring is not None

    @property
    def keyring(self) -> Keyring | None:
        """The keys that gossip is encrypted with, which may change at run time; None without encryption."""
        return self._envelope.keyring

    @property
    def key_name(self) -> str:
        """The fingerprint of the key that gossip is encrypted with, empty without encryption."""
        return keys[0] if (keys := self._envelope.key_names) else ""

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Receive, keep time and serve streams until cancelled, then close the sockets."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._keep_time)
                nursery.start_soon(self._transport.receive, self._receive)
                nursery.start_soon(self._streams.serve, nursery, self)
                self._flush()
                task_status.started()
        finally:
            self._nursery = None
            self._transport.close()

    # --- commands -----------------------------------------------------------------------------------------

    def apply(self, command: Callable[[SerfNode, float], T]) -> T:
        """Run `command` on the node and carry out its effects; exceptions propagate."""
        try:
            return command(self.node, self.now())
        except GossipError:
            raise
        except Exception:
            self.on_bug()
            raise
        finally:
            self._flush()

    async def push_pull(self, to: Address, *, join: bool, replay: bool = False) -> None:
        """Exchange whole states with the node at `to`.

        Raises:
            OSError: the stream could not be opened, or it broke.
            RemoteProtocolError: the peer's state is broken, or its versions do not fit ours.
            trio.TooSlowError: it took longer than the stream timeout.
        """
        await self._push_pull(to, join=join, replay=replay)

    async def join(self, seeds: Sequence[str], *, replay: bool = False) -> JoinEnded:
        """Push/pull with every address of every seed (``[nodename/]host[:port]``).

        One success makes the join a success: it is announced to the cluster at once.

        Raises:
            LocalProtocolError: too many joins are in progress.
        """
        return await self._joins.outcome(self.apply(lambda node, _: self._begin_join(node, seeds, replay)))

    def _begin_join(self, node: SerfNode, seeds: Sequence[str], replay: bool) -> int:
        attempt = node.join(tuple(seeds), replay=replay)
        self._joins.expect(attempt)
        return attempt

    async def broadcast_done(self, token: int, timeout: float) -> bool:  # noqa: ASYNC109 - a result, not an error
        """Wait at most `timeout` seconds for the broadcast under `token`; return whether it finished."""
        if token == 0 or token in self._finished:
            self._finished.pop(token, None)
            return True
        event = self._waiting.setdefault(token, trio.Event())
        with trio.move_on_after(timeout):
            try:
                await event.wait()
            finally:
                self._waiting.pop(token, None)
                self._finished.pop(token, None)
        return event.is_set()

    # --- for streams (see `StreamHost`) -------------------------------------------------------------------

    def encode_state(self, *, join: bool) -> bytes:
        """Return this node's whole state as a push/pull message."""
        return encode_push_pull(self.node.local_state(join=join))

    async def merge(self, remote: PushPull, *, initiated: bool, replay: bool = False, peer: str = "") -> None:
        """Merge the state of `peer`, a name or an address; raises `RemoteProtocolError` if it does not fit.

        The rows of a large state are merged first, in several turns: merging the whole then finds little
        news, and takes a twentieth of the time.
        """

        def merge(part: PushPull) -> None:
            self.apply(
                lambda node, now: node.merge_remote_state(
                    part, initiated=initiated, now=now, replay=replay, peer=peer
                )
            )

        if not initiated:
            self.symptoms.stream(peer, self.now())
        rows = remote.nodes
        for at in range(0, len(rows) if len(rows) > ROWS_A_TURN else 0, ROWS_A_TURN):
            with suppress(RemoteProtocolError):  # a part may have no row that fits
                merge(PushPull(remote.join, rows[at : at + ROWS_A_TURN], b""))
            await trio.lowlevel.checkpoint()
        merge(remote)

    def answer_ping(self, ping: Ping) -> Ack | None:
        """Return the answer to a ping over a stream."""
        return self.node.answer_stream_ping(ping)

    def receive_user_message(self, payload: bytes) -> None:
        """Handle a message for Serf's layer that arrived over a stream."""
        self.apply(lambda node, now: node.receive_user_message(payload, now))

    def complain(self, peer: str, reason: str) -> None:
        """Log a peer's fault, at a bounded rate."""
        self._event_log.complain(peer, reason, self.now())
        self.symptoms.complaint(peer, reason, self.now())

    # --- time and packets ---------------------------------------------------------------------------------

    async def _keep_time(self) -> None:
        """Sleep until the node's next deadline, again and again; `_flush` moves the alarm meanwhile."""
        while True:
            with trio.CancelScope(deadline=self.node.next_deadline()) as self._timer:
                await trio.sleep_forever()
            self._timer = None
            self.symptoms.woke(self.now() - self.node.next_deadline(), self.now())
            self.node.handle_timeout(self.now())
            self._flush()
            self._event_log.sum_up(self.now())

    def _receive(self, datagram: bytes, source: Address) -> Iterator[None] | None:
        """Handle a datagram; return the rest of a long one, to be handled in several turns."""
        admission, start = self.admission, self.now()
        if not admission.admits(source, start):
            return None
        used = thread_time()
        rest: Sequence[bytes] = ()
        try:
            opened = self._envelope.open_packet(datagram, start)
        except RemoteProtocolError as error:
            self.rejected_packets += 1
            self.complain(str(source), str(error))
        except Exception as error:
            self._contain(error)
        else:
            if self._envelope.is_other_key and (keys := self._envelope.key_names):
                self._event_log.report_key(str(source), keys, start)
            if source in self.node.swim.table.name_at:
                self.symptoms.datagram(source, start)
            parts = admission.bounded(opened, source, start)
            rest = parts[MESSAGES_A_TURN:]
            self._handle(parts[:MESSAGES_A_TURN], source, len(datagram), start)
        self._charge(source, thread_time() - used)
        return self._handle_in_turns(rest, source) if rest else None

    def _handle_in_turns(self, parts: Sequence[bytes], source: Address) -> Iterator[None]:
        for at in range(0, len(parts), MESSAGES_A_TURN):
            yield
            used = thread_time()
            self._handle(parts[at : at + MESSAGES_A_TURN], source, 0, self.now())
            self._charge(source, thread_time() - used)

    def _handle(self, parts: Sequence[bytes], source: Address, size: int, now: float) -> None:
        """Pass `parts` of a datagram to the node; `size` in bytes limits its answers to strangers."""
        self.admission.begin(size)
        self._asked_by = source
        try:
            self.node.receive_packet(parts, source, now)
            self._flush()
        except Exception as error:
            self._contain(error)
        finally:
            self._asked_by = None
            self.admission.end()

    def _charge(self, source: Address, seconds: float) -> None:
        if self.admission.charge(source, seconds, self.now()):
            self.complain(str(source), "its datagrams take too much time: some are dropped")

    def _contain(self, error: Exception) -> None:
        """Go on after a datagram that revealed a bug; otherwise anyone could end every member with it."""
        self.on_bug()
        self._bugs.report("datagram", error, "it is dropped")

    def _flush(self) -> None:
        """Carry out all effects, then move the alarm; commands from observers are carried out as well."""
        if self._flushing or self._nursery is None:
            return  # the outer call, or the start of `run`, does it
        self._flushing = True
        try:
            while effects := self.node.effects():
                told: list[Effect] = []
                for effect in effects:
                    # Most effects are packets: they skip the long match (45 against 226 ns).
                    if type(effect) is SendPacket:
                        self._send(effect)
                    else:
                        told.append(effect)
                        self._carry_out(effect)
                if told:
                    self._tell_observers(told)
        finally:
            self._flushing = False
        deadline = self.node.next_deadline()
        if self._timer is not None and self._timer.deadline != deadline:
            self._timer.deadline = deadline

    def _tell_observers(self, effects: Sequence[Effect]) -> None:
        now = self.now()
        for observer in self.observers:
            try:
                observer(effects, now)
            except Exception as error:
                name = getattr(observer, "__qualname__", type(observer).__name__)
                self._bugs.report(f"observer {name}", error, "it misses these effects")

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case OpenPushPull():
                if self._is_fit(effect.to):
                    self._open(partial(self._anti_entropy, effect))
            case OpenStreamPing():
                if self._is_fit(effect.to):
                    self._open(partial(self._stream_ping, effect))
            case BroadcastFinished():
                self._finish(effect.token)
            case ResolveSeeds() | ContactSeed() | JoinEnded():
                self._joins.carry_out(effect, self._start)
            case LeaveAnnounced():
                self.leave_announced.set()
            case LeaveFinished():
                self.leave_finished.set()
            case _ if isinstance(effect, SendPacket | QueryEffect | PathsChecked | PingFromElsewhere):
                pass  # packets are sent elsewhere, the rest is for observers
            case _:
                self._event_log.report(effect, self.now())

    def _send(self, effect: SendPacket) -> None:
        if effect.to != self._asked_by and not self._is_fit(effect.to):
            return
        datagram = self._envelope.packet(effect.parts, crc=effect.crc)
        if self.admission.may_send(len(datagram), effect.to):
            self._transport.send(datagram, effect.to)

    def _is_fit(self, to: Address) -> bool:
        """Return whether a member can be at `to`; if not, count and log it."""
        refusal = self.destinations.refusal(to)
        if refusal:
            self.misdirected += 1
            self._event_log.complain(str(to), f"nothing is sent there: {refusal}", self.now())
        return not refusal

    def _finish(self, token: int) -> None:
        waiting = self._waiting.get(token)
        if waiting is not None:
            waiting.set()
            return
        self._finished[token] = None
        if len(self._finished) > MAX_FINISHED_TOKENS:
            del self._finished[next(iter(self._finished))]

    # --- streams that the node asks for -------------------------------------------------------------------

    def _open(self, conversation: Callable[[], Awaitable[None]]) -> None:
        """Start `conversation` in the background, unless too many are in progress."""
        assert self._nursery is not None
        if self._outgoing >= MAX_OUTGOING_STREAMS:
            self.streams_skipped += 1
            return
        self._outgoing += 1
        self._nursery.start_soon(self._converse, conversation)

    async def _converse(self, conversation: Callable[[], Awaitable[None]]) -> None:
        try:
            await self._contain_stream(conversation)
        finally:
            self._outgoing -= 1

    def _start(self, conversation: Callable[[], Awaitable[None]]) -> None:
        """Start a part of a join in the background: the core limits their number."""
        assert self._nursery is not None
        self._nursery.start_soon(self._contain_stream, conversation)

    async def _contain_stream(self, conversation: Callable[[], Awaitable[None]]) -> None:
        try:
            await conversation()
        except* Exception as group:
            self._bugs.report("outgoing stream", group, "the stream is closed")

    async def _anti_entropy(self, effect: OpenPushPull) -> None:
        """Carry out `OpenPushPull`; if nothing answers, the failure detector will notice."""
        try:
            await self._push_pull(effect.to, join=effect.join, replay=True)
        except RemoteProtocolError as error:
            self.complain(str(effect.to), str(error))
        except (OSError, trio.TooSlowError) as error:
            log.debug(
                "push/pull failed", extra={"member": effect.node, "reason": dial_error(error, effect.to)}
            )

    async def _stream_ping(self, effect: OpenStreamPing) -> None:
        """Carry out `OpenStreamPing`; no answer in time is a result, too."""
        try:
            with trio.move_on_at(effect.deadline):
                reply = await self._streams.exchange(effect.to, effect.ping)
                if isinstance(reply, Ack) and reply.seq == effect.seq:
                    self.apply(lambda node, now: node.stream_ping_answered(effect.seq, now))
        except (OSError, RemoteProtocolError, trio.TooSlowError) as error:
            reason = dial_error(error, effect.to)
            self.apply(lambda node, now: node.stream_ping_failed(effect.seq, reason, now))
            log.debug("stream ping failed", extra={"member": effect.node, "reason": reason})

    async def _exchange_for_join(self, to: Address, *, replay: bool) -> PushPull:
        try:
            return await self._push_pull(to, join=True, replay=replay)
        except RemoteProtocolError as error:
            self.symptoms.complaint(str(to), str(error), self.now())
            raise

    async def _push_pull(self, to: Address, *, join: bool, replay: bool = False) -> PushPull:
        reply = await self._streams.exchange(to, lambda: self.encode_state(join=join))
        if not isinstance(reply, PushPull):
            raise RemoteProtocolError(f"answered a push/pull with {type(reply).__name__}")
        peer = self.node.swim.table.name_at.get(to) or str(to)
        await self.merge(reply, initiated=True, replay=replay, peer=peer)
        return reply
