"""Queries: parameters, de-duplication and filters (serf-wire 5.6).

Every member re-gossips a query, whether or not its filters match.
"""

from collections.abc import Mapping

from msgspec import Struct

from gossip.errors import RemoteProtocolError
from gossip.serf.config import SerfConfig
from gossip.serf.lamport import LamportClock
from gossip.serf.pattern import contained
from gossip.serf.recent import RecentTimes
from gossip.wire.query_codec import NodeFilter, TagFilter, decode_filter, encode_filter
from gossip.wire.serf_messages import Query

WANTS_ACK = 1
"""Query flag: members that match the filters send an ack. In a response: this is such an ack."""
NO_REBROADCAST = 2
"""Query flag: do not re-gossip the query."""
INTERNAL_PREFIX = "_serf_"
"""Prefix of the queries that agents answer by themselves."""


class QueryRequest(Struct, frozen=True, kw_only=True):
    """A query to be sent: `timeout` in seconds, None for the default of the cluster's size."""

    name: str
    payload: bytes = b""
    nodes: tuple[str, ...] = ()  # only these members
    tags: Mapping[str, str] = {}  # only members whose tags match these regular expressions
    wants_acks: bool = True
    relay_factor: int = 0  # how many other members repeat each answer, 0 to 255
    timeout: float | None = None


class IncomingQuery(Struct, frozen=True, gc=False):
    """A query that this member may answer until `deadline` (monotonic seconds)."""

    ltime: int
    id: int
    name: str
    payload: bytes
    source_node: str
    addr: bytes
    port: int
    relay_factor: int
    deadline: float

    @property
    def is_internal(self) -> bool:
        """Whether agents answer it by themselves and hide it from users."""
        return self.name.startswith(INTERNAL_PREFIX)


class Queries:
    """The query clock and the queries of recent times."""

    __slots__ = ("clock", "recent")

    def __init__(self, config: SerfConfig, last: int = 0) -> None:
        """Start after `last`, the last Lamport time of an earlier life: older queries are not handled."""
        self.clock = LamportClock(last)
        self.recent: RecentTimes[int] = RecentTimes(config.buffered_times, config.buffered_messages, 0)
        self.recent.minimum = self.clock.time if last else 0

    def receive(self, query: Query) -> bool:
        """Witness `query`; return whether it is new.

        Raises:
            RemoteProtocolError: its Lamport time is out of range, or there is no room for it.
        """
        self.clock.witness(query.ltime)
        return self.recent.is_news(query.ltime, query.id, self.clock.time)


def is_for(query: Query, name: str, tags: Mapping[str, str]) -> bool:
    """Return whether all filters of `query` match a member; a malformed filter matches no member."""
    for data in query.filters:
        try:
            wanted = decode_filter(data)
            if isinstance(wanted, NodeFilter):
                matches = name in wanted.nodes
            else:
                matches = contained(wanted.expression)(tags.get(wanted.tag, ""))
        except (RemoteProtocolError, ValueError):
            matches = False
        if not matches:
            return False
    return True


def filters_of(request: QueryRequest) -> tuple[bytes, ...]:
    """Return the encoded filters of a query."""
    nodes = (NodeFilter(request.nodes),) if request.nodes else ()
    tags = (TagFilter(tag, expression) for tag, expression in sorted(request.tags.items()))
    return tuple(map(encode_filter, (*nodes, *tags)))
