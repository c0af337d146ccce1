"""De-duplication by Lamport time, for user events and queries (Serf `serf.go`, eventBuffer, queryBuffer).

A ring of recent times, each with the items seen at that time. Anything older than the ring counts as seen.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

from gossip.errors import RemoteProtocolError

T = TypeVar("T")


class RecentTimes(Generic[T]):
    """The items seen at each of the last `size` Lamport times: at most `capacity` items and `capacity_bytes`.

    One time may hold any number of items, as members that start together send their first events at one time.
    """

    __slots__ = ("_capacity", "_capacity_bytes", "_count", "_ring", "_size", "minimum", "size_bytes")

    def __init__(self, size: int, capacity: int, capacity_bytes: int) -> None:
        self._size = size
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._count = 0
        self.size_bytes = 0  # total of all items
        # Sparse: most clusters use few of the slots. Items with their sizes, in order of arrival.
        self._ring: dict[int, tuple[int, dict[T, int]]] = {}
        self.minimum = 0  # earlier times are ignored: from before the start, or dropped to make room

    def is_news(self, time: int, thing: T, clock: int, size: int = 0) -> bool:
        """Record `thing` as seen at `time`, `clock` being the current time; return whether it was new.

        `size` counts against the capacity in bytes. When a capacity is reached, the oldest times are dropped.

        Raises:
            RemoteProtocolError: a capacity is used up by times no older than `time`; nothing was recorded.
        """
        if time < self.minimum or (clock > self._size and time < clock - self._size):
            return False
        slot = time % self._size
        if slot in self._ring and self._ring[slot][0] != time:
            self._forget(slot)  # left over from the previous round of the ring
        if slot in self._ring and thing in self._ring[slot][1]:
            return False
        while self._count >= self._capacity or self.size_bytes + size > self._capacity_bytes:
            self._make_room(time)
        self._ring.setdefault(slot, (time, {}))[1][thing] = size
        self._count += 1
        self.size_bytes += size
        return True

    def __len__(self) -> int:
        """Return the number of items."""
        return self._count

    def __iter__(self) -> Iterator[tuple[int, list[T]]]:
        """Iterate over times and their items, in the order of the slots."""
        for slot in sorted(self._ring):
            time, things = self._ring[slot]
            yield time, list(things)

    def _make_room(self, time: int) -> None:
        oldest = min((known for known, _ in self._ring.values()), default=time)
        if oldest >= time:
            raise RemoteProtocolError(
                f"message of lamport time {time} dropped: {self._count} since then are remembered"
            )
        self._forget(oldest % self._size)
        self.minimum = oldest + 1  # otherwise the dropped items would count as new

    def _forget(self, slot: int) -> None:
        _, things = self._ring.pop(slot)
        self._count -= len(things)
        self.size_bytes -= sum(things.values())
