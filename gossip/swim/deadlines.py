"""The one timer heap of a core: every wait is a `Timer` with a time, and drivers only ask for the next one.

Cancelled and moved entries stay in the heap until they surface; the heap is rebuilt when such leftovers
outnumber the live entries, so its size is bounded by the number of timers.
"""

from heapq import heapify, heappop, heappush
from math import inf

from msgspec import Struct


class Timer(Struct, frozen=True, gc=False):
    """What is waited for; a subclass for each kind, with a field for what it is about, if it is about one."""


LEFTOVERS_TOLERATED = 64


class Deadlines:
    """Times by timer; ties are served in the order in which they were set."""

    __slots__ = ("_at", "_heap", "_serial")

    def __init__(self) -> None:
        self._at: dict[Timer, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Timer]] = []
        self._serial = 0

    def __len__(self) -> int:
        """Return how many timers wait."""
        return len(self._at)

    def __contains__(self, timer: Timer) -> bool:
        """Tell whether `timer` waits."""
        return timer in self._at

    def when(self, timer: Timer) -> float:
        """Return when `timer` falls due, `math.inf` if it does not wait."""
        return self._at[timer][0] if timer in self._at else inf

    def set(self, timer: Timer, at: float) -> None:
        """Let `timer` fall due at `at`, replacing what was set before."""
        self._serial += 1
        self._at[timer] = (at, self._serial)
        heappush(self._heap, (at, self._serial, timer))
        if len(self._heap) > 2 * len(self._at) + LEFTOVERS_TOLERATED:
            self._heap = [(at, serial, timer) for timer, (at, serial) in self._at.items()]
            heapify(self._heap)

    def cancel(self, timer: Timer) -> None:
        """Forget `timer`; unknown ones are fine."""
        self._at.pop(timer, None)

    def pop_due(self, now: float) -> Timer | None:
        """Remove and return the earliest timer that is due at `now`, or None."""
        if self.next() > now:
            return None
        _, _, timer = heappop(self._heap)
        del self._at[timer]
        return timer

    def next(self) -> float:
        """Return the earliest time, `math.inf` if nothing waits."""
        heap = self._heap
        while heap:
            at, serial, timer = heap[0]
            if self._at.get(timer) == (at, serial):
                return at
            heappop(heap)
        return inf
