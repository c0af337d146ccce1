"""Subscriptions of IPC connections: events and log lines (serf-wire 6.4).

Each subscription has a bounded queue. If its client does not read fast enough, records are dropped and
counted; the producer never waits.
"""

import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

import trio

from gossip.agent.event_filter import EventFilter
from gossip.agent.log import LEVELS, LogRing
from gossip.ipc.bodies import LogLine, Member, Record, StreamEvent
from gossip.ipc.protocol import encode_record
from gossip.ipc.query_bodies import QueryRecord
from gossip.serf.effects import (
    Effect,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberReaped,
    MemberUpdated,
    QueryAcked,
    QueryAnswered,
    QueryFinished,
    UserEventReceived,
)
from gossip.serf.members import SerfMember
from gossip.serf.queries import IncomingQuery

QUEUED_RECORDS = 512
"""The size of a subscription's queue in Serf."""

log = logging.getLogger("gossip.agent")

MEMBER_EVENTS: dict[type, str] = {
    MemberJoined: "member-join",
    MemberLeft: "member-leave",
    MemberFailed: "member-failed",
    MemberUpdated: "member-update",
    MemberReaped: "member-reap",
}
"""The effects that Serf reports to its streams; suspicions and intents are ours and stay internal."""


def describe(member: SerfMember) -> Member:
    """Return a member in the form of the IPC."""
    alive = member.alive
    pmin, pmax, pcur, dmin, dmax, dcur = alive.versions or bytes(6)
    return Member(
        name=alive.node,
        addr=alive.addr,
        port=alive.port,
        tags=member.tags,
        status=member.status.name.lower(),
        protocol_min=pmin,
        protocol_max=pmax,
        protocol_cur=pcur,
        delegate_min=dmin,
        delegate_max=dmax,
        delegate_cur=dcur,
    )


class Subscription:
    """A queue of records for the client that subscribed with sequence number `seq`."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.dropped = 0
        self.is_pumped = False  # a task is writing the queued records
        self._send, self._receive = trio.open_memory_channel[Record](QUEUED_RECORDS)

    def offer(self, record: Record) -> None:
        """Queue `record`, or drop it if the queue is full or closed."""
        try:
            self._send.send_nowait(record)
        except trio.WouldBlock:
            self.dropped += 1
            if self.dropped == 1:  # logged once: otherwise a monitor would receive reports of its own losses
                log.warning("ipc client reads too slowly: records dropped", extra={"seq": self.seq})
        except trio.ClosedResourceError:
            pass

    def close(self) -> None:
        """Take and send no more records; a record that is being written is finished."""
        self._send.close()
        self._receive.close()

    async def pump(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Write records until closed."""
        with suppress(trio.EndOfChannel, trio.ClosedResourceError):
            while True:
                await write(encode_record(self.seq, await self._receive.receive()))


class EventStream(Subscription):
    """The subscription of the stream command."""

    def __init__(self, seq: int, wanted: EventFilter, number: Callable[[IncomingQuery], int]) -> None:
        """Send events that `wanted` admits; `number` makes a query answerable on the stream's connection."""
        super().__init__(seq)
        self.wanted = wanted
        self.number = number


class EventFeed:
    """Turns effects of the node into records for all event streams; an observer of the driver."""

    def __init__(self) -> None:
        self._streams: dict[EventStream, None] = {}

    def add(self, stream: EventStream) -> None:
        """Send events to `stream` from now on."""
        self._streams[stream] = None

    def remove(self, stream: EventStream) -> None:
        """Send no more events to `stream`."""
        self._streams.pop(stream, None)

    def observe(self, effects: Sequence[Effect], _now: float) -> None:
        """Pass on the events that Serf has; rows are copied here because they keep changing."""
        if not self._streams:
            return
        for effect in effects:
            if isinstance(effect, UserEventReceived):
                self._publish("user", effect.event.name, _user_record(effect))
            elif isinstance(effect, MemberJoined | MemberLeft | MemberFailed | MemberUpdated | MemberReaped):
                kind = MEMBER_EVENTS[type(effect)]
                self._publish(kind, "", StreamEvent.about_members(kind, (describe(effect.member),)))

    def _publish(self, kind: str, name: str, record: StreamEvent) -> None:
        for stream in list(self._streams):
            if stream.wanted.admits(kind, name):
                stream.offer(record)

    def query(self, query: IncomingQuery) -> None:
        """Pass on a query for this agent."""
        for stream in list(self._streams):
            if stream.wanted.admits("query", query.name):
                fields = {
                    "Event": "query",
                    "ID": stream.number(query),
                    "LTime": query.ltime,
                    "Name": query.name,
                    "Payload": query.payload,
                }
                stream.offer(StreamEvent("query", fields))


class QuerySubscription(Subscription):
    """The responses to a query of the client, until it is done."""

    token = 0  # of the query, once it has been sent

    def listen(self, effect: QueryAcked | QueryAnswered | QueryFinished) -> None:
        """Pass on an ack, an answer, or the end."""
        if isinstance(effect, QueryAcked):
            self.offer(QueryRecord("ack", effect.origin))
        elif isinstance(effect, QueryAnswered):
            self.offer(QueryRecord("response", effect.origin, effect.payload))
        else:
            self.offer(QueryRecord("done"))


class Monitor(Subscription):
    """The subscription of the monitor command: the remembered lines first, then live ones."""

    def __init__(self, seq: int, ring: LogRing, level: str) -> None:
        super().__init__(seq)
        self._ring = ring
        self._thread = threading.get_ident()
        self._trio = trio.lowlevel.current_trio_token()
        self._history: Iterable[str] = ring.subscribe(self._hear, LEVELS[level])

    def close(self) -> None:
        """Stop listening; see also `Subscription.close`."""
        self._ring.unsubscribe(self._hear)
        self._history = ()
        super().close()

    async def pump(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Write lines until closed."""
        for line in list(self._history):
            await write(encode_record(self.seq, LogLine(line)))
            if not self._history:
                return  # closed meanwhile
        self._history = ()
        await super().pump(write)

    def _hear(self, _level: int, line: str) -> None:
        """Take a line from the logging thread, which may be outside Trio."""
        if threading.get_ident() == self._thread:
            self.offer(LogLine(line))
        else:
            with suppress(trio.RunFinishedError):
                self._trio.run_sync_soon(self.offer, LogLine(line))


def _user_record(effect: UserEventReceived) -> StreamEvent:
    event = effect.event
    return StreamEvent(
        "user",
        {
            "Coalesce": event.coalesce,
            "Event": "user",
            "LTime": event.ltime,
            "Name": event.name,
            "Payload": event.payload,
        },
    )
