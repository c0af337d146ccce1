"""The bodies that follow headers: requests, responses and pushed records (serf-wire 6.3, 6.4).

Each body has its own map form; both sides use the same class, so they cannot disagree. Plain tuples, not
msgspec Structs: a command that answers within milliseconds cannot import msgspec.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

from gossip.errors import RemoteProtocolError
from gossip.host_port import MAX_PORT
from gossip.ipc.case_bodies import Explain, Explanation
from gossip.ipc.coordinate_bodies import FoundCoordinate, GetCoordinate
from gossip.ipc.doctor_bodies import Diagnosis
from gossip.ipc.fields import Fields, as_fields, flag, items, number, raw_bytes, text, text_map, texts
from gossip.ipc.query_bodies import (
    KeyChange,
    KeyReport,
    QueryRecord,
    SendEvent,
    SendQuery,
    SendResponse,
)

MAX_UINT8 = 255
MIN_INT32, MAX_INT32 = -(2**31), 2**31 - 1


class Handshake(NamedTuple):
    """The first request of a connection: the IPC version of the client."""

    version: int

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(number(fields, "Version", least=MIN_INT32, most=MAX_INT32))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"Version": self.version}


class Auth(NamedTuple):
    """The shared secret of the agent's operators."""

    auth_key: str

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(text(fields, "AuthKey"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"AuthKey": self.auth_key}


class Join(NamedTuple):
    """Join through any of `existing`; `replay` asks for events from before the join."""

    existing: tuple[str, ...]
    replay: bool = False

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(texts(fields, "Existing"), flag(fields, "Replay"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"Existing": list(self.existing), "Replay": self.replay}


class ForceLeave(NamedTuple):
    """Declare the failed member `node` to have left; `prune` erases it."""

    node: str
    prune: bool = False

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(text(fields, "Node"), flag(fields, "Prune"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"Node": self.node, "Prune": self.prune}


class MemberFilter(NamedTuple):
    """Regular expressions that must match a member's whole name, status and tags; "" matches any."""

    name: str = ""
    status: str = ""
    tags: Mapping[str, str] = {}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(text(fields, "Name"), text(fields, "Status"), text_map(fields, "Tags"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"Name": self.name, "Status": self.status, "Tags": dict(self.tags)}


class TagChange(NamedTuple):
    """A change of the agent's own tags: first `delete`, then `tags` are set."""

    tags: Mapping[str, str]
    delete: tuple[str, ...] = ()

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(text_map(fields, "Tags"), texts(fields, "DeleteTags"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"DeleteTags": list(self.delete), "Tags": dict(self.tags)}


class StreamFilter(NamedTuple):
    """The events of a stream: a comma-separated list such as ``member-join,user:deploy``, or ``*``."""

    type: str

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(text(fields, "Type"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"Type": self.type}


class MonitorLevel(NamedTuple):
    """The lowest level of log lines to send; the agent compares it in upper case."""

    log_level: str

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(text(fields, "LogLevel"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"LogLevel": self.log_level}


class Stop(NamedTuple):
    """End the subscription that was opened with the sequence number `seq`."""

    seq: int

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(number(fields, "Stop"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"Stop": self.seq}


RequestBody = (
    Handshake | Auth | Join | ForceLeave | MemberFilter | TagChange | StreamFilter | MonitorLevel | Stop
    | SendEvent | SendQuery | SendResponse | KeyChange | Explain | GetCoordinate
)  # fmt: skip


class Member(NamedTuple):
    """One member as the agent reports it; `status` is one of none, alive, leaving, left, failed."""

    name: str
    addr: bytes
    port: int
    tags: Mapping[str, str]
    status: str
    protocol_min: int
    protocol_max: int
    protocol_cur: int
    delegate_min: int
    delegate_max: int
    delegate_cur: int

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(
            text(fields, "Name"),
            raw_bytes(fields, "Addr"),
            number(fields, "Port", most=MAX_PORT),
            text_map(fields, "Tags"),
            text(fields, "Status"),
            number(fields, "ProtocolMin", most=MAX_UINT8),
            number(fields, "ProtocolMax", most=MAX_UINT8),
            number(fields, "ProtocolCur", most=MAX_UINT8),
            number(fields, "DelegateMin", most=MAX_UINT8),
            number(fields, "DelegateMax", most=MAX_UINT8),
            number(fields, "DelegateCur", most=MAX_UINT8),
        )

    def to_fields(self) -> Fields:
        """Return the map form, keys in the order in which Serf sends them."""
        return {
            "Addr": self.addr,
            "DelegateCur": self.delegate_cur,
            "DelegateMax": self.delegate_max,
            "DelegateMin": self.delegate_min,
            "Name": self.name,
            "Port": self.port,
            "ProtocolCur": self.protocol_cur,
            "ProtocolMax": self.protocol_max,
            "ProtocolMin": self.protocol_min,
            "Status": self.status,
            "Tags": dict(self.tags),
        }


class MemberList(NamedTuple):
    """The response to members and members-filtered."""

    members: tuple[Member, ...]

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(tuple(Member.from_fields(as_fields(item)) for item in items(fields, "Members")))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"Members": [member.to_fields() for member in self.members]}


class JoinCount(NamedTuple):
    """The response to join: how many of the addresses answered."""

    num: int

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(number(fields, "Num", most=MAX_INT32))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"Num": self.num}


class Stats(NamedTuple):
    """The response to stats: sections (agent, runtime, serf, tags …) of named values."""

    sections: Mapping[str, Mapping[str, str]]

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls({section: text_map(fields, section) for section in fields})

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {section: dict(values) for section, values in self.sections.items()}


class LogLine(NamedTuple):
    """A record of a monitor: one log line without its newline."""

    log: str

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(text(fields, "Log"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"Log": self.log}


class StreamEvent(NamedTuple):
    """A record of a stream: the event's type, such as ``member-join``, and all its fields.

    Kinds of events differ in their fields and peers may send kinds that we do not know, so the fields are
    kept as received; `Event` is one of them.
    """

    event: str
    fields: Fields

    @classmethod
    def about_members(cls, event: str, members: Iterable[Member]) -> Self:
        """Return the event ``member-join``, ``-leave``, ``-failed``, ``-update`` or ``-reap``."""
        return cls(event, {"Event": event, "Members": [member.to_fields() for member in members]})

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        event = text(fields, "Event")
        if not event:
            raise RemoteProtocolError("a record of a stream names no event")
        return cls(event, fields)

    def to_fields(self) -> Fields:
        """Return the map form."""
        return self.fields


ResponseBody = MemberList | JoinCount | Stats | KeyReport | Explanation | FoundCoordinate | Diagnosis
Record = LogLine | StreamEvent | QueryRecord
