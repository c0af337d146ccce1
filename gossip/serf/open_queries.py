"""Queries of this node that still collect acks and responses (Serf `query.go`).

Each member counts once for an ack and once for a response, however many relays repeat it, and the
number of each is limited to the members that were alive when the query was sent.
"""

from __future__ import annotations

from math import ceil, log10
from typing import TYPE_CHECKING

from gossip.errors import LocalProtocolError
from gossip.serf.effects import QueryAcked, QueryAnswered, QueryFinished
from gossip.serf.queries import WANTS_ACK
from gossip.swim.deadlines import Timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.serf.effects import Effect
    from gossip.swim.deadlines import Deadlines
    from gossip.wire.serf_messages import Query, QueryResponse


class QueryEnds(Timer, frozen=True, gc=False):
    """The deadline of our query with this token."""

    token: int


MAX_OPEN_QUERIES = 256
"""Queries of this node that may run at the same time."""
TIMEOUT_MULT = 16
"""Gossip intervals, times the decimal digits of the cluster, that a query runs by default."""


def default_timeout(gossip_interval: float, alive: int) -> float:
    """Return the seconds that a query runs: interval x 16 x ceil(log10(alive + 1)) (Serf's default)."""
    return gossip_interval * TIMEOUT_MULT * ceil(log10(alive + 1))


class OpenQuery:
    """One query of ours, until its deadline."""

    __slots__ = ("acked", "answered", "id", "limit", "ltime")

    def __init__(self, query: Query, limit: int) -> None:
        self.ltime = query.ltime
        self.id = query.id
        self.limit = limit  # most acks, and most responses: members alive when it was sent
        self.acked: dict[str, None] = {}
        self.answered: dict[str, None] = {}


class OpenQueries:
    """The queries that this node has sent and still collects answers for; they are known by a token."""

    __slots__ = ("_by_token", "_deadlines", "_emit", "_last_token", "late")

    def __init__(self, deadlines: Deadlines, emit: Callable[[Effect], None]) -> None:
        self.late = 0  # answers that came after the deadline, or to no query of ours
        self._deadlines = deadlines
        self._emit = emit
        self._last_token = 0
        self._by_token: dict[int, OpenQuery] = {}

    def check_room(self) -> None:
        """Raise LocalProtocolError if no further query may be sent now."""
        if len(self._by_token) >= MAX_OPEN_QUERIES:
            raise LocalProtocolError(f"cannot query: {MAX_OPEN_QUERIES} queries of this agent are running")

    def open(self, query: Query, limit: int, now: float) -> int:
        """Collect answers to `query` from now on; return its token."""
        self._last_token += 1
        self._by_token[self._last_token] = OpenQuery(query, limit)
        self._deadlines.set(QueryEnds(self._last_token), now + query.timeout_ns / 1e9)
        return self._last_token

    def receive(self, response: QueryResponse) -> None:
        """Take an ack or a response; drop it if it is late, repeated or above the limit."""
        for token, query in self._by_token.items():
            if (query.ltime, query.id) == (response.ltime, response.id):
                self._count(token, query, response)
                return
        self.late += 1

    def finish(self, token: int) -> None:
        """End a query whose deadline has passed."""
        del self._by_token[token]
        self._emit(QueryFinished(token))

    def _count(self, token: int, query: OpenQuery, response: QueryResponse) -> None:
        is_ack = bool(response.flags & WANTS_ACK)
        heard = query.acked if is_ack else query.answered
        if response.origin in heard or len(heard) >= query.limit:
            return
        heard[response.origin] = None
        if is_ack:
            self._emit(QueryAcked(token, response.origin))
        else:
            self._emit(QueryAnswered(token, response.origin, response.payload or b""))
