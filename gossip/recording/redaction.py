"""Keeps keys out of recordings: Serf sends them in queries and in answers (Serf `keymanager.go`).

The replacement has the same effect on a node, which never looks into the payload of such a query or answer.
Lengths are kept, because they decide which messages share a packet.
"""

from __future__ import annotations

from msgspec.structs import replace

from gossip.errors import RemoteProtocolError
from gossip.serf.queries import INTERNAL_PREFIX, IncomingQuery, QueryRequest
from gossip.wire.messages import MessageType
from gossip.wire.query_codec import decode_relay, encode_relay
from gossip.wire.serf_codec import decode_serf, decode_serf_gossip, encode_serf
from gossip.wire.serf_messages import Query, QueryResponse, SerfMessageType

USER = bytes((MessageType.USER,))


def redacted(part: bytes) -> bytes:
    """Return a message in the form that a recording may hold; a second redaction changes nothing."""
    return USER + redacted_payload(part[1:]) if part[:1] == USER else part


def redacted_payload(payload: bytes) -> bytes:
    """Return a Serf message in the form that a recording may hold."""
    kind = payload[0] if payload else 0
    if kind < SerfMessageType.QUERY:
        return payload
    try:
        if kind == SerfMessageType.QUERY:
            return _redacted_query(payload)
        decode_serf(payload)
    except RemoteProtocolError:
        return payload[:1]  # still broken, as it was
    if kind == SerfMessageType.QUERY_RESPONSE:
        return _redacted_response(payload)
    if kind == SerfMessageType.RELAY:
        return _redacted_relay(payload)
    return payload[:1]


def redacted_request(request: QueryRequest) -> QueryRequest:
    """Return a query that this node is told to send, in the form that a recording may hold."""
    is_internal = request.name.startswith(INTERNAL_PREFIX)
    return replace(request, payload=bytes(len(request.payload))) if is_internal else request


def redacted_incoming(query: IncomingQuery) -> IncomingQuery:
    """Return a query that this node received, in the form that a recording may hold."""
    return replace(query, payload=bytes(len(query.payload))) if query.is_internal else query


def _redacted_response(payload: bytes) -> bytes:
    response = decode_serf(payload)
    assert isinstance(response, QueryResponse)
    return (
        encode_serf(replace(response, payload=bytes(len(response.payload)))) if response.payload else payload
    )


def _redacted_relay(payload: bytes) -> bytes:
    try:
        relay = decode_relay(payload[1:])
    except RemoteProtocolError:
        return payload[:1]
    shown = encode_relay(replace(relay, message=redacted_payload(relay.message)))
    return payload[:1] + shown


def _redacted_query(payload: bytes) -> bytes:
    query = decode_serf_gossip(payload)
    assert isinstance(query, Query)
    if not query.name.startswith(INTERNAL_PREFIX) or not query.payload:
        return payload
    blank = encode_serf(replace(query, payload=bytes(len(query.payload))))
    excess = len(payload) - len(blank)  # a peer may write numbers longer than necessary
    if excess <= 0:
        return blank
    return encode_serf(replace(query, payload=bytes(len(query.payload) + excess)))
