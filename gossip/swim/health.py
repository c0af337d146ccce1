"""Local health: how much this node should doubt itself (Lifeguard section 4.1, memberlist `awareness.go`).

A node that misses acks, or has to refute rumours about itself, is probably slow itself. It then waits longer
before it accuses others.
"""


class LocalHealth:
    """A saturating counter from 0 (healthy) to `maximum` - 1."""

    __slots__ = ("_ceiling", "score")

    def __init__(self, maximum: int) -> None:
        self._ceiling = maximum - 1
        self.score = 0

    @property
    def matters(self) -> bool:
        """Whether there is any score but 0; if not, nobody need be asked for evidence."""
        return self._ceiling > 0

    def apply(self, delta: int) -> None:
        """Add `delta`, positive for bad news, and saturate."""
        self.score = min(max(self.score + delta, 0), self._ceiling)

    def scale(self, interval: float) -> float:
        """Return how long a probe of `interval` seconds may take in the present health."""
        return interval * (self.score + 1)
