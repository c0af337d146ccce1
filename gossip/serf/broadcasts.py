"""Serf's broadcasts: intents, queries and user events in queues of their own (Serf `delegate.go`).

A packet is filled from the intents first, then from queries, then from events. The queues belong to Serf;
when packets are sent, and how often each broadcast rides along, is SWIM's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.swim.config import transmissions
from gossip.swim.dissemination import COMPOUND_ENTRY_BYTES, BroadcastQueue
from gossip.swim.piggyback import longest_broadcast
from gossip.wire.messages import USER

if TYPE_CHECKING:
    from gossip.serf.config import SerfConfig


class Broadcasts:
    """Three queues in order of precedence, and the tokens by which a finished broadcast is known."""

    __slots__ = ("_config", "_last_token", "events", "intents", "queries")

    def __init__(self, config: SerfConfig, finished: list[int]) -> None:
        """Report the tokens of finished broadcasts in `finished`."""
        self._config = config
        self._last_token = 0
        longest = longest_broadcast(config.swim)
        self.intents = BroadcastQueue(config.max_queue_depth, longest, finished)
        self.queries = BroadcastQueue(config.max_queue_depth, longest, finished)
        self.events = BroadcastQueue(config.max_queue_depth, longest, finished)

    def send(self, queue: BroadcastQueue, message: bytes, token: int = 0) -> None:
        """Queue a message for everybody in one of the three queues; `token` is reported when it is done.

        Whoever handles an input wakes SWIM at its end, so that what was queued is sent.
        """
        queue.enqueue(USER + message, token=token)

    @property
    def queues(self) -> tuple[BroadcastQueue, BroadcastQueue, BroadcastQueue]:
        """The queues, in the order in which packets are filled."""
        return self.intents, self.queries, self.events

    def pending(self) -> int:
        """Return the number of broadcasts that wait."""
        return len(self.intents) + len(self.queries) + len(self.events)

    def take(self, budget: int, room: int, members: int) -> list[bytes]:
        """Return at most `room` broadcasts that fit into `budget` bytes, in a cluster of `members`."""
        limit = transmissions(self._config.swim, members)
        taken: list[bytes] = []
        for queue in self.queues:
            if len(queue) and len(taken) < room:
                parts = queue.take(budget, limit, room - len(taken))
                budget -= sum(map(len, parts)) + COMPOUND_ENTRY_BYTES * len(parts)
                taken += parts
        return taken

    def new_token(self) -> int:
        """Return a token that no other broadcast of this node has."""
        self._last_token += 1
        return self._last_token
