"""Transmit-limited broadcasts (SWIM section 4.1, memberlist `queue.go`).

Each broadcast is sent a number of times that grows with the logarithm of the cluster and is then forgotten.
Fewest transmissions go first; among equals the longest that still fits, then the newest. A broadcast with a
key replaces the one queued under the same key. Bytes are queued as they came and never encoded again.
"""

from bisect import bisect_left, insort
from operator import attrgetter

from gossip.wire.address import Address
from gossip.wire.packet import MAX_PARTS_SENT

COMPOUND_HEADER_BYTES = 2
COMPOUND_ENTRY_BYTES = 2
"""What each message of a packet costs besides its own bytes: its length."""


class Broadcast:
    """Bytes on their way to everybody."""

    __slots__ = ("data", "key", "serial", "token", "transmits")

    def __init__(self, key: str | Address | None, data: bytes, token: int, serial: int) -> None:
        self.key = key
        self.data = data
        self.token = token  # 0: nobody waits for the end
        self.serial = serial  # the newer, the greater
        self.transmits = 0


Tier = dict[int, list[Broadcast]]
"""Broadcasts with the same number of transmissions: by length, the oldest first."""

_serial = attrgetter("serial")


class BroadcastQueue:
    """Broadcasts in tiers by transmissions so far.

    The tokens of broadcasts that are done are appended to `finished`, which the owner drains.
    """

    __slots__ = ("_by_key", "_finished", "_longest", "_max_depth", "_serial", "_size", "dropped", "tiers")

    def __init__(self, max_depth: int, longest: int, finished: list[int]) -> None:
        self.tiers: list[Tier] = []
        self.dropped = 0  # broadcasts that made room for others
        self._max_depth = max_depth
        self._longest = longest  # bytes of a broadcast that has a packet to itself
        self._by_key: dict[str | Address, Broadcast] = {}
        self._size = 0
        self._serial = 0
        self._finished = finished

    def __len__(self) -> int:
        """Return the number of broadcasts still to be sent."""
        return self._size

    def enqueue(self, data: bytes, *, key: str | Address | None = None, token: int = 0) -> None:
        """Queue `data`; it replaces what is queued under `key`.

        At `max_depth` the most transmitted broadcast makes room. One that fits into no packet is finished at
        once: it would wait for ever.
        """
        if key is not None and key in self._by_key:
            self._drop(self._by_key[key])
        self._serial += 1
        broadcast = Broadcast(key, data, token, self._serial)
        if len(data) > self._longest:
            self._finish(broadcast)
            return
        if self._size >= self._max_depth:
            self._drop(self._most_transmitted())
            self.dropped += 1
        if key is not None:
            self._by_key[key] = broadcast
        self._place(broadcast)

    def discard(self, key: object) -> None:
        """Forget what is queued under `key`, if anything is; it counts as finished."""
        if key in self._by_key:
            self._drop(self._by_key[key])

    def take(self, budget: int, limit: int, room: int = MAX_PARTS_SENT) -> list[bytes]:
        """Return at most `room` broadcasts that fit into `budget` bytes, each with its entry's cost.

        Each is counted as transmitted; at `limit` transmissions it is finished.
        """
        if not self._size:
            return []
        taken: list[Broadcast] = []
        for tier in self.tiers:
            budget = self._take_from(tier, budget, room, taken)
        # Only now, so that none is taken twice.
        for broadcast in taken:
            broadcast.transmits += 1
            if broadcast.transmits >= limit:
                self._finish(broadcast)
        for broadcast in reversed(taken):  # oldest first, so that most go on top
            if broadcast.transmits < limit:
                self._place(broadcast)
        return [broadcast.data for broadcast in taken]

    def _take_from(self, tier: Tier, budget: int, room: int, taken: list[Broadcast]) -> int:
        for length in sorted(tier, reverse=True):
            cost = length + COMPOUND_ENTRY_BYTES
            stack = tier[length]
            while stack and cost <= budget and len(taken) < room:
                taken.append(stack.pop())
                self._size -= 1
                budget -= cost
            if not stack:
                del tier[length]
        return budget

    def _place(self, broadcast: Broadcast) -> None:
        while len(self.tiers) <= broadcast.transmits:
            self.tiers.append({})
        stack = self.tiers[broadcast.transmits].setdefault(len(broadcast.data), [])
        if stack and stack[-1].serial > broadcast.serial:
            insort(stack, broadcast, key=_serial)
        else:
            stack.append(broadcast)
        self._size += 1

    def _drop(self, broadcast: Broadcast) -> None:
        tier = self.tiers[broadcast.transmits]
        stack = tier[len(broadcast.data)]
        del stack[bisect_left(stack, broadcast.serial, key=_serial)]
        if not stack:
            del tier[len(broadcast.data)]
        self._size -= 1
        self._finish(broadcast)

    def _finish(self, broadcast: Broadcast) -> None:
        if broadcast.key is not None and self._by_key.get(broadcast.key) is broadcast:
            del self._by_key[broadcast.key]
        if broadcast.token:
            self._finished.append(broadcast.token)

    def _most_transmitted(self) -> Broadcast:
        """Return the one that can be spared most: often sent, then short, then old."""
        tier = next(filter(None, reversed(self.tiers)))
        return tier[min(tier)][0]
