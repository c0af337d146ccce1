"""Transmit-limited broadcasts (SWIM section 4.1, memberlist `queue.go`).

Each broadcast is sent a number of times that grows with the logarithm of the cluster and is then forgotten.
Fewest transmissions go first; among equals the longest that still fits, then the newest. A broadcast with a
key replaces the one queued under the same key. Bytes are queued as they came and never encoded again.
"""

MAX_PARTS = 127
"""Most messages in one packet: memberlist 0.2.2 mis-slices a compound of 128 and more."""

LEFTOVERS_TOLERATED = 64


class Broadcast:
    """Bytes on their way to everybody."""

    __slots__ = ("data", "is_live", "key", "token", "transmits")

    def __init__(self, key: str | None, data: bytes, token: int) -> None:
        self.key = key
        self.data = data
        self.token = token  # 0: nobody waits for the end
        self.transmits = 0
        self.is_live = True  # False once replaced, pruned or sent often enough


class BroadcastQueue:
    """Broadcasts in tiers by transmissions so far; within a tier, stacks by length.

    The tokens of broadcasts that are done are appended to `finished`, which the owner drains.
    """

    __slots__ = ("_by_key", "_entries", "_finished", "_live", "_max_depth", "_tiers")

    def __init__(self, max_depth: int, finished: list[int]) -> None:
        self._max_depth = max_depth
        self._tiers: list[dict[int, list[Broadcast]]] = []
        self._by_key: dict[str, Broadcast] = {}
        self._live = 0
        self._entries = 0  # in the stacks, leftovers of replaced broadcasts included
        self._finished = finished

    def __len__(self) -> int:
        """Return the number of broadcasts still to be sent."""
        return self._live

    def enqueue(self, data: bytes, *, key: str | None = None, token: int = 0) -> None:
        """Queue `data`; it replaces what is queued under `key`.

        At `max_depth` the most transmitted broadcast makes room.
        """
        if key is not None and key in self._by_key:
            self._finish(self._by_key[key])
        if self._live >= self._max_depth:
            self._drop_most_transmitted()
        broadcast = Broadcast(key, data, token)
        if key is not None:
            self._by_key[key] = broadcast
        self._live += 1
        self._push(broadcast)
        if self._entries > 2 * self._live + LEFTOVERS_TOLERATED:
            self._sweep()

    def take(self, budget: int, overhead: int, limit: int, room: int = MAX_PARTS) -> list[bytes]:
        """Return broadcasts that fit into `budget` bytes, each costing `overhead` more; at most `room`.

        Each is counted as transmitted; at `limit` transmissions it is finished.
        """
        if not self._live:
            return []
        taken: list[Broadcast] = []
        for tier in self._tiers:
            budget = self._take_from(tier, budget, overhead, room, taken)
            if len(taken) >= room:
                break
        for broadcast in reversed(taken):  # reversed: the newest ends on top again
            broadcast.transmits += 1
            if broadcast.transmits >= limit:
                self._finish(broadcast)
            else:
                self._push(broadcast)
        return [broadcast.data for broadcast in taken]

    def _take_from(
        self, tier: dict[int, list[Broadcast]], budget: int, overhead: int, room: int, taken: list[Broadcast]
    ) -> int:
        for length in sorted(tier, reverse=True):
            cost = length + overhead
            stack = tier[length]
            while stack and cost <= budget and len(taken) < room:
                broadcast = stack.pop()
                self._entries -= 1
                if broadcast.is_live:
                    taken.append(broadcast)
                    budget -= cost
            if not stack:
                del tier[length]
        return budget

    def _push(self, broadcast: Broadcast) -> None:
        while len(self._tiers) <= broadcast.transmits:
            self._tiers.append({})
        self._tiers[broadcast.transmits].setdefault(len(broadcast.data), []).append(broadcast)
        self._entries += 1

    def _finish(self, broadcast: Broadcast) -> None:
        broadcast.is_live = False
        self._live -= 1
        if broadcast.key is not None and self._by_key.get(broadcast.key) is broadcast:
            del self._by_key[broadcast.key]
        if broadcast.token:
            self._finished.append(broadcast.token)

    def _drop_most_transmitted(self) -> None:
        for tier in reversed(self._tiers):
            for stack in tier.values():
                for broadcast in stack:  # the oldest stands at the bottom
                    if broadcast.is_live:
                        self._finish(broadcast)
                        return

    def _sweep(self) -> None:
        """Throw the leftovers out, so that memory follows the live broadcasts."""
        for index, tier in enumerate(self._tiers):
            swept = {length: [b for b in stack if b.is_live] for length, stack in tier.items()}
            self._tiers[index] = {length: stack for length, stack in swept.items() if stack}
        self._entries = self._live
