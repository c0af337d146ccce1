"""Virtual time: a heap of future events, served in order of time.

Events due at the same time happen in the order in which they were added, so that a run depends only on its
seed. Time jumps from one event to the next; nothing ticks.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf

Action = Callable[[], None]


class Schedule:
    """The world's clock, in seconds since the start of the run, and its pending events."""

    __slots__ = ("_heap", "_serial", "handled", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self.handled = 0  # events so far
        self._heap: list[tuple[float, int, Action]] = []
        self._serial = 0

    def __len__(self) -> int:
        """Return the number of pending events."""
        return len(self._heap)

    def at(self, time: float, action: Action) -> None:
        """Schedule `action` for `time`, or for now if that has passed."""
        self._serial += 1
        heappush(self._heap, (time if time > self.now else self.now, self._serial, action))

    def next(self) -> float:
        """Return the time of the next event, `math.inf` if none is pending."""
        return self._heap[0][0] if self._heap else inf

    def run(self, until: float) -> None:
        """Run all events that are due by `until`; the clock then shows `until`."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, action = heappop(heap)
            self.handled += 1
            action()
        self.now = until
