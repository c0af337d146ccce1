"""Bodies of the commands for the whole cluster: user events, queries and keys (serf-wire 6.3, 6.4)."""

from collections.abc import Mapping
from typing import NamedTuple, Self

from gossip.ipc.fields import Fields, as_fields, flag, number, raw_bytes, text, text_map, texts

MAX_UINT8 = 255
MAX_INT64 = 2**63 - 1


class SendEvent(NamedTuple):
    """Send a user event; with `coalesce`, only the newest event of its name need be reported."""

    name: str
    payload: bytes = b""
    coalesce: bool = False

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(text(fields, "Name"), raw_bytes(fields, "Payload"), flag(fields, "Coalesce"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"Coalesce": self.coalesce, "Name": self.name, "Payload": self.payload or None}


class SendQuery(NamedTuple):
    """Ask the cluster; `timeout_ns` is in nanoseconds, 0 for the agent's default."""

    name: str
    payload: bytes = b""
    nodes: tuple[str, ...] = ()
    tags: Mapping[str, str] | None = None
    wants_acks: bool = True
    relay_factor: int = 0
    timeout_ns: int = 0

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(
            text(fields, "Name"),
            raw_bytes(fields, "Payload"),
            texts(fields, "FilterNodes"),
            text_map(fields, "FilterTags") if fields.get("FilterTags") is not None else None,
            flag(fields, "RequestAck"),
            number(fields, "RelayFactor", most=MAX_UINT8),
            number(fields, "Timeout", most=MAX_INT64),
        )

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {
            "FilterNodes": list(self.nodes) or None,
            "FilterTags": None if self.tags is None else dict(self.tags),
            "Name": self.name,
            "Payload": self.payload or None,
            "RelayFactor": self.relay_factor,
            "RequestAck": self.wants_acks,
            "Timeout": self.timeout_ns,
        }


class SendResponse(NamedTuple):
    """Answer the query that a stream of this connection delivered under the number `id`."""

    id: int
    payload: bytes = b""

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(number(fields, "ID"), raw_bytes(fields, "Payload"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"ID": self.id, "Payload": self.payload}


class KeyChange(NamedTuple):
    """Install, use or remove `key` (base64) on every member."""

    key: str

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(text(fields, "Key"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"Key": self.key}


class KeyReport(NamedTuple):
    """The response to the key commands: messages from members, and the number of members per key."""

    messages: Mapping[str, str] = {}  # by member, only if it sent one
    keys: Mapping[str, int] | None = None  # for a list: base64 to number of members
    num_nodes: int = 0
    num_err: int = 0
    num_resp: int = 0

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        keys = None if fields.get("Keys") is None else as_fields(fields["Keys"])
        return cls(
            text_map(fields, "Messages"),
            None if keys is None else {key: number(keys, key) for key in keys},
            number(fields, "NumNodes"),
            number(fields, "NumErr"),
            number(fields, "NumResp"),
        )

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {
            "Keys": None if self.keys is None else dict(self.keys),
            "Messages": dict(self.messages),
            "NumErr": self.num_err,
            "NumNodes": self.num_nodes,
            "NumResp": self.num_resp,
        }


class QueryRecord(NamedTuple):
    """A record of a query: its `type` is ack, response or done."""

    type: str
    origin: str = ""
    payload: bytes = b""

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(text(fields, "Type"), text(fields, "From"), raw_bytes(fields, "Payload"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"From": self.origin, "Payload": self.payload or None, "Type": self.type}
