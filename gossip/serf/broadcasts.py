"""Serf's broadcasts: intents, queries and user events, each in its own queue (Serf `delegate.go`).

A packet is filled from the intents first, then from queries, then from events. The queues belong to Serf;
when packets are sent, and how often each broadcast rides along, is SWIM's business. Every 30 s the depths are
checked, and a deep queue is reported (serf-wire 5.14; Serf `serf.go`, checkQueueDepth).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.serf.effects import QueueDeep
from gossip.swim.config import transmissions
from gossip.swim.deadlines import Timer
from gossip.swim.dissemination import COMPOUND_ENTRY_BYTES, BroadcastQueue
from gossip.swim.piggyback import longest_broadcast
from gossip.wire.messages import USER

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.serf.config import SerfConfig
    from gossip.serf.effects import Effect
    from gossip.swim.runtime import Runtime


class QueueCheckDue(Timer, frozen=True, gc=False):
    """Time to check how deep the queues are."""


QUEUE_CHECK = QueueCheckDue()


class Broadcasts:
    """Three queues in order of precedence, and the tokens that identify finished broadcasts."""

    __slots__ = (
        "_config",
        "_deadlines",
        "_dropped_before",
        "_emit",
        "_last_token",
        "events",
        "intents",
        "queries",
    )

    def __init__(
        self, config: SerfConfig, runtime: Runtime, emit: Callable[[Effect], None], now: float
    ) -> None:
        """Tokens of finished broadcasts go to the runtime's `finished`, reports of deep queues to `emit`."""
        self._config = config
        self._deadlines = runtime.deadlines
        self._emit = emit
        self._last_token = 0
        self._dropped_before = {"intent": 0, "query": 0, "event": 0}  # up to the last check
        finished = runtime.finished
        longest = longest_broadcast(config.swim)
        self.intents = BroadcastQueue(config.max_queue_depth, longest, finished)
        self.queries = BroadcastQueue(config.max_queue_depth, longest, finished)
        self.events = BroadcastQueue(config.max_queue_depth, longest, finished)
        self._deadlines.set(QUEUE_CHECK, now + config.queue_check_interval)

    def send(self, queue: BroadcastQueue, message: bytes, token: int = 0) -> None:
        """Queue a message to all members in one of the three queues; `token` is reported when it is done.

        The caller wakes SWIM once it has handled its input, so that queued messages are sent.
        """
        queue.enqueue(USER + message, token=token)

    @property
    def queues(self) -> tuple[BroadcastQueue, BroadcastQueue, BroadcastQueue]:
        """The queues, in the order in which packets are filled."""
        return self.intents, self.queries, self.events

    def pending(self) -> int:
        """Return the number of queued broadcasts."""
        return len(self.intents) + len(self.queries) + len(self.events)

    def dropped(self) -> int:
        """Return how many broadcasts have been dropped because their queue was full."""
        return sum(queue.dropped for queue in self.queues)

    def check(self, now: float) -> None:
        """Report each queue that is deep, or that has dropped broadcasts since the last check.

        Serf cuts its queues here; ours never exceed the limit.
        """
        self._deadlines.set(QUEUE_CHECK, now + self._config.queue_check_interval)
        for name, queue in zip(self._dropped_before, self.queues, strict=True):
            dropped = queue.dropped - self._dropped_before[name]
            self._dropped_before[name] = queue.dropped
            if dropped or len(queue) >= self._config.queue_depth_warning:
                self._emit(QueueDeep(name, len(queue), dropped))

    def take(self, budget: int, room: int, members: int) -> list[bytes]:
        """Return at most `room` broadcasts that fit into `budget` bytes, for a cluster of `members`."""
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
