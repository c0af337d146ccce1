"""Serf's messages, each declared once (Serf `messages.go`; serf-wire 5.1).

Each declaration gives the type byte and the fields, in the order of Go's declaration, with their names and
types on the wire. `gossip.wire.serf_codec` reads and writes bytes by them; only the push/pull state, which
may be large, is read piece by piece there. All travel inside memberlist's user messages and push/pull.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, ClassVar

from msgspec import Struct

from gossip.wire.dialect import as_bytes, as_list
from gossip.wire.layout import (
    BOOL,
    BYTES,
    BYTES_OR_NIL,
    I64,
    PAYLOAD,
    TEXT,
    U8,
    U16,
    U32,
    U64,
    Wire,
    WireType,
)

MAX_U64 = 2**64 - 1


class SerfMessageType(IntEnum):
    """The first byte of every Serf message."""

    LEAVE = 0
    JOIN = 1
    PUSH_PULL = 2
    USER_EVENT = 3
    QUERY = 4
    QUERY_RESPONSE = 5
    CONFLICT_RESPONSE = 6
    KEY_REQUEST = 7
    KEY_RESPONSE = 8
    RELAY = 9


def _read_byte_strings(value: object, key: bytes) -> tuple[bytes, ...]:
    return tuple(as_bytes(each, key) or b"" for each in as_list(value, key))


FILTERS = WireType(_read_byte_strings, lambda filters: filters or None)
"""Go writes an empty list as nil."""


class LeaveIntent(Struct, frozen=True, gc=False):
    """`node` leaves on purpose, announced at `ltime`; `prune` also erases it from every member list."""

    TYPE: ClassVar = SerfMessageType.LEAVE

    ltime: Annotated[int, Wire("LTime", U64)]
    node: Annotated[str, Wire("Node", TEXT)]
    prune: Annotated[bool, Wire("Prune", BOOL)] = False


class JoinIntent(Struct, frozen=True, gc=False):
    """`node` has joined on purpose, announced at `ltime`."""

    TYPE: ClassVar = SerfMessageType.JOIN

    ltime: Annotated[int, Wire("LTime", U64)]
    node: Annotated[str, Wire("Node", TEXT)]


class UserEvent(Struct, frozen=True, gc=False):
    """A user's named payload; with `coalesce`, only the newest event of a name matters."""

    TYPE: ClassVar = SerfMessageType.USER_EVENT

    ltime: Annotated[int, Wire("LTime", U64)]
    name: Annotated[str, Wire("Name", TEXT)]
    payload: Annotated[bytes, Wire("Payload", PAYLOAD)] = b""
    coalesce: Annotated[bool, Wire("CC", BOOL)] = False


class Query(Struct, frozen=True, gc=False):
    """A question to the cluster; `timeout_ns` is in nanoseconds, as on the wire."""

    TYPE: ClassVar = SerfMessageType.QUERY

    ltime: Annotated[int, Wire("LTime", U64)]
    id: Annotated[int, Wire("ID", U32)]
    addr: Annotated[bytes, Wire("Addr", BYTES)]
    port: Annotated[int, Wire("Port", U16)]
    source_node: Annotated[str, Wire("SourceNode", TEXT)]
    filters: Annotated[tuple[bytes, ...], Wire("Filters", FILTERS)]
    flags: Annotated[int, Wire("Flags", U32)]
    relay_factor: Annotated[int, Wire("RelayFactor", U8)]
    timeout_ns: Annotated[int, Wire("Timeout", I64)]
    name: Annotated[str, Wire("Name", TEXT)]
    payload: Annotated[bytes, Wire("Payload", PAYLOAD)] = b""


class QueryResponse(Struct, frozen=True, gc=False):
    """A member's answer to a query, or its acknowledgement (flag 1)."""

    TYPE: ClassVar = SerfMessageType.QUERY_RESPONSE

    ltime: Annotated[int, Wire("LTime", U64)]
    id: Annotated[int, Wire("ID", U32)]
    origin: Annotated[str, Wire("From", TEXT)]
    flags: Annotated[int, Wire("Flags", U32)]
    payload: Annotated[bytes | None, Wire("Payload", BYTES_OR_NIL)] = None


class PastEvent(Struct, frozen=True, gc=False):
    """A user event in the form of a push/pull: no origin, no coalescing flag."""

    name: str
    payload: bytes = b""


class PastEvents(Struct, frozen=True, gc=False):
    """All user events of one Lamport time."""

    ltime: int
    events: tuple[PastEvent, ...]


class SerfPushPull(Struct, frozen=True, gc=False):
    """Serf's part of a push/pull: clocks, status times per member, members that left, recent events."""

    ltime: int
    status_ltimes: Mapping[str, int]
    left_members: tuple[str, ...]
    event_ltime: int
    events: tuple[PastEvents, ...]
    query_ltime: int


class OtherSerfMessage(Struct, frozen=True, gc=False):
    """A message that is only passed on here: conflict response, key request or response, relay."""

    kind: SerfMessageType
    body: bytes


SerfGossip = LeaveIntent | JoinIntent | UserEvent | Query
SerfMessage = SerfGossip | QueryResponse | SerfPushPull | OtherSerfMessage
