"""The one timer heap of a core: every wait is a key with a time, and drivers only ask for the next one.

Cancelled and moved entries stay in the heap until they surface; the heap is rebuilt when such leftovers
outnumber the live entries, so its size is bounded by the number of keys.
"""

from heapq import heapify, heappop, heappush
from math import inf

Key = tuple[str, str]
"""What is waited for, and about whom (empty for the node itself)."""

LEFTOVERS_TOLERATED = 64


class Deadlines:
    """Times by key; ties are served in the order in which they were set."""

    __slots__ = ("_at", "_heap", "_serial")

    def __init__(self) -> None:
        self._at: dict[Key, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._serial = 0

    def __len__(self) -> int:
        """Return how many keys wait."""
        return len(self._at)

    def __contains__(self, key: Key) -> bool:
        """Tell whether `key` waits."""
        return key in self._at

    def when(self, key: Key) -> float:
        """Return when `key` falls due, `math.inf` if it does not wait."""
        return self._at[key][0] if key in self._at else inf

    def set(self, key: Key, at: float) -> None:
        """Let `key` fall due at `at`, replacing what was set before."""
        self._serial += 1
        self._at[key] = (at, self._serial)
        heappush(self._heap, (at, self._serial, key))
        if len(self._heap) > 2 * len(self._at) + LEFTOVERS_TOLERATED:
            self._heap = [(at, serial, key) for key, (at, serial) in self._at.items()]
            heapify(self._heap)

    def cancel(self, key: Key) -> None:
        """Forget `key`; unknown keys are fine."""
        self._at.pop(key, None)

    def pop_due(self, now: float) -> Key | None:
        """Remove and return the earliest key that is due at `now`, or None."""
        if self.next() > now:
            return None
        _, _, key = heappop(self._heap)
        del self._at[key]
        return key

    def next(self) -> float:
        """Return the earliest time, `math.inf` if nothing waits."""
        heap = self._heap
        while heap:
            at, serial, key = heap[0]
            if self._at.get(key) == (at, serial):
                return at
            heappop(heap)
        return inf
