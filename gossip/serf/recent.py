"""De-duplication by Lamport time, for user events and queries (Serf `serf.go`, eventBuffer, queryBuffer).

A ring of recent times, each with what was seen at that time. What is older than the ring counts as seen.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class RecentTimes(Generic[T]):
    """What was seen at each of the last `size` Lamport times, at most `per_time` things each."""

    __slots__ = ("_per_time", "_ring", "_size", "minimum")

    def __init__(self, size: int, per_time: int) -> None:
        self._size = size
        self._per_time = per_time
        self._ring: dict[int, tuple[int, list[T]]] = {}  # sparse: most clusters use few of the slots
        self.minimum = 0  # earlier times are ignored: they were before our time

    def is_news(self, time: int, thing: T, clock: int) -> bool:
        """Record `thing` as seen at `time`, `clock` being the present; return whether it was new."""
        if time < self.minimum or (clock > self._size and time < clock - self._size):
            return False
        slot = time % self._size
        known, things = self._ring.get(slot, (time, []))
        if known != time:
            things = []
        if thing in things or len(things) >= self._per_time:
            return False
        things.append(thing)
        self._ring[slot] = (time, things)
        return True

    def __iter__(self) -> Iterator[tuple[int, list[T]]]:
        """Iterate over times and what was seen, in the order of the slots."""
        return (self._ring[slot] for slot in sorted(self._ring))
