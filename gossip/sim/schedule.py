"""Virtual time: a heap of what is to happen, served in the order of time.

Things due at the same moment happen in the order in which they were put in, so that a run does not depend on
anything but its seed. Time jumps from one event to the next; nothing ticks.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf

Action = Callable[[], None]


class Schedule:
    """The world's clock, in seconds since the start of the run, and what waits for it."""

    __slots__ = ("_heap", "_serial", "handled", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self.handled = 0  # events so far
        self._heap: list[tuple[float, int, Action]] = []
        self._serial = 0

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._heap)

    def at(self, time: float, action: Action) -> None:
        """Let `action` happen at `time`, or at once if that has passed."""
        self._serial += 1
        heappush(self._heap, (time if time > self.now else self.now, self._serial, action))

    def next(self) -> float:
        """Return when the next event happens, `math.inf` if none waits."""
        return self._heap[0][0] if self._heap else inf

    def run(self, until: float) -> None:
        """Let everything happen that is due by `until`; the clock then shows `until`."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, action = heappop(heap)
            self.handled += 1
            action()
        self.now = until
