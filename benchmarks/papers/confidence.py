"""Confidence intervals of 95 %: Student for means, Wilson for proportions, bootstrap for the rest.

The bootstrap (Efron 1979, percentiles of resampled statistics) draws from a generator of its own with a fixed
seed, so that the same measurement always prints the same interval.
"""

from __future__ import annotations

from math import ceil, floor, inf, sqrt
from random import Random
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEVEL = 0.95
RESAMPLES = 1000
SEED = 20_261_122

T = TypeVar("T")


class Estimate(msgspec.Struct, frozen=True):
    """A figure and the interval in which the true one lies with the confidence `LEVEL`."""

    value: float
    low: float
    high: float

    def text(self, decimals: int = 2) -> str:
        """Return the figure with its interval, as in ``1.58 [1.49, 1.67]``."""
        if self.low == -inf or self.high == inf:
            return f"{self.value:.{decimals}f} [too few]"
        return f"{self.value:.{decimals}f} [{self.low:.{decimals}f}, {self.high:.{decimals}f}]"

    def scaled(self, factor: float) -> Estimate:
        """Return the same in another unit; `factor` is positive."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


def mean(values: Sequence[float]) -> Estimate:
    """Return the mean of at least one value, with Student's interval; under three values it is unbounded."""
    centre = fmean(values)
    if len(values) < 3:
        return Estimate(centre, -inf, inf)
    half = student_quantile(len(values) - 1) * stdev(values) / sqrt(len(values))
    return Estimate(centre, centre - half, centre + half)


def proportion(hits: int, tries: int) -> Estimate:
    """Return the share of hits among at least one try, with the interval of Wilson (1927)."""
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    share = hits / tries
    scale = 1 + z * z / tries
    centre = (share + z * z / (2 * tries)) / scale
    half = z * sqrt(share * (1 - share) / tries + z * z / (4 * tries * tries)) / scale
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


def bootstrap(samples: Sequence[T], statistic: Callable[[Sequence[T]], float]) -> Estimate:
    """Return `statistic` of the samples, with the percentiles of what it says of resampled ones.

    A sample is what is independent of the others: a whole run with all it measured, not each measurement.
    """
    rng = Random(SEED)
    resampled = sorted(statistic(rng.choices(samples, k=len(samples))) for _ in range(RESAMPLES))
    tail = (1 - LEVEL) / 2
    return Estimate(statistic(samples), quantile(resampled, tail), quantile(resampled, 1 - tail))


def median(values: Sequence[float]) -> Estimate:
    """Return the median of independent values with its interval."""
    return bootstrap(values, lambda some: quantile(sorted(some), 0.5))


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value under which `share` of the ascending values lie, interpolated between two of them."""
    place = share * (len(ordered) - 1)
    below, above = floor(place), ceil(place)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def student_quantile(freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's t, for at least 2 degrees of freedom.

    Cornish-Fisher expansion (Abramowitz and Stegun 26.7.5): within 1 % for 2, 0.1 % from 4 on.
    """
    x = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    terms: tuple[float, ...] = (
        x,
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92_160,
    )
    return sum(term / float(freedom**power) for power, term in enumerate(terms))
