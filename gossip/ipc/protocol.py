"""Both ends of a conversation in Serf's IPC, without I/O (serf-wire 0.3 and 6.1-6.4).

Requests and responses are bare msgpack objects one after the other, so a reader must know which headers have
a body before it reads the next byte. Only the tables below state that; one body too many or too few
desynchronises a connection for good.

A server feeds a `RequestReader` and writes `encode_response` and `encode_record`; a client owns a
`ClientConversation`. Feed bytes, then take messages until None comes back, then feed more.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgpack

from gossip.errors import RemoteProtocolError
from gossip.ipc.bodies import (
    Auth,
    ForceLeave,
    Handshake,
    Join,
    JoinCount,
    LogLine,
    MemberFilter,
    MemberList,
    MonitorLevel,
    Record,
    RequestBody,
    ResponseBody,
    Stats,
    Stop,
    StreamEvent,
    StreamFilter,
    TagChange,
)
from gossip.ipc.case_bodies import Explain, Explanation
from gossip.ipc.coordinate_bodies import FoundCoordinate, GetCoordinate
from gossip.ipc.doctor_bodies import Diagnosis
from gossip.ipc.fields import Fields, as_fields, number, text
from gossip.ipc.query_bodies import (
    KeyChange,
    KeyReport,
    QueryRecord,
    SendEvent,
    SendQuery,
    SendResponse,
)

IPC_VERSION = 1

CHUNK_BYTES = 64 * 1024
"""The most that either side reads from its socket and feeds in at once."""
MAX_REQUEST_BYTES = 64 * 1024
"""An agent's limit for one header or body; a join of 2,000 addresses fits."""
MAX_REQUEST_ITEMS = 4096
"""An agent's limit for one list or map in a request."""
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
"""A client's limit for one header or body; 20,000 members with full tags fit."""
MAX_RESPONSE_ITEMS = 65_536
"""A client's limit for one list or map in a response."""
MAX_PENDING = 256
"""A client's limit for unanswered requests and for open subscriptions."""

UNSUPPORTED_COMMAND = "Unsupported command"
UNSUPPORTED_VERSION = "Unsupported IPC version"
DUPLICATE_HANDSHAKE = "Handshake already performed"
HANDSHAKE_REQUIRED = "Handshake required"
AUTHENTICATION_REQUIRED = "Authentication required"
AUTH_REFUSED = "Invalid authentication token"
MONITOR_EXISTS = "Monitor already exists"
STREAM_EXISTS = "Stream with given sequence exists"
INVALID_FILTER = "Invalid event filter"
NO_SUCH_QUERY = "No pending queries matching ID"
INTERNAL_QUERY = "Queries cannot contain the '_serf_' prefix"
UNKNOWN_LOG_LEVEL = "Unknown log level: {level}"
LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERR")

BODILESS_ERRORS = frozenset((AUTHENTICATION_REQUIRED, HANDSHAKE_REQUIRED, UNSUPPORTED_COMMAND))
"""Errors found before the command was examined: they have no body."""


class Command(StrEnum):
    """The commands of this project; the last two are its own."""

    HANDSHAKE = "handshake"
    AUTH = "auth"
    MEMBERS = "members"
    MEMBERS_FILTERED = "members-filtered"
    JOIN = "join"
    LEAVE = "leave"
    FORCE_LEAVE = "force-leave"
    TAGS = "tags"
    STATS = "stats"
    STREAM = "stream"
    MONITOR = "monitor"
    STOP = "stop"
    EVENT = "event"
    QUERY = "query"
    RESPOND = "respond"
    INSTALL_KEY = "install-key"
    USE_KEY = "use-key"
    REMOVE_KEY = "remove-key"
    LIST_KEYS = "list-keys"
    EXPLAIN = "explain"
    GET_COORDINATE = "get-coordinate"
    DOCTOR = "doctor"


REQUEST_BODIES: Final[Mapping[str, type[RequestBody]]] = {
    Command.HANDSHAKE: Handshake,
    Command.AUTH: Auth,
    Command.MEMBERS_FILTERED: MemberFilter,
    Command.JOIN: Join,
    Command.FORCE_LEAVE: ForceLeave,
    Command.TAGS: TagChange,
    Command.STREAM: StreamFilter,
    Command.MONITOR: MonitorLevel,
    Command.STOP: Stop,
    Command.EVENT: SendEvent,
    Command.QUERY: SendQuery,
    Command.RESPOND: SendResponse,
    Command.INSTALL_KEY: KeyChange,
    Command.USE_KEY: KeyChange,
    Command.REMOVE_KEY: KeyChange,
    Command.EXPLAIN: Explain,
    Command.GET_COORDINATE: GetCoordinate,
}
"""The commands that have a request body."""

NO_MEMBERS, NO_CONTACT, NO_STATS, NO_KEYS = MemberList(()), JoinCount(0), Stats({}), KeyReport()
NO_EXPLANATION, NO_DIAGNOSIS = Explanation(), Diagnosis()
NOWHERE = FoundCoordinate(is_known=False)
RESPONSE_BODIES: Final[Mapping[str, ResponseBody]] = {
    Command.MEMBERS: NO_MEMBERS,
    Command.MEMBERS_FILTERED: NO_MEMBERS,
    Command.JOIN: NO_CONTACT,
    Command.STATS: NO_STATS,
    Command.INSTALL_KEY: NO_KEYS,
    Command.USE_KEY: NO_KEYS,
    Command.REMOVE_KEY: NO_KEYS,
    Command.LIST_KEYS: NO_KEYS,
    Command.EXPLAIN: NO_EXPLANATION,
    Command.GET_COORDINATE: NOWHERE,
    Command.DOCTOR: NO_DIAGNOSIS,
}
"""The commands that have a response body, and the body to send with an error."""

RECORDS: Final[Mapping[str, type[Record]]] = {
    Command.STREAM: StreamEvent,
    Command.MONITOR: LogLine,
    Command.QUERY: QueryRecord,
}
"""The commands that open a subscription, and the records it carries."""


class Request(NamedTuple):
    """A client's request.

    Answer an unknown `command` with `UNSUPPORTED_COMMAND`, and close: it is unknown whether it has a body.
    """

    command: str
    seq: int
    body: RequestBody | None


class Response(NamedTuple):
    """An agent's answer to the request numbered `seq`; `error` is "" on success."""

    command: str
    seq: int
    error: str
    body: ResponseBody | None


class Pushed(NamedTuple):
    """A record of the subscription that was opened with `seq`."""

    seq: int
    record: Record


class MessageReader:
    """Cuts a byte stream into msgpack objects, within limits.

    Every method raises `RemoteProtocolError` once the stream is broken, as there is no way to resynchronise.
    """

    def __init__(self, *, max_bytes: int, max_items: int) -> None:
        self._unpacker = msgpack.Unpacker(
            raw=False,
            unicode_errors="surrogateescape",
            strict_map_key=True,
            max_buffer_size=max_bytes + CHUNK_BYTES,
            max_array_len=max_items,
            max_map_len=max_items,
        )
        self._max_bytes = max_bytes
        self._received = 0
        self._start = 0  # position in the stream of the incomplete message

    def receive_data(self, data: bytes) -> None:
        """Take at most `CHUNK_BYTES` from the peer; take all messages before giving more.

        Raises:
            RemoteProtocolError: the bytes so far cannot belong to a message within the limits.
        """
        self._received += len(data)
        try:
            self._unpacker.feed(data)
        except msgpack.BufferFull:
            raise self._too_long() from None

    def next_message(self) -> tuple[object] | None:
        """Return the next complete object, wrapped because it may be nil; None if more data is needed.

        Raises:
            RemoteProtocolError: the bytes are not msgpack, or exceed a limit.
        """
        try:
            message: object = self._unpacker.unpack()
        except msgpack.OutOfData:
            # The unpacker keeps the parsed part of an unfinished object outside its bounded buffer.
            if self._received - self._start > self._max_bytes:
                raise self._too_long() from None
            return None
        except (ValueError, msgpack.UnpackException) as error:
            raise RemoteProtocolError(
                f"bytes are not a valid message: {error or type(error).__name__}"
            ) from None
        end = self._unpacker.tell()
        if end - self._start > self._max_bytes:
            raise self._too_long()
        self._start = end
        return (message,)

    def _too_long(self) -> RemoteProtocolError:
        return RemoteProtocolError(f"message is longer than {self._max_bytes} bytes")


class RequestReader:
    """An agent's reading side: bytes in, requests out."""

    def __init__(self) -> None:
        self._messages = MessageReader(max_bytes=MAX_REQUEST_BYTES, max_items=MAX_REQUEST_ITEMS)
        self._header: tuple[str, int] | None = None  # read, while its body is still to come
        self._seq = 0  # a header without Seq repeats the previous one, as in Serf

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the client; answer every request of `next_request` before giving more.

        Raises:
            RemoteProtocolError: a request is too long; close the connection without an answer.
        """
        self._messages.receive_data(data)

    def next_request(self) -> Request | None:
        """Return the next request with its body; None if more data is needed.

        Raises:
            RemoteProtocolError: it is not a request; close the connection without an answer.
        """
        if self._header is None:
            message = self._messages.next_message()
            if message is None:
                return None
            fields = as_fields(message[0])
            if fields.get("Seq") is not None:
                self._seq = number(fields, "Seq")
            self._header = text(fields, "Command"), self._seq
        command, seq = self._header
        kind = REQUEST_BODIES.get(command)
        body = None
        if kind is not None:
            message = self._messages.next_message()
            if message is None:
                return None
            body = kind.from_fields(as_fields(message[0]))
        self._header = None
        return Request(command, seq, body)


def encode_response(request: Request, *, error: str = "", body: ResponseBody | None = None) -> bytes:
    """Return the answer to `request`: the header, and the body if its command has one.

    With an `error`, leave `body` out: an empty one is sent if the client expects one.
    """
    header = _encode({"Error": error, "Seq": request.seq})
    empty = RESPONSE_BODIES.get(request.command)
    if empty is None or error in BODILESS_ERRORS:
        assert body is None, f"{request.command} has no response body"
        return header
    assert body is not None or error, f"{request.command} needs a response body"
    return header + _encode((body or empty).to_fields())


def encode_record(seq: int, record: Record) -> bytes:
    """Return `record` for the subscription opened with `seq`; write it in one piece."""
    return _encode({"Error": "", "Seq": seq}) + _encode(record.to_fields())


class ClientConversation:
    """A client's side of one connection: numbers the requests, and matches responses with them."""

    def __init__(self) -> None:
        self._messages = MessageReader(max_bytes=MAX_RESPONSE_BYTES, max_items=MAX_RESPONSE_ITEMS)
        self._last_seq = 0
        self._pending: dict[int, str] = {}  # command by sequence number
        self._subscriptions: dict[int, str] = {}  # the same for open subscriptions, whose records may come
        self._header: tuple[int, str] | None = None  # read, while its body is still to come

    def send(self, command: Command, body: RequestBody | None = None) -> tuple[int, bytes]:
        """Return the sequence number of a new request and the bytes to write."""
        assert type(body) is REQUEST_BODIES.get(command, type(None)), f"wrong body for {command}"
        assert len(self._pending) + len(self._subscriptions) < MAX_PENDING, "too many open requests"
        self._last_seq += 1
        self._pending[self._last_seq] = command
        header = _encode({"Command": str(command), "Seq": self._last_seq})
        return self._last_seq, header if body is None else header + _encode(body.to_fields())

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the agent; take everything from `next_event` before giving more.

        Raises:
            RemoteProtocolError: a message is too long.
        """
        self._messages.receive_data(data)

    def next_event(self) -> Response | Pushed | None:
        """Return the next response or record; None if more data is needed.

        Raises:
            RemoteProtocolError: the agent does not speak Serf's IPC, or answers a request that was not made.
        """
        if self._header is None:
            message = self._messages.next_message()
            if message is None:
                return None
            fields = as_fields(message[0])
            if "Seq" not in fields or "Error" not in fields:
                raise RemoteProtocolError("header has no Error and Seq")
            self._header = number(fields, "Seq"), text(fields, "Error")
        seq, error = self._header
        event: Response | Pushed | None
        if seq in self._pending:
            event = self._next_response(seq, error)
        elif seq in self._subscriptions:
            event = self._next_record(seq)
        else:
            raise RemoteProtocolError(f"answer to request {seq}, which was not asked")
        if event is not None:
            self._header = None
        return event

    def _next_response(self, seq: int, error: str) -> Response | None:
        command = self._pending[seq]
        zero = RESPONSE_BODIES.get(command)
        body = None
        if zero is not None and error not in BODILESS_ERRORS:
            fields = self._next_body()
            if fields is None:
                return None
            body = type(zero).from_fields(fields)
        del self._pending[seq]
        if command in RECORDS and not error:
            self._subscriptions[seq] = command
        return Response(command, seq, error, body)

    def _next_record(self, seq: int) -> Pushed | None:
        fields = self._next_body()
        return None if fields is None else Pushed(seq, RECORDS[self._subscriptions[seq]].from_fields(fields))

    def _next_body(self) -> Fields | None:
        message = self._messages.next_message()
        return None if message is None else as_fields(message[0])


def _encode(fields: Fields) -> bytes:
    encoded: bytes = msgpack.packb(fields, use_bin_type=True, unicode_errors="surrogateescape")
    return encoded
