"""Serf's broadcasts: intents, queries and user events in queues of their own (Serf `delegate.go`).

A packet is filled from the intents first, then from queries, then from events. The queues belong to Serf;
when packets are sent, and how often each broadcast rides along, is SWIM's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.swim.config import retransmit_limit
from gossip.swim.dissemination import COMPOUND_ENTRY_BYTES, BroadcastQueue
from gossip.wire.messages import MessageType

if TYPE_CHECKING:
    from gossip.serf.config import SerfConfig
    from gossip.swim.node import SwimNode

USER = bytes((MessageType.USER,))
"""memberlist's type byte in front of every message of Serf."""


class Broadcasts:
    """Three queues in order of precedence, and the tokens by which a finished broadcast is known."""

    __slots__ = ("_config", "_last_token", "_swim", "events", "intents", "queries")

    def __init__(self, config: SerfConfig, swim: SwimNode) -> None:
        self._config = config
        self._swim = swim
        self._last_token = 0
        self.intents = swim.new_queue(config.max_queue_depth)
        self.queries = swim.new_queue(config.max_queue_depth)
        self.events = swim.new_queue(config.max_queue_depth)

    def send(self, queue: BroadcastQueue, message: bytes, now: float, token: int = 0) -> None:
        """Queue a message for everybody in one of the three queues; `token` is reported when it is done."""
        queue.enqueue(USER + message, token=token)
        self._swim.wake(now)

    @property
    def queues(self) -> tuple[BroadcastQueue, BroadcastQueue, BroadcastQueue]:
        """The queues, in the order in which packets are filled."""
        return self.intents, self.queries, self.events

    def pending(self) -> int:
        """Return the number of broadcasts that wait."""
        return len(self.intents) + len(self.queries) + len(self.events)

    def take(self, budget: int, room: int, members: int) -> list[bytes]:
        """Return at most `room` broadcasts that fit into `budget` bytes, in a cluster of `members`."""
        limit = retransmit_limit(self._config.swim.retransmit_mult, members)
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
