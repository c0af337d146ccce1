"""The limits of the three queues, and reports about them; `test_node.py` fills packets from them."""

from random import Random

import pytest

from gossip.serf.broadcasts import QUEUE_CHECK, Broadcasts
from gossip.serf.config import SerfConfig
from gossip.serf.effects import Effect, QueueDeep
from gossip.swim.dissemination import BroadcastQueue
from gossip.swim.runtime import Runtime

KINDS = ("intent", "query", "event")
WARNING, LIMIT = SerfConfig().queue_depth_warning, SerfConfig().max_queue_depth
START = 1000.0


class Board:
    """Serf's queues with their timers, and their effects."""

    def __init__(self) -> None:
        self._told: list[Effect] = []
        self.runtime = Runtime(Random(1))
        self.broadcasts = Broadcasts(SerfConfig(), self.runtime, self._told.append, START)

    def queue(self, kind: str) -> BroadcastQueue:
        return dict(zip(KINDS, self.broadcasts.queues, strict=True))[kind]

    def send(self, kind: str, count: int) -> None:
        for number in range(count):
            self.broadcasts.send(self.queue(kind), number.to_bytes(2))

    def drain(self) -> None:
        while self.broadcasts.take(1396, 127, 1):
            pass

    def check(self, now: float = START + 30.0) -> list[Effect]:
        """Run a check and return its effects."""
        self.broadcasts.check(now)
        told = self._told[:]
        self._told.clear()
        return told


def test_queues_are_checked_every_half_minute():
    board = Board()
    assert board.runtime.deadlines.when(QUEUE_CHECK) == START + 30.0
    board.check(START + 30.5)
    assert board.runtime.deadlines.when(QUEUE_CHECK) == START + 60.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_queue_at_the_warning_depth_is_reported(kind):
    board = Board()
    board.send(kind, WARNING)
    assert board.check() == [QueueDeep(kind, WARNING, 0)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_queue_one_below_the_warning_depth_is_not_reported(kind):
    board = Board()
    board.send(kind, WARNING - 1)
    assert board.check() == []


def test_each_check_reports_a_queue_that_is_still_deep():
    board = Board()
    board.send("event", WARNING)
    assert board.check() == board.check() == [QueueDeep("event", WARNING, 0)]
    board.drain()
    assert board.check() == []


@pytest.mark.parametrize("kind", KINDS)
def test_at_the_limit_of_a_queue_nothing_is_dropped(kind):
    board = Board()
    board.send(kind, LIMIT)
    assert board.broadcasts.dropped() == 0
    assert board.check() == [QueueDeep(kind, LIMIT, 0)]


@pytest.mark.parametrize("kind", KINDS)
def test_one_above_the_limit_of_a_queue_is_dropped_counted_and_reported(kind):
    board = Board()
    board.send(kind, LIMIT + 1)
    assert len(board.queue(kind)) == LIMIT
    assert board.broadcasts.dropped() == 1
    assert board.check() == [QueueDeep(kind, LIMIT, 1)]


def test_what_was_dropped_is_reported_once_even_if_the_queue_is_empty_by_then():
    board = Board()
    board.send("event", LIMIT + 3)
    board.drain()
    assert board.check() == [QueueDeep("event", 0, 3)]
    assert board.check() == []
    assert board.broadcasts.dropped() == 3


def test_deep_queues_are_reported_each_by_itself():
    board = Board()
    for kind in KINDS:
        board.send(kind, WARNING)
    assert board.check() == [QueueDeep(kind, WARNING, 0) for kind in KINDS]
