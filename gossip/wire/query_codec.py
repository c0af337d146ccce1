"""Payloads of queries: filters, relays, and the answers to Serf's internal queries (serf-wire 5.1, 5.6).

A relay is a header with the member to forward to, then a whole message. Filters are a type byte and a body.
Conflict and key messages are payloads of responses to the queries whose names begin with ``_serf_``.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgpack import Unpacker
from msgspec import Struct

from gossip.errors import RemoteProtocolError
from gossip.wire.dialect import (
    MALFORMED,
    MAX_ELEMENTS,
    MAX_U16,
    as_list,
    as_struct,
    as_text,
    pack_struct,
    pack_value,
    read_bytes,
    read_text,
    read_uint,
    reason,
    unpack_struct,
    unpack_value,
)
from gossip.wire.layout import BOOL, BYTES, TEXT, Layout, Wire, WireType
from gossip.wire.serf_messages import SerfMessageType

NODE_FILTER = 0
TAG_FILTER = 1
VERSION_KEYS = ("ProtocolMin", "ProtocolMax", "ProtocolCur", "DelegateMin", "DelegateMax", "DelegateCur")
_RELAY_FIELDS = (b"DestAddr", b"DestName")
_ADDRESS_FIELDS = (b"IP", b"Port", b"Zone")
_MEMBER_FIELDS = (b"Name", b"Addr", b"Port", b"Tags", b"Status", *(key.encode() for key in VERSION_KEYS))
_CONFLICT_RESPONSE = bytes((SerfMessageType.CONFLICT_RESPONSE,))


class NodeFilter(Struct, frozen=True):
    """The query is only for the members with these names."""

    nodes: tuple[str, ...]


class TagFilter(Struct, frozen=True):
    """The query is for members whose tag matches a regular expression; a missing tag counts as empty."""

    tag: Annotated[str, Wire("Tag", TEXT)]
    expression: Annotated[str, Wire("Expr", TEXT)]


class RelayedMessage(Struct, frozen=True, gc=False):
    """A message to be forwarded, unchanged, to a member; `addr` is 4 or 16 raw bytes."""

    addr: bytes
    port: int
    name: str
    message: bytes


class KnownMember(Struct, frozen=True, kw_only=True):
    """A member's answer about another in a name conflict; `status` is Serf's number, `versions` six bytes."""

    name: str
    addr: bytes
    port: int
    tags: Mapping[str, str]
    status: int
    versions: bytes


class KeyRequest(Struct, frozen=True):
    """The subject of a key query."""

    TYPE: ClassVar = SerfMessageType.KEY_REQUEST

    key: Annotated[bytes, Wire("Key", BYTES)]  # raw; empty for a list


def _read_texts(value: object, key: bytes) -> tuple[str, ...]:
    return tuple(as_text(each, key) for each in as_list(value, key))


TEXTS = WireType(_read_texts, lambda texts: texts or None)


class KeyResponse(Struct, frozen=True):
    """A member's answer to a key query; keys in base64."""

    TYPE: ClassVar = SerfMessageType.KEY_RESPONSE

    result: Annotated[bool, Wire("Result", BOOL)]
    message: Annotated[str, Wire("Message", TEXT)] = ""
    keys: Annotated[tuple[str, ...], Wire("Keys", TEXTS)] = ()
    primary: Annotated[str, Wire("PrimaryKey", TEXT)] = ""


_TAG_FILTER = Layout(TagFilter)
_KEY_REQUEST = Layout(KeyRequest)
_KEY_RESPONSE = Layout(KeyResponse)


def encode_filter(wanted: NodeFilter | TagFilter) -> bytes:
    """Return a filter in the form of an element of a query's filters."""
    if isinstance(wanted, NodeFilter):
        return bytes((NODE_FILTER,)) + pack_value(list(wanted.nodes))
    return bytes((TAG_FILTER,)) + _TAG_FILTER.pack(wanted)


def decode_filter(data: bytes) -> NodeFilter | TagFilter:
    """Return the filter in an element of a query's filters.

    Raises:
        RemoteProtocolError: it is of an unknown type, or malformed.
    """
    kind, body = data[:1], data[1:]
    if kind == bytes((NODE_FILTER,)):
        nodes = unpack_value(body)
        if not isinstance(nodes, list):
            raise RemoteProtocolError("node filter is no list of names")
        return NodeFilter(tuple(as_text(node, b"Filters") for node in nodes))
    if kind == bytes((TAG_FILTER,)):
        return _TAG_FILTER.decode(data)
    raise RemoteProtocolError(f"unknown query filter type {kind.hex() or 'missing'}")


def encode_relay(relay: RelayedMessage) -> bytes:
    """Return the body of a relay message, without its type byte."""
    address = {"IP": relay.addr, "Port": relay.port, "Zone": ""}
    return pack_struct({"DestAddr": address, "DestName": relay.name}) + relay.message


def decode_relay(body: bytes) -> RelayedMessage:
    """Return the relay in the body of a relay message.

    Raises:
        RemoteProtocolError: the header is malformed, or nothing follows it.
    """
    unpacker = Unpacker(
        None, raw=True, max_buffer_size=len(body), max_array_len=MAX_ELEMENTS, max_map_len=MAX_ELEMENTS
    )
    unpacker.feed(body)
    try:
        header = as_struct(unpacker.unpack(), _RELAY_FIELDS)
    except MALFORMED as error:
        raise RemoteProtocolError(f"malformed relay of {len(body)} bytes: {reason(error)}") from None
    address = as_struct(header.get(b"DestAddr"), _ADDRESS_FIELDS)
    message = body[unpacker.tell() :]
    if not message:
        raise RemoteProtocolError("relay without a message")
    return RelayedMessage(
        read_bytes(address, b"IP"),
        read_uint(address, b"Port", MAX_U16),
        read_text(header, b"DestName"),
        message,
    )


def encode_conflict_response(member: KnownMember | None) -> bytes:
    """Return the payload that answers a conflict query; None: the name is not known."""
    if member is None:
        return _CONFLICT_RESPONSE + pack_value(None)
    versions = dict(zip(VERSION_KEYS, member.versions, strict=True))
    fields: dict[str, object] = {"Addr": member.addr, "Name": member.name, "Port": member.port}
    fields |= {"Status": int(member.status), "Tags": dict(sorted(member.tags.items()))} | versions
    return _CONFLICT_RESPONSE + pack_struct(dict(sorted(fields.items())))


def decode_conflict_response(payload: bytes) -> tuple[bytes, int]:
    """Return the raw address and the port that a member knows for the name in conflict.

    Raises:
        RemoteProtocolError: the payload is something else, or malformed.
    """
    _verify_type(payload, _CONFLICT_RESPONSE)
    fields = unpack_struct(payload[1:], _MEMBER_FIELDS)
    return read_bytes(fields, b"Addr"), read_uint(fields, b"Port", MAX_U16)


def encode_key_request(key: bytes) -> bytes:
    """Return the payload of a key query; `key` is raw, empty for a list."""
    return _KEY_REQUEST.pack(KeyRequest(key))


def decode_key_request(payload: bytes) -> bytes:
    """Return the raw key of a key query, empty for a list.

    Raises:
        RemoteProtocolError: the payload is something else, or malformed.
    """
    _verify_type(payload, _KEY_REQUEST.head)
    return _KEY_REQUEST.decode(payload).key


def encode_key_response(response: KeyResponse) -> bytes:
    """Return the payload that answers a key query."""
    return _KEY_RESPONSE.pack(response)


def decode_key_response(payload: bytes) -> KeyResponse:
    """Return a member's answer to a key query.

    Raises:
        RemoteProtocolError: the payload is something else, or malformed.
    """
    _verify_type(payload, _KEY_RESPONSE.head)
    return _KEY_RESPONSE.decode(payload)


def _verify_type(payload: bytes, kind: bytes) -> None:
    if payload[:1] != kind:
        raise RemoteProtocolError(f"message type {payload[:1].hex() or 'missing'}, expected {kind.hex()}")
