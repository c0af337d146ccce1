"""The timer heap of a core: every wait is a `Timer` with a deadline, and drivers ask only for the next one.

Cancelled and moved entries stay in the heap until they reach its top; the heap is rebuilt when they outnumber
the live entries, so its size is bounded by the number of timers.
"""

from heapq import heapify, heappop, heappush
from math import inf

from msgspec import Struct


class Timer(Struct, frozen=True, gc=False):
    """A reason to wake up. Each kind is a subclass, with a field for its subject if it has one."""


LEFTOVERS_TOLERATED = 64


class Deadlines:
    """Deadlines by timer; timers with equal deadlines fire in the order in which they were set."""

    __slots__ = ("_at", "_heap", "_serial")

    def __init__(self) -> None:
        self._at: dict[Timer, tuple[float, int, Timer]] = {}  # the live heap entry of each timer
        self._heap: list[tuple[float, int, Timer]] = []
        self._serial = 0

    def __len__(self) -> int:
        """Return the number of pending timers."""
        return len(self._at)

    def __contains__(self, timer: Timer) -> bool:
        """Tell whether `timer` is pending."""
        return timer in self._at

    def when(self, timer: Timer) -> float:
        """Return the deadline of `timer`, `math.inf` if it is not pending."""
        return self._at[timer][0] if timer in self._at else inf

    def set(self, timer: Timer, at: float) -> None:
        """Set the deadline of `timer` to `at`, replacing an earlier one."""
        self._serial += 1
        entry = self._at[timer] = (at, self._serial, timer)
        heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._at) + LEFTOVERS_TOLERATED:
            self._heap = list(self._at.values())
            heapify(self._heap)

    def cancel(self, timer: Timer) -> None:
        """Cancel `timer`; do nothing if it is not pending."""
        self._at.pop(timer, None)

    def pop_due(self, now: float) -> Timer | None:
        """Remove and return the earliest timer that is due at `now`, or None."""
        if self.next() > now:
            return None
        _, _, timer = heappop(self._heap)
        del self._at[timer]
        return timer

    def next(self) -> float:
        """Return the earliest deadline, `math.inf` if no timer is pending."""
        heap = self._heap
        while heap:
            entry = heap[0]
            if self._at.get(entry[2]) == entry:
                return entry[0]
            heappop(heap)
        return inf
