"""Serf's messages, carried inside memberlist's user messages and push/pull (Serf `messages.go`).

Values first, then their bytes: `encode_serf` and `decode_serf` add and read the type byte.
Lamport times are 64 bits wide.
"""

from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct

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


class LeaveIntent(Struct, frozen=True, gc=False):
    """`node` leaves on purpose, said at `ltime`; `prune` also erases it from every member list."""

    ltime: int
    node: str
    prune: bool = False


class JoinIntent(Struct, frozen=True, gc=False):
    """`node` is in on purpose, said at `ltime`."""

    ltime: int
    node: str


class UserEvent(Struct, frozen=True, gc=False):
    """A user's named payload; `coalesce` says that only the newest of a name matters."""

    ltime: int
    name: str
    payload: bytes = b""
    coalesce: bool = False


class Query(Struct, frozen=True, gc=False):
    """A question to the cluster; `timeout_ns` is in nanoseconds, as on the wire."""

    ltime: int
    id: int
    addr: bytes
    port: int
    source_node: str
    filters: tuple[bytes, ...]
    flags: int
    relay_factor: int
    timeout_ns: int
    name: str
    payload: bytes = b""


class QueryResponse(Struct, frozen=True, gc=False):
    """A member's answer or acknowledgement (flag 1) to a query."""

    ltime: int
    id: int
    origin: str
    flags: int
    payload: bytes | None = None


class PastEvent(Struct, frozen=True, gc=False):
    """A user event as push/pull repeats it: no origin, no coalescing flag."""

    name: str
    payload: bytes = b""


class PastEvents(Struct, frozen=True, gc=False):
    """All user events of one Lamport time."""

    ltime: int
    events: tuple[PastEvent, ...]


class SerfPushPull(Struct, frozen=True, gc=False):
    """Serf's part of a push/pull: clocks, status times per member, who left, recent events."""

    ltime: int
    status_ltimes: Mapping[str, int]
    left_members: tuple[str, ...]
    event_ltime: int
    events: tuple[PastEvents, ...]
    query_ltime: int


class OtherSerfMessage(Struct, frozen=True, gc=False):
    """A message that is only handed on here: conflict response, key request or response, relay."""

    kind: SerfMessageType
    body: bytes


SerfGossip = LeaveIntent | JoinIntent | UserEvent | Query
SerfMessage = SerfGossip | QueryResponse | SerfPushPull | OtherSerfMessage
