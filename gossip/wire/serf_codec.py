"""Serf's messages as bytes: a type byte, then a msgpack map (Serf `messages.go`; serf-wire 5.1, 5.4).

These bytes travel as the payload of memberlist's user messages; push/pull state follows the rows of
memberlist's own push/pull. Payloads inside queries (types 6 to 9) are passed on undecoded.

Push/pull state may be 20 MiB of a stranger's bytes, so it is read element by element with flat limits: if it
were unpacked at once, hostile nested empty maps would take sixty bytes of memory per byte.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from msgpack import Unpacker

from gossip.errors import RemoteProtocolError
from gossip.wire.dialect import (
    MALFORMED,
    MAX_ELEMENTS,
    as_bytes,
    as_int,
    as_text,
    pack_struct,
    reason,
)
from gossip.wire.layout import Layout
from gossip.wire.messages import MAX_U32
from gossip.wire.serf_messages import (
    MAX_U64,
    JoinIntent,
    LeaveIntent,
    OtherSerfMessage,
    PastEvent,
    PastEvents,
    Query,
    QueryResponse,
    SerfGossip,
    SerfMessage,
    SerfMessageType,
    SerfPushPull,
    UserEvent,
)

MAX_SERF_GOSSIP_BYTES = 9 * 1024
"""Longest intent, event or query; Serf's own hard limit for an event."""

REMEMBERED_SERF_GOSSIP = 8192
"""Decoded messages kept; when a thousand nodes join, each of their intents arrives sixteen times."""

LONGEST_REMEMBERED = 512
"""Bytes of the longest one kept: any intent, and an event of Serf's default limit. Both limit memory."""

MAX_MEMBERS = 2**17
"""Names in a push/pull: far more than a cluster can have in which all members know each other."""

MAX_PAST_TIMES = 2048
"""Lamport times in a push/pull, empty ones included; Serf sends its ring of 512."""

MAX_EVENTS_PER_TIME = 256
"""Events kept for one Lamport time: the first ones."""

NIL = b"\xc0"
_NOT_NIL = re.compile(rb"[^\xc0]")


_LAYOUTS = (
    Layout(LeaveIntent), Layout(JoinIntent), Layout(UserEvent), Layout(Query), Layout(QueryResponse),
)  # fmt: skip
_BY_KIND: dict[type, Layout[Any]] = {layout.kind: layout for layout in _LAYOUTS}
_BY_TYPE: dict[int, Layout[Any]] = {layout.head[0]: layout for layout in _LAYOUTS}


def encode_serf(message: SerfMessage) -> bytes:
    """Return `message` as its type byte and body."""
    if isinstance(message, SerfPushPull):
        return _pack_push_pull(message)
    if isinstance(message, OtherSerfMessage):
        return bytes((message.kind,)) + message.body
    return _BY_KIND[type(message)].pack(message)


def decode_serf(payload: bytes) -> SerfMessage:
    """Return the message in `payload`, the bytes of a user message or the user state of a push/pull.

    Raises:
        RemoteProtocolError: `payload` is empty, of an unknown type, or malformed.
    """
    kind = payload[0] if payload else -1
    if SerfMessageType.CONFLICT_RESPONSE <= kind <= SerfMessageType.RELAY:
        return OtherSerfMessage(SerfMessageType(kind), payload[1:])
    if kind == SerfMessageType.PUSH_PULL:
        return _decode_push_pull(payload)
    layout = _BY_TYPE.get(kind)
    if layout is None:
        raise RemoteProtocolError(f"unknown serf message type {payload[:1].hex() or 'missing'}")
    message: SerfMessage = layout.decode(payload)
    return message


def decode_serf_gossip(payload: bytes) -> SerfGossip:
    """Return the intent, event or query in `payload`: the identical object for equal, short bytes.

    Raises:
        RemoteProtocolError: it is another message, malformed, or longer than `MAX_SERF_GOSSIP_BYTES`.
    """
    return remembered_serf_gossip(payload) if len(payload) <= LONGEST_REMEMBERED else _decode_gossip(payload)


def _decode_gossip(payload: bytes) -> SerfGossip:
    if len(payload) > MAX_SERF_GOSSIP_BYTES:
        raise RemoteProtocolError(
            f"serf message of {len(payload)} bytes: expected at most {MAX_SERF_GOSSIP_BYTES}"
        )
    message = decode_serf(payload)
    if not isinstance(message, LeaveIntent | JoinIntent | UserEvent | Query):
        raise RemoteProtocolError(f"serf message type {payload[:1].hex()} is not gossip")
    return message


remembered_serf_gossip = lru_cache(maxsize=REMEMBERED_SERF_GOSSIP)(_decode_gossip)


def _pack_push_pull(state: SerfPushPull) -> bytes:
    events = [
        {
            "Events": [{"Name": past.name, "Payload": past.payload or None} for past in time.events],
            "LTime": time.ltime,
        }
        for time in state.events
    ]
    return _PUSH_PULL + pack_struct(
        {
            "EventLTime": state.event_ltime,
            "Events": events,
            "LTime": state.ltime,
            "LeftMembers": state.left_members,
            "QueryLTime": state.query_ltime,
            "StatusLTimes": dict(state.status_ltimes),
        }
    )


def _decode_push_pull(payload: bytes) -> SerfPushPull:
    body = payload[1:]
    try:
        return _PushPullReader(body).read()
    except MALFORMED as error:
        text = f"malformed msgpack in serf state of {len(body)} bytes: {reason(error)}"
        raise RemoteProtocolError(text) from None


class _PushPullReader:
    """Reads one push/pull state from start to end; may raise msgpack's exceptions."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        # This unpacker never builds nested objects: containers are entered by their headers.
        self._unpacker = Unpacker(None, raw=True, max_buffer_size=len(body), max_array_len=0, max_map_len=0)
        self._unpacker.feed(body)
        self._clocks: dict[bytes, int] = {}
        self._status_ltimes: dict[str, int] = {}
        self._left_members: tuple[str, ...] = ()
        self._events: tuple[PastEvents, ...] = ()

    def read(self) -> SerfPushPull:
        for _ in range(self._enter_map(b"serf state", MAX_ELEMENTS)):
            self._read_field(self._unpacker.unpack())
        return SerfPushPull(
            ltime=self._clocks.get(b"LTime", 0),
            status_ltimes=self._status_ltimes,
            left_members=self._left_members,
            event_ltime=self._clocks.get(b"EventLTime", 0),
            events=self._events,
            query_ltime=self._clocks.get(b"QueryLTime", 0),
        )

    def _read_field(self, key: object) -> None:
        match key:
            case b"LTime" | b"EventLTime" | b"QueryLTime":
                self._clocks[key] = self._next_ltime(key)
            case b"StatusLTimes":
                self._status_ltimes = self._next_times(self._enter_map(key, MAX_MEMBERS))
            case b"LeftMembers":
                names = range(self._enter_array(key, MAX_MEMBERS))
                self._left_members = tuple(self._next_text(key) for _ in names)
            case b"Events":
                slots = self._next_slots(self._enter_array(key, MAX_PAST_TIMES))
                self._events = tuple(past for past in slots if past.events)
            case _:
                self._unpacker.skip()

    def _next_times(self, count: int) -> dict[str, int]:
        """Return `count` names with a Lamport time each, read directly: they are the bulk of a push/pull."""
        unpack = self._unpacker.unpack
        times: dict[str, int] = {}
        for _ in range(count):
            name, ltime = unpack(), unpack()
            if type(name) is bytes and type(ltime) is int and 0 <= ltime <= MAX_U64:
                times[name.decode("utf-8", "surrogateescape")] = ltime
            else:
                times[as_text(name, b"StatusLTimes")] = as_int(ltime, b"StatusLTimes", 0, MAX_U64)
        return times

    def _next_slots(self, count: int) -> Iterator[PastEvents]:
        """Yield the slots that are not nil; a real agent sends its whole ring, mostly nil."""
        while count > 0:
            start = self._unpacker.tell()
            found = _NOT_NIL.search(self._body, start)
            nils = min(count, (found.start() if found else len(self._body)) - start)
            self._skip(nils)
            count -= nils
            if count > 0:
                yield self._next_past_events()
                count -= 1

    def _next_past_events(self) -> PastEvents:
        ltime, events = 0, list[PastEvent]()
        for _ in range(self._enter_map(b"Events", MAX_ELEMENTS)):
            match self._unpacker.unpack():
                case b"LTime":
                    ltime = self._next_ltime(b"LTime")
                case b"Events":
                    count = self._enter_array(b"Events", MAX_U32)
                    events = [self._next_past_event() for _ in range(min(count, MAX_EVENTS_PER_TIME))]
                    # Cut, not refused: a member that overfills a slot of our peers must not cut us off from
                    # them.
                    self._skip(count - len(events))
                case _:
                    self._unpacker.skip()
        return PastEvents(ltime, tuple(events))

    def _skip(self, count: int) -> None:
        for _ in range(count):
            self._unpacker.skip()

    def _next_past_event(self) -> PastEvent:
        name, payload = "", b""
        for _ in range(self._enter_map(b"Events", MAX_ELEMENTS)):
            match self._unpacker.unpack():
                case b"Name":
                    name = self._next_text(b"Name")
                case b"Payload":
                    payload = as_bytes(self._unpacker.unpack(), b"Payload") or b""
                case _:
                    self._unpacker.skip()
        return PastEvent(name, payload)

    def _next_ltime(self, key: bytes) -> int:
        return as_int(self._unpacker.unpack(), key, 0, MAX_U64)

    def _next_text(self, key: bytes) -> str:
        return as_text(self._unpacker.unpack(), key)

    def _enter_map(self, name: bytes, limit: int) -> int:
        return self._enter(self._unpacker.read_map_header, name, limit)

    def _enter_array(self, name: bytes, limit: int) -> int:
        return self._enter(self._unpacker.read_array_header, name, limit)

    def _enter(self, read_header: Callable[[], int], name: bytes, limit: int) -> int:
        """Enter the next container and return its number of elements; nil has none."""
        if self._body.startswith(NIL, self._unpacker.tell()):
            self._unpacker.skip()
            return 0
        count = read_header()
        if count > limit:
            raise RemoteProtocolError(f"{name.decode()} has {count} elements, expected at most {limit}")
        return count


_PUSH_PULL = bytes((SerfMessageType.PUSH_PULL,))
