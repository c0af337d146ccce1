"""Queries of this node and of others, sent and received (Serf `serf.go`, Query and handleQuery).

`Queries` tells which queries are new, `OpenQueries` collects the answers to ours, `Answers` sends acks and
responses. Internal queries that need only the member table are answered here; queries about keys become
effects like any other query, because the agent holds the keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.errors import LocalProtocolError
from gossip.serf.answers import Answers
from gossip.serf.effects import QueryReceived
from gossip.serf.open_queries import OpenQueries, default_timeout
from gossip.serf.queries import (
    NO_REBROADCAST,
    WANTS_ACK,
    IncomingQuery,
    Queries,
    QueryRequest,
    filters_of,
    is_for,
)
from gossip.serf.tags import decode_tags
from gossip.wire.query_codec import encode_conflict_response
from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import Query, QueryResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.serf.config import SerfConfig
    from gossip.serf.effects import Effect
    from gossip.serf.roster import Roster
    from gossip.swim.node import SwimNode
    from gossip.swim.runtime import Runtime

MAX_QUERY_ID = 2**31
"""Ids are drawn below this number, as Serf's are."""
PING_QUERY = "_serf_ping"
"""Internal query that needs only an ack."""
CONFLICT_QUERY = "_serf_conflict"
"""Internal query for the address known for a name that two agents use."""


class QueryExchange:
    """Queries of this node and of others."""

    __slots__ = ("_answers", "_config", "_emit", "_open", "_rng", "_roster", "_seen", "_swim")

    def __init__(
        self,
        config: SerfConfig,
        swim: SwimNode,
        roster: Roster,
        seen: Queries,
        runtime: Runtime,
        emit: Callable[[Effect], None],
    ) -> None:
        self._config = config
        self._swim = swim
        self._roster = roster
        self._rng = runtime.rng
        self._emit = emit
        self._seen = seen
        self._open = OpenQueries(runtime.deadlines, emit)
        self._answers = Answers(config, swim, self._open)

    def ask(self, request: QueryRequest, now: float) -> tuple[bytes, int]:
        """Return the encoded query, to be broadcast, and its token; this node has already handled the query.

        Raises:
            LocalProtocolError: it is too long, or too many queries are running; nothing changed.
        """
        self._open.check_room()
        me = self._swim.table.me.alive
        alive = self._roster.count_alive()
        timeout = request.timeout or default_timeout(self._config.swim.gossip_interval, alive)
        query = Query(
            ltime=self._seen.clock.time,
            id=int(self._rng.random() * MAX_QUERY_ID),
            addr=me.addr,
            port=me.port,
            source_node=me.node,
            filters=filters_of(request),
            flags=WANTS_ACK if request.wants_acks else 0,
            relay_factor=request.relay_factor,
            timeout_ns=int(timeout * 1e9),
            name=request.name,
            payload=request.payload,
        )
        encoded = encode_serf(query)
        limit = self._config.query_size_limit
        if len(encoded) > limit:
            raise LocalProtocolError(f"query exceeds limit of {limit} bytes")
        token = self._open.open(query, alive, now)
        self.receive(query, now)
        return encoded, token

    def receive(self, query: Query, now: float) -> bool:
        """Acknowledge and deliver a query that is new and for us; return whether to re-gossip it.

        Raises:
            RemoteProtocolError: its Lamport time is out of range.
        """
        if not self._seen.receive(query):
            return False
        me = self._swim.table.me.alive
        if is_for(query, me.node, decode_tags(me.meta)):
            incoming = self._answers.admit(query, now)
            if incoming.name == CONFLICT_QUERY:
                self._answer_conflict(incoming, now)
            elif incoming.name != PING_QUERY:
                self._emit(QueryReceived(incoming))
        return not query.flags & NO_REBROADCAST

    def receive_response(self, response: QueryResponse) -> None:
        """Handle an ack of, or an answer to, a query of this node; drop it if it is late."""
        self._open.receive(response)

    def forward(self, body: bytes) -> None:
        """Forward a relayed message to its recipient.

        Raises:
            RemoteProtocolError: the relay is malformed.
        """
        self._answers.forward(body)

    def respond(self, query: IncomingQuery, payload: bytes, now: float) -> None:
        """Answer `query`; see `Answers.respond`."""
        self._answers.respond(query, payload, now)

    def finish(self, token: int) -> None:
        """End a query of this node whose deadline has passed."""
        self._open.finish(token)

    def _answer_conflict(self, query: IncomingQuery, now: float) -> None:
        """Respond with the address known for a contested name; do not vote on our own name."""
        name = query.payload.decode("utf-8", "surrogateescape")
        if name != self._swim.table.me.name:
            self._answers.respond(query, encode_conflict_response(self._roster.describe(name)), now)
