"""Network coordinates: an estimate of the round trip to every member, pinged or not (Vivaldi, SIGCOMM 2004).

As in Serf's `coordinate` package (serf-wire 5.9): eight dimensions and a height (Vivaldi section 5.4), a
median filter over each member's last round trips, an adjustment term (Lee, Guha, Kapoor: "On suitability of
Euclidean embedding for host-based network coordinate systems"), and gravity, which keeps the whole cluster
near the origin (Ledlie, Gardner, Seltzer: "Network coordinates in the wild", section 4.3).

Each measured round trip goes into `CoordinateClient.update`; `estimate` gives the round trip between any two
coordinates. The arithmetic follows Serf's, so that both arrive at the same figures.
"""

from __future__ import annotations

from math import sqrt
from operator import add, sub
from typing import TYPE_CHECKING

from gossip.wire.coordinate_codec import DIMENSIONS, MAX_ERROR, Coordinate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

MIN_HEIGHT = 1e-5
"""Lowest height in seconds; a smaller one could cancel out."""
MAX_RTT = 10.0
"""Seconds: longer round trips say nothing about the network."""
FILTER_SIZE = 3
"""Window of the median filter: the last round trips kept per member."""

_ERROR_GAIN = 0.25
"""Vivaldi's c_e: how fast the error follows the latest samples."""
_POSITION_GAIN = 0.25
"""Vivaldi's c_c: the largest part of a discrepancy that one sample moves us by."""
_ADJUSTMENT_WINDOW = 20
"""Samples that the adjustment is averaged over."""
_GRAVITY_RHO = 150.0
"""Seconds: at this distance from the origin, gravity moves us by a second for each sample."""
_ZERO = 1e-6
"""Values below this are treated as zero: distances in seconds, and fractions of the error."""
_NANOSECONDS = 1e9

ORIGIN = Coordinate((0.0,) * DIMENSIONS, MAX_ERROR, 0.0, MIN_HEIGHT)
"""The coordinate that every member starts with."""


def estimate(a: Coordinate, b: Coordinate) -> float:
    """Return the round trip between two members in seconds, cut to whole nanoseconds.

    It is the same in both directions. In Serf the order of the additions depends on the direction, and
    rounding makes the two differ: by a nanosecond, or by the whole estimate where one adjusted distance is 0
    and the other is just above.
    """
    return _estimate(_length(_difference(a, b)), a, b)


def median_rtt(past: Sequence[float], rtt: float) -> tuple[tuple[float, ...], float]:
    """Add `rtt` to a member's `past` round trips; return the ones to keep, and their median."""
    remembered = (*past, rtt)[-FILTER_SIZE:]
    return remembered, sorted(remembered)[len(remembered) // 2]


class CoordinateClient:
    """This node's own coordinate, moved by every round trip that it measures."""

    __slots__ = ("_adjustments", "_rng", "coordinate", "resets")

    def __init__(self, rng: Random) -> None:
        self.coordinate = ORIGIN
        self.resets = 0  # times that the coordinate became invalid
        self._adjustments: list[float] = []  # the latest differences, measured minus estimated
        self._rng = rng

    def update(self, other: Coordinate, rtt: float) -> None:
        """Move by one measurement.

        Args:
            other: The coordinate that the other member reported; `is_possible` must hold.
            rtt: The round trip to it in seconds, 0 to `MAX_RTT`, filtered.
        """
        moved = self._gravitate(self._adjust(self._attract(self.coordinate, other, rtt), other, rtt))
        if not moved.is_possible:
            self.resets += 1
            self._adjustments = []  # stale samples would distort the next coordinate
            moved = ORIGIN
        self.coordinate = moved

    def _attract(self, mine: Coordinate, other: Coordinate, rtt: float) -> Coordinate:
        """Vivaldi (figure 3): move along the line between both, further if the other's error is small."""
        rtt = max(rtt, _ZERO)
        difference = _difference(mine, other)
        length = _length(difference)
        distance = _estimate(length, mine, other)
        wrongness = abs(distance - rtt) / rtt
        weight = mine.error / max(mine.error + other.error, _ZERO)
        error = _ERROR_GAIN * weight * wrongness + mine.error * (1.0 - _ERROR_GAIN * weight)
        surer = Coordinate(mine.vec, min(error, MAX_ERROR), mine.adjustment, mine.height)
        force = _POSITION_GAIN * weight * (rtt - distance)
        return self._push(surer, force, other.height, difference, length)

    def _adjust(self, mine: Coordinate, other: Coordinate, rtt: float) -> Coordinate:
        """Average the excess of measured over estimated round trips; each side adds half of it."""
        distance = _length(_difference(mine, other)) + (mine.height + other.height)
        self._adjustments = [*self._adjustments, rtt - distance][-_ADJUSTMENT_WINDOW:]
        adjustment = sum(self._adjustments) / (2.0 * _ADJUSTMENT_WINDOW)
        return Coordinate(mine.vec, mine.error, adjustment, mine.height)

    def _gravitate(self, mine: Coordinate) -> Coordinate:
        """Ledlie, Gardner, Seltzer: draw `mine` towards the origin, the more the further away it is."""
        length = _length(mine.vec)
        force = -((_estimate(length, ORIGIN, mine) / _GRAVITY_RHO) ** 2)
        return self._push(mine, force, ORIGIN.height, mine.vec, length)

    def _push(
        self, mine: Coordinate, force: float, height: float, difference: Sequence[float], length: float
    ) -> Coordinate:
        """Move `mine` by `force` seconds, away from a coordinate, or towards it if negative.

        Args:
            mine: What is moved.
            force: Seconds.
            height: The height of the other coordinate.
            difference: The vector from the other coordinate to `mine`. If both are at the same place, any
                direction will do.
            length: The length of `difference`.
        """
        up = mine.height
        if length > _ZERO:
            up = max((up + height) * force / length + up, MIN_HEIGHT)
        else:
            difference, length = self._any_direction()
        scale = 1.0 / length
        vec = tuple(map(add, mine.vec, [part * scale * force for part in difference]))
        return Coordinate(vec, mine.error, mine.adjustment, up)

    def _any_direction(self) -> tuple[Sequence[float], float]:
        """Return any vector and its length."""
        vec = [self._rng.random() - 0.5 for _ in range(DIMENSIONS)]
        length = _length(vec)
        return (vec, length) if length > _ZERO else ((1.0, *(0.0,) * (DIMENSIONS - 1)), 1.0)


def _estimate(length: float, a: Coordinate, b: Coordinate) -> float:
    """Return `estimate` of two coordinates with `length` between their Euclidean parts."""
    raw = length + (a.height + b.height)
    adjusted = raw + (a.adjustment + b.adjustment)
    return int((adjusted if adjusted > 0.0 else raw) * _NANOSECONDS) / _NANOSECONDS


def _difference(a: Coordinate, b: Coordinate) -> Sequence[float]:
    return list(map(sub, a.vec, b.vec))


def _length(vec: Sequence[float]) -> float:
    a, b, c, d, e, f, g, h = vec  # not sum(), which is more precise than Go from Python 3.12 on
    return sqrt(a * a + b * b + c * c + d * d + e * e + f * f + g * g + h * h)
