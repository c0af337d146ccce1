"""Transmit-limited broadcasts (SWIM section 4.1, memberlist `queue.go`).

Each broadcast is sent a number of times that grows with the logarithm of the cluster and is then forgotten.
The least-sent broadcasts go first; among equals the longest that still fits, then the newest. A broadcast
with a key replaces the one queued under the same key. Bytes are queued as received and never encoded again.
"""

from bisect import bisect_left
from operator import attrgetter

from gossip.wire.address import Address
from gossip.wire.packet import MAX_PARTS_SENT

COMPOUND_HEADER_BYTES = 2
COMPOUND_ENTRY_BYTES = 2
"""Cost of each message in a packet, besides its own bytes: its length."""


class Broadcast:
    """Bytes on their way to all members."""

    __slots__ = ("data", "key", "serial", "token", "transmits")

    def __init__(self, key: str | Address | None, data: bytes, token: int, serial: int) -> None:
        self.key = key
        self.data = data
        self.token = token  # 0: nobody waits for the end
        self.serial = serial  # newer broadcasts have greater numbers
        self.transmits = 0


Tier = dict[int, list[Broadcast]]
"""Broadcasts with the same number of transmissions: by length, oldest first."""

_serial = attrgetter("serial")


class BroadcastQueue:
    """Broadcasts in tiers by transmissions so far.

    The tokens of finished broadcasts are appended to `finished`, which the owner drains.
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
        """Queue `data`, replacing the broadcast queued under `key`.

        At `max_depth` the most transmitted broadcast is dropped. One that fits into no packet is finished at
        once, as it would wait forever.
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
        self._size += 1
        self._place([broadcast])

    def discard(self, key: object) -> None:
        """Drop the broadcast queued under `key`, if any; it counts as finished."""
        if key in self._by_key:
            self._drop(self._by_key[key])

    def take(self, budget: int, limit: int, room: int = MAX_PARTS_SENT) -> list[bytes]:
        """Return at most `room` broadcasts that fit into `budget` bytes, each with its entry's cost.

        Each is counted as transmitted; at `limit` transmissions it is finished.
        """
        if not self._size:
            return []
        taken: list[list[Broadcast]] = []  # each of equal length and transmissions, oldest first
        for tier in self.tiers:
            if not tier:
                continue
            for length in sorted(tier, reverse=True):
                stack = tier[length]
                cost = length + COMPOUND_ENTRY_BYTES
                count = min(len(stack), room, budget // cost)
                if count <= 0:
                    continue
                budget -= count * cost
                room -= count
                taken.append(stack[-count:])
                del stack[-count:]
                if not stack:
                    del tier[length]
        # Only now, so that no broadcast is taken twice.
        for group in taken:
            self._count_transmission(group, limit)
        return [broadcast.data for group in taken for broadcast in reversed(group)]

    def _count_transmission(self, group: list[Broadcast], limit: int) -> None:
        transmits = group[0].transmits + 1
        if transmits >= limit:
            self._size -= len(group)
            for broadcast in reversed(group):
                self._finish(broadcast)
            return
        for broadcast in group:
            broadcast.transmits = transmits
        self._place(group)

    def _place(self, group: list[Broadcast]) -> None:
        """Put broadcasts of equal length and transmissions, oldest first, into their tier."""
        transmits, length = group[0].transmits, len(group[0].data)
        while len(self.tiers) <= transmits:
            self.tiers.append({})
        tier = self.tiers[transmits]
        stack = tier.setdefault(length, group)
        if stack is not group:
            is_newer = group[0].serial > stack[-1].serial
            stack += group
            if not is_newer:
                stack.sort(key=_serial)

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
        """Return the most expendable broadcast: sent most often, then shortest, then oldest."""
        tier = next(filter(None, reversed(self.tiers)))
        return tier[min(tier)][0]
