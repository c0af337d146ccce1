"""Answers to others' queries: acks, responses and their relays (Serf `serf.go`, handleQuery; `query.go`).

An answer goes straight to the member that asked; with a relay factor, random other members repeat it. Answers
go to known members only: anyone can put any address into a query, and every member would answer it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.errors import LocalProtocolError
from gossip.serf.queries import WANTS_ACK, IncomingQuery
from gossip.wire.address import unpack_address
from gossip.wire.messages import MemberState
from gossip.wire.query_codec import RelayedMessage, decode_relay, encode_relay
from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import OtherSerfMessage, Query, QueryResponse, SerfMessageType

if TYPE_CHECKING:
    from gossip.serf.config import SerfConfig
    from gossip.serf.open_queries import OpenQueries
    from gossip.swim.member import Member
    from gossip.swim.node import SwimNode
    from gossip.wire.address import Address

MAX_UNANSWERED = 1024
"""Queries that wait for a response of ours; beyond this, the oldest can no longer be answered."""
MAX_RELAYS = 16
"""Most members that relay one answer; a query may ask for 255."""
RELAYS_SINCE_PROTOCOL = 5


class Answers:
    """The acks and responses of this node, at most one of each per query."""

    __slots__ = ("_config", "_open_queries", "_swim", "_unanswered", "strangers")

    def __init__(self, config: SerfConfig, swim: SwimNode, open_queries: OpenQueries) -> None:
        self.strangers = 0  # answers and relays not sent, because no known member has the address
        self._config = config
        self._swim = swim
        self._open_queries = open_queries
        self._unanswered: dict[tuple[int, int], None] = {}  # time and id of each query, oldest first

    def admit(self, query: Query, now: float) -> IncomingQuery:
        """Acknowledge a query that is for us if it asks for an ack, and return it, to be answered."""
        deadline = now + max(0, query.timeout_ns) / 1e9
        incoming = IncomingQuery(
            query.ltime,
            query.id,
            query.name,
            query.payload,
            query.source_node,
            query.addr,
            query.port,
            query.relay_factor,
            deadline,
        )
        if query.flags & WANTS_ACK:
            self._send(incoming, QueryResponse(query.ltime, query.id, self._me.name, WANTS_ACK))
        if len(self._unanswered) >= MAX_UNANSWERED:
            del self._unanswered[next(iter(self._unanswered))]
        self._unanswered[query.ltime, query.id] = None
        return incoming

    def respond(self, query: IncomingQuery, payload: bytes, now: float) -> None:
        """Send the one response to `query`.

        Raises:
            LocalProtocolError: it was sent already, the deadline has passed, or `payload` is too long.
        """
        if now > query.deadline:
            raise LocalProtocolError("response is past the deadline")
        if (query.ltime, query.id) not in self._unanswered:
            raise LocalProtocolError("response already sent")
        response = QueryResponse(query.ltime, query.id, self._me.name, 0, payload)
        limit = self._config.query_response_size_limit
        if len(encode_serf(response)) > limit:
            raise LocalProtocolError(f"response exceeds limit of {limit} bytes")
        del self._unanswered[query.ltime, query.id]
        self._send(query, response)

    def forward(self, body: bytes) -> None:
        """Forward a relayed message to its recipient.

        Raises:
            RemoteProtocolError: the relay is malformed.
        """
        relay = decode_relay(body)
        to = unpack_address(relay.addr, relay.port)
        if self._is_known(to):
            self._swim.send_user(to, relay.message)

    @property
    def _me(self) -> Member:
        return self._swim.table.me

    def _is_known(self, address: Address) -> bool:
        is_known = address in self._swim.table.name_at
        self.strangers += not is_known
        return is_known

    def _send(self, query: IncomingQuery, response: QueryResponse) -> None:
        to = unpack_address(query.addr, query.port)
        if to == self._me.address:
            self._open_queries.receive(response)
            return
        if not self._is_known(to):
            return
        message = encode_serf(response)
        self._swim.send_user(to, message)
        if query.relay_factor:
            self._relay(query, message)

    def _relay(self, query: IncomingQuery, message: bytes) -> None:
        wanted = min(query.relay_factor, MAX_RELAYS)
        relayed = RelayedMessage(query.addr, query.port, query.source_node, message)
        wrapped = encode_serf(OtherSerfMessage(SerfMessageType.RELAY, encode_relay(relayed)))
        if len(wrapped) > self._config.query_response_size_limit or len(self._swim.table) < wanted + 1:
            return
        for member in self._swim.table.choose(wanted, self._may_relay):
            self._swim.send_user(member.address, wrapped)

    def _may_relay(self, member: Member) -> bool:
        return (
            member is not self._me
            and member.state is MemberState.ALIVE
            and member.protocol_max >= RELAYS_SINCE_PROTOCOL
        )
