"""TCP between simulated agents: push/pulls and stream pings, within the limits of the agent's own driver.

A conversation is a handshake and one message each way. Lost segments are retransmitted after TCP's doubling
pauses, until the opener's deadline. A machine without an agent refuses at once; an address without a machine
stays silent.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gossip.errors import RemoteProtocolError
from gossip.sim.host import Host, Stall
from gossip.wire.codec import decode
from gossip.wire.messages import Ack, Ping, PushPull

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.sim.byte_path import BytePath
    from gossip.sim.network import Network
    from gossip.sim.schedule import Schedule
    from gossip.swim.effects import OpenPushPull, OpenStreamPing
    from gossip.wire.address import Address

MAX_OUTGOING = 64
"""Streams that a node may have opened at once, as in the agent's driver."""
MAX_INCOMING = 128
"""Streams that an agent serves at once, as in the agent."""
SYN_AGAIN_AFTER = 1.0
"""First pause before TCP repeats a SYN, in seconds (RFC 6298); it doubles."""

CONTROL_BYTES = 40
PING_BYTES = 100
ROW_BYTES = 100
"""Rough sizes of stream messages, for links with limited bandwidth."""

Message = PushPull | Ping | Ack


class Conversation:
    """One stream, from the opener's side."""

    __slots__ = ("deadline", "is_over", "life", "on_end", "opener", "pause", "request", "server", "to")

    def __init__(
        self,
        opener: Host,
        to: Address,
        request: Message,
        on_end: Callable[[Message | None], None],
        deadline: float,
    ) -> None:
        self.opener = opener
        self.life = opener.life
        self.to = to
        self.request: Message | bytes = request
        self.on_end = on_end  # called once, with the reply or None, unless the opener dies first
        self.deadline = deadline
        self.is_over = False
        self.pause = SYN_AGAIN_AFTER
        self.server: tuple[Host, int] | None = None  # the host that serves it, and in which of its lives

    def end(self, reply: Message | None) -> None:
        """Report the outcome, once."""
        if self.is_over:
            return
        self.is_over = True
        if self.server is not None and self.server[0].life == self.server[1]:
            self.server[0].incoming -= 1
        if self.opener.life == self.life and self.opener.node is not None:
            self.opener.outgoing -= 1
            self.on_end(reply)


class Streams:
    """All conversations in progress."""

    def __init__(
        self,
        schedule: Schedule,
        network: Network,
        locate: Callable[[Address], Host | None],
        flush: Callable[[Host], None],
        path: BytePath | None,
    ) -> None:
        self.skipped = 0  # not opened, because the node had too many open
        self.refused = 0  # refused by agents with too many incoming streams
        self.broken = 0  # states that a peer refused to merge
        self._schedule = schedule
        self._network = network
        self._locate = locate
        self._flush = flush
        self._path = path

    def anti_entropy(self, opener: Host, effect: OpenPushPull) -> None:
        """Carry out a node's push/pull; nobody waits for the outcome."""
        if self._may_open(opener):
            self.push_pull(opener, effect.to, join=effect.join, replay=True, on_end=lambda _: None)

    def push_pull(
        self,
        opener: Host,
        to: Address,
        *,
        join: bool,
        replay: bool,
        on_end: Callable[[PushPull | None], None],
    ) -> None:
        """Exchange states with the agent at `to`; `on_end` receives its state, or None."""
        assert opener.node is not None

        def merge(reply: Message | None) -> None:
            merged = isinstance(reply, PushPull) and self._merge(opener, reply, initiated=True, replay=replay)
            on_end(reply if isinstance(reply, PushPull) and merged else None)

        self._open(opener, to, opener.node.local_state(join=join), merge)

    def stream_ping(self, opener: Host, effect: OpenStreamPing) -> None:
        """Carry out the stream ping of a probe."""
        if not self._may_open(opener):
            return
        ping = decode(effect.ping)
        assert isinstance(ping, Ping)

        def answered(reply: Message | None) -> None:
            now = opener.local_time(self._schedule.now)
            if isinstance(reply, Ack) and reply.seq == effect.seq and now <= effect.deadline:
                assert opener.node is not None
                opener.node.stream_ping_answered(effect.seq, now)
                self._flush(opener)

        self._open(opener, effect.to, ping, answered)

    # --- the opener's side --------------------------------------------------------------------------------

    def _may_open(self, opener: Host) -> bool:
        if opener.outgoing >= MAX_OUTGOING:
            self.skipped += 1
            return False
        return True

    def _open(
        self, opener: Host, to: Address, request: Message, on_end: Callable[[Message | None], None]
    ) -> None:
        assert opener.node is not None
        opener.outgoing += 1
        opener.streams_opened += 1
        deadline = self._schedule.now + opener.node.config.swim.stream_timeout
        conversation = Conversation(opener, to, request, on_end, deadline)
        if self._path is not None:
            conversation.request = self._path.write(request)
        self._schedule.at(deadline, partial(self._time_out, conversation))
        self._call(conversation)

    def _call(self, conversation: Conversation) -> None:
        """Shake hands and send the request; retry later if it does not get through."""
        if conversation.is_over:
            return
        if conversation.opener.stall is not Stall.NONE:
            conversation.opener.hold_back(partial(self._call, conversation))
            return
        target = self._locate(conversation.to)
        if target is None:
            return  # nothing has that address: silence, until the deadline
        source, there = conversation.opener.name, target.name
        legs = (
            self._network.segments(source, there, CONTROL_BYTES),
            self._network.segments(there, source, CONTROL_BYTES),
            self._network.segments(source, there, _size(conversation.request)),
        )
        times = [leg for leg in legs if leg is not None]
        if len(times) < len(legs):
            self._later(conversation, partial(self._call, conversation))
            return
        self._schedule.at(self._schedule.now + sum(times), partial(self._serve, conversation, target))

    def _later(self, conversation: Conversation, again: Callable[[], None]) -> None:
        """Retry after TCP's pause; the deadline ends the attempts."""
        at = self._schedule.now + conversation.pause
        conversation.pause *= 2
        if at < conversation.deadline:
            self._schedule.at(at, again)

    def _answered(self, conversation: Conversation, reply: Message | bytes) -> None:
        if conversation.opener.stall is not Stall.NONE:
            conversation.opener.keep(partial(self._answered, conversation, reply))
            return
        conversation.end(self._read(reply))

    def _time_out(self, conversation: Conversation) -> None:
        if conversation.opener.stall is Stall.ALL:
            conversation.opener.keep(partial(self._time_out, conversation))
            return
        conversation.end(None)

    # --- the other side -----------------------------------------------------------------------------------

    def _serve(self, conversation: Conversation, target: Host) -> None:
        """The request reaches a machine; its agent answers, even if the opener has given up."""
        if target.stall is not Stall.NONE:
            target.keep(partial(self._serve, conversation, target))
            return
        if target.node is None or target.incoming >= MAX_INCOMING:
            self.refused += target.node is not None
            self._refuse(conversation, target)
            return
        if not conversation.is_over:
            conversation.server = (target, target.life)
            target.incoming += 1
        message = self._read(conversation.request)
        if isinstance(message, Ping):
            ack = target.node.answer_stream_ping(message)
            if ack is not None:
                self._answer(conversation, target, self._written(ack))
        elif isinstance(message, PushPull):
            # Our state goes out before theirs is merged: the reply must not contain what they have just sent.
            self._answer(conversation, target, self._written(target.node.local_state(join=message.join)))
            self._merge(target, message, initiated=False, replay=False)

    def _answer(self, conversation: Conversation, target: Host, reply: Message | bytes) -> None:
        if conversation.is_over:
            return
        delay = self._network.segments(target.name, conversation.opener.name, _size(reply))
        if delay is None:
            self._later(conversation, partial(self._answer, conversation, target, reply))
            return
        self._schedule.at(self._schedule.now + delay, partial(self._answered, conversation, reply))

    def _refuse(self, conversation: Conversation, target: Host) -> None:
        delay = self._network.segments(target.name, conversation.opener.name, CONTROL_BYTES)
        if delay is not None:
            self._schedule.at(self._schedule.now + delay, partial(self._time_out, conversation))

    def _merge(self, host: Host, state: PushPull, *, initiated: bool, replay: bool) -> bool:
        assert host.node is not None
        now = host.local_time(self._schedule.now)
        try:
            host.node.merge_remote_state(state, initiated=initiated, now=now, replay=replay)
        except RemoteProtocolError:
            self.broken += 1
            return False
        finally:
            self._flush(host)
        return True

    # --- bytes --------------------------------------------------------------------------------------------

    def _written(self, message: Message) -> Message | bytes:
        return message if self._path is None else self._path.write(message)

    def _read(self, message: Message | bytes) -> Message:
        if not isinstance(message, bytes):
            return message
        assert self._path is not None
        read = self._path.read(message)
        assert isinstance(read, PushPull | Ping | Ack)
        return read


def _size(message: Message | bytes) -> int:
    if isinstance(message, bytes):
        return len(message)
    if isinstance(message, PushPull):
        return ROW_BYTES * len(message.nodes) + len(message.user_state)
    return PING_BYTES
