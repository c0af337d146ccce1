"""Serf's messages by type: decoded, dispatched, and re-gossiped if new (serf-wire 5.1).

Intents, events and queries are gossip: equal bytes decode to the same object, and new ones are re-broadcast
unchanged. Answers and relays are addressed to this node. The other types are never sent on their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.wire.serf_codec import decode_serf, decode_serf_gossip
from gossip.wire.serf_messages import (
    JoinIntent,
    LeaveIntent,
    OtherSerfMessage,
    Query,
    QueryResponse,
    SerfMessageType,
    UserEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gossip.serf.broadcasts import Broadcasts
    from gossip.serf.events import UserEvents
    from gossip.serf.intents import Intents
    from gossip.serf.query_exchange import QueryExchange


class UserMessages:
    """Dispatches each message by its type; `receive` is the only entry point."""

    __slots__ = ("_broadcasts", "_events", "_intents", "_queries")

    def __init__(
        self, intents: Intents, events: UserEvents, queries: QueryExchange, broadcasts: Broadcasts
    ) -> None:
        self._intents = intents
        self._events = events
        self._queries = queries
        self._broadcasts = broadcasts

    def receive(self, payload: bytes, now: float) -> None:
        """Handle one message, from a datagram or a stream.

        Raises:
            RemoteProtocolError: it is broken; nothing changed.
        """
        handle = _HANDLERS.get(payload[0] if payload else -1, UserMessages._ignore)
        handle(self, payload, now)

    def _leave(self, payload: bytes, now: float) -> None:
        intent = decode_serf_gossip(payload)
        assert isinstance(intent, LeaveIntent)
        if self._intents.receive_leave(intent, now):
            self._broadcasts.send(self._broadcasts.intents, payload)

    def _join(self, payload: bytes, now: float) -> None:
        intent = decode_serf_gossip(payload)
        assert isinstance(intent, JoinIntent)
        if self._intents.receive_join(intent, now):
            self._broadcasts.send(self._broadcasts.intents, payload)

    def _event(self, payload: bytes, now: float) -> None:
        event = decode_serf_gossip(payload)
        assert isinstance(event, UserEvent)
        if self._events.deliver(event):
            self._broadcasts.send(self._broadcasts.events, payload)

    def _query(self, payload: bytes, now: float) -> None:
        query = decode_serf_gossip(payload)
        assert isinstance(query, Query)
        if self._queries.receive(query, now):
            self._broadcasts.send(self._broadcasts.queries, payload)

    def _response(self, payload: bytes, now: float) -> None:
        response = decode_serf(payload)
        assert isinstance(response, QueryResponse)
        self._queries.receive_response(response)

    def _relay(self, payload: bytes, now: float) -> None:
        relay = decode_serf(payload)
        assert isinstance(relay, OtherSerfMessage)
        self._queries.forward(relay.body)

    def _state(self, payload: bytes, now: float) -> None:
        decode_serf_gossip(payload)  # raises: not a gossip message

    def _ignore(self, payload: bytes, now: float) -> None:
        decode_serf(payload)  # raises for an unknown type


_HANDLERS: Mapping[int, Callable[[UserMessages, bytes, float], None]] = {
    SerfMessageType.LEAVE: UserMessages._leave,
    SerfMessageType.JOIN: UserMessages._join,
    SerfMessageType.PUSH_PULL: UserMessages._state,
    SerfMessageType.USER_EVENT: UserMessages._event,
    SerfMessageType.QUERY: UserMessages._query,
    SerfMessageType.QUERY_RESPONSE: UserMessages._response,
    SerfMessageType.RELAY: UserMessages._relay,
}
