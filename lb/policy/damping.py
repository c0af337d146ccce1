"""The flap penalty of one member: after repeated failures, it must stay alive for a while to come back.

Each flap adds one, time halves it; the wait before the next entry is two to the power of the penalty.
"""

import math

from msgspec import Struct

FORGOTTEN = 0.05
"""A smaller penalty has no visible effect: one flap is forgotten after 4.3 half-lives."""


class FlapConfig(Struct, frozen=True, kw_only=True):
    """How flapping is damped; times in seconds."""

    threshold: float = 0.5  # smaller penalties count as none
    halflife: float = 60.0
    longest_wait: float = 300.0
    shown_from: float = 3.0  # from this penalty on, a member is shown as `damped`
    return_window: float = 60.0  # returning sooner after a leave is also a flap


class FlapPenalty:
    """A counter that decays."""

    __slots__ = ("_at", "_value", "config")

    def __init__(self, config: FlapConfig) -> None:
        self.config = config
        self._value = 0.0
        self._at = 0.0

    def add(self, now: float) -> None:
        """Count one flap at `now`."""
        self._value = self.at(now) + 1.0
        self._at = now

    def at(self, now: float) -> float:
        """Return the penalty at `now`, 0 or more."""
        return self._value * math.exp2((self._at - now) / self.config.halflife) if self._value else 0.0

    def wait(self, now: float) -> float:
        """Return how many seconds a member must have been alive before it may enter, as of `now`."""
        penalty = self.at(now)
        if penalty < self.config.threshold:
            return 0.0
        return min(math.exp2(penalty), self.config.longest_wait)

    def is_shown(self, now: float) -> bool:
        """Return whether the penalty should be shown to a person."""
        return self.at(now) >= self.config.shown_from

    def is_forgotten(self, now: float) -> bool:
        """Return whether the penalty is too small to keep."""
        return self.at(now) < FORGOTTEN
