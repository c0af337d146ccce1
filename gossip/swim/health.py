"""Local health: how much this node should doubt itself (Lifeguard section 4.1, memberlist `awareness.go`).

A node that misses acks, or has to refute rumours about itself, is probably slow itself. It then waits longer
before it accuses others.
"""

REFUTATION_COST_INTERVAL = 2.0
"""Probe intervals per refutation that counts against health, in the long run.

Each answered probe gives a point back. Anyone who can send a datagram can make this node refute at will: if
every refutation counted, an attacker could keep its health at the worst value.
"""


class LocalHealth:
    """A saturating counter from 0 (healthy) to `maximum` - 1."""

    __slots__ = ("_ceiling", "_cost_interval", "_credit", "_credit_at", "score")

    def __init__(self, maximum: int, probe_interval: float) -> None:
        self._ceiling = maximum - 1
        self._cost_interval = REFUTATION_COST_INTERVAL * probe_interval
        self._credit = float(maximum)  # refutations that still count; enough to reach the worst health
        self._credit_at = float("-inf")
        self.score = 0

    @property
    def is_enabled(self) -> bool:
        """Whether scores above 0 can occur; otherwise relays need not be asked for nacks."""
        return self._ceiling > 0

    def apply(self, delta: int) -> None:
        """Add `delta`, positive for bad news, within the limits."""
        self.score = min(max(self.score + delta, 0), self._ceiling)

    def refuted(self, now: float) -> None:
        """Count a refutation, unless they come too fast to be this node's own fault."""
        regained = (now - self._credit_at) / self._cost_interval
        self._credit = min(self._credit + regained, self._ceiling + 1.0)
        self._credit_at = now
        if self._credit >= 1:
            self._credit -= 1
            self.apply(1)

    def scale(self, interval: float) -> float:
        """Return how long a probe of `interval` seconds may take at the current health."""
        return interval * (self.score + 1)
