"""Keys do not get into recordings: Serf sends them in queries, and in the answers (Serf `keymanager.go`).

What is written instead has the same effect on a node: it looks at a query's time, name and number, and at no
more than the form of answers. The length of a query stays, because it decides what shares a packet.
"""

from __future__ import annotations

from msgspec.structs import replace

from gossip.errors import RemoteProtocolError
from gossip.wire.messages import MessageType
from gossip.wire.serf_codec import decode_serf, decode_serf_gossip, encode_serf
from gossip.wire.serf_messages import Query, QueryResponse, SerfMessageType

USER = bytes((MessageType.USER,))
QUERY_PREFIX = bytes((MessageType.USER, SerfMessageType.QUERY))
INTERNAL_QUERY = "_serf_"
"""How the names of Serf's own queries begin; those that change keys carry them."""


def redacted(part: bytes) -> bytes:
    """Return a message as a recording may hold it; doing so twice changes no more."""
    return USER + redacted_payload(part[1:]) if part[:1] == USER else part


def redacted_payload(payload: bytes) -> bytes:
    """Return a Serf message as a recording may hold it."""
    kind = payload[0] if payload else 0
    if kind < SerfMessageType.QUERY:
        return payload
    try:
        if kind == SerfMessageType.QUERY:
            return _redacted_query(payload)
        decode_serf(payload)
    except RemoteProtocolError:
        return payload[:1]  # as broken as it was
    if kind == SerfMessageType.QUERY_RESPONSE:
        return encode_serf(QueryResponse(0, 0, "", 0))
    return payload[:1]


def _redacted_query(payload: bytes) -> bytes:
    query = decode_serf_gossip(payload)
    assert isinstance(query, Query)
    if not query.name.startswith(INTERNAL_QUERY) or not query.payload:
        return payload
    blank = encode_serf(replace(query, payload=bytes(len(query.payload))))
    excess = len(payload) - len(blank)  # a peer may write numbers longer than need be
    if excess <= 0:
        return blank
    return encode_serf(replace(query, payload=bytes(len(query.payload) + excess)))
