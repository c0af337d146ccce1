"""Queries passing through: witnessed, de-duplicated, passed on (Serf `serf.go`, handleQuery).

Every member re-gossips a query, whether or not its filters match.
"""

from gossip.serf.config import SerfConfig
from gossip.serf.lamport import LamportClock
from gossip.serf.recent import RecentTimes
from gossip.wire.serf_messages import Query

NO_REBROADCAST = 2
"""Query flag: the sender reaches everybody itself."""


class Queries:
    """The query clock and the queries of recent times."""

    __slots__ = ("clock", "recent")

    def __init__(self, config: SerfConfig) -> None:
        self.clock = LamportClock()
        self.recent: RecentTimes[int] = RecentTimes(config.buffered_times, config.buffered_per_time)

    def receive(self, query: Query) -> bool:
        """Witness `query`; return whether it must be passed on.

        Raises:
            RemoteProtocolError: its Lamport time is out of range.
        """
        self.clock.witness(query.ltime)
        is_news = self.recent.is_news(query.ltime, query.id, self.clock.time)
        return is_news and not query.flags & NO_REBROADCAST
