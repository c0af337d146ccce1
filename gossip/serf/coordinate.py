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
    raw = _raw_distance(a, b)
    adjusted = raw + (a.adjustment + b.adjustment)
    return int((adjusted if adjusted > 0.0 else raw) * _NANOSECONDS) / _NANOSECONDS


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
        moved = self._adjust(self._attract(self.coordinate, other, rtt), other, rtt)
        distance = estimate(ORIGIN, moved)
        moved = self._push(moved, -((distance / _GRAVITY_RHO) ** 2), ORIGIN)
        if not moved.is_possible:
            self.resets += 1
            self._adjustments = []  # stale samples would distort the next coordinate
            moved = ORIGIN
        self.coordinate = moved

    def _attract(self, mine: Coordinate, other: Coordinate, rtt: float) -> Coordinate:
        """Vivaldi (figure 3): move along the line between both, further if the other's error is small."""
        rtt = max(rtt, _ZERO)
        distance = estimate(mine, other)
        wrongness = abs(distance - rtt) / rtt
        weight = mine.error / max(mine.error + other.error, _ZERO)
        error = _ERROR_GAIN * weight * wrongness + mine.error * (1.0 - _ERROR_GAIN * weight)
        surer = Coordinate(mine.vec, min(error, MAX_ERROR), mine.adjustment, mine.height)
        return self._push(surer, _POSITION_GAIN * weight * (rtt - distance), other)

    def _adjust(self, mine: Coordinate, other: Coordinate, rtt: float) -> Coordinate:
        """Average the excess of measured over estimated round trips; each side adds half of it."""
        self._adjustments = [*self._adjustments, rtt - _raw_distance(mine, other)][-_ADJUSTMENT_WINDOW:]
        adjustment = sum(self._adjustments) / (2.0 * _ADJUSTMENT_WINDOW)
        return Coordinate(mine.vec, mine.error, adjustment, mine.height)

    def _push(self, mine: Coordinate, force: float, other: Coordinate) -> Coordinate:
        """Move `mine` away from `other` by `force` seconds, or towards it if negative."""
        unit, distance = self._direction(mine.vec, other.vec)
        height = mine.height
        if distance > _ZERO:
            height = max((height + other.height) * force / distance + height, MIN_HEIGHT)
        vec = tuple(part + along * force for part, along in zip(mine.vec, unit, strict=True))
        return Coordinate(vec, mine.error, mine.adjustment, height)

    def _direction(self, to: Sequence[float], start: Sequence[float]) -> tuple[Sequence[float], float]:
        """Return the unit vector from `start` to `to`, and their distance: any vector, and 0, if the same."""
        difference = [a - b for a, b in zip(to, start, strict=True)]
        length = _length(difference)
        if length > _ZERO:
            return [part * (1.0 / length) for part in difference], length
        difference = [self._rng.random() - 0.5 for _ in to]
        length = _length(difference)
        if length > _ZERO:
            return [part * (1.0 / length) for part in difference], 0.0
        return (1.0, *(0.0 for _ in to[1:])), 0.0


def _raw_distance(a: Coordinate, b: Coordinate) -> float:
    return _length([x - y for x, y in zip(a.vec, b.vec, strict=True)]) + (a.height + b.height)


def _length(vec: Sequence[float]) -> float:
    square = 0.0
    for part in vec:  # not sum(), which is more precise than Go from Python 3.12 on
        square += part * part
    return sqrt(square)
