"""Which runs to do: the paper's whole grid, or a sample of it in the order of worth.

The same cell has the same seed in every configuration: they meet the same anomalies in the same phases.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING
from zlib import crc32

from msgspec.structs import replace

from benchmarks.papers.lifeguard.experiment import CONFIGURATIONS, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

ANOMALOUS = (1, 4, 8, 12, 16, 20, 24, 28, 32)
ANOMALIES = (0.128, 0.512, 2.048, 8.192, 16.384, 32.768)
PAUSES = (0.001, 0.004, 0.016, 0.064, 0.256, 1.024, 4.096, 16.384)
REPEATS = 10
TUNINGS = tuple(product((2, 4, 5), (2, 4, 6)))
"""The paper's alpha and beta of table VII."""
BASE = (5, 6)

SAMPLED_ANOMALOUS = (4, 16, 32)
SAMPLED_ANOMALIES = ANOMALIES[2:]
SAMPLED_PAUSES = PAUSES[:5]
"""Shorter anomalies and longer pauses let refutations in: a few cells are there to show that."""
CHECKED_PAUSE = PAUSES[6]
TUNED = ((16.384, 0.001), (16.384, 0.016), (8.192, 0.001), (2.048, 0.001))
LATENCY_ANOMALOUS = (4, 16, 32)
LATENCY_REPEATS = 2
LONG = (16.384, 32.768)
"""Longer than the fixed time-out of 10.5 s: nobody can be found failed in a shorter one."""
LONG_ENOUGH_FOR_TWO = (8.192, *LONG)
"""The same for alpha = 2, 4.2 s."""


def whole() -> Iterator[Run]:
    """Yield the paper's grid: 540 + 4,320 runs for each configuration, as many for each further tuning."""
    for repeat, c, d in product(range(REPEATS), ANOMALOUS, ANOMALIES):
        cells = [_cell("threshold", c, d, 0.0, repeat)]
        cells += [_cell("interval", c, d, pause, repeat) for pause in PAUSES]
        for cell in cells:
            yield from _all_configurations(cell)
            yield from _other_tunings(cell)


def sampled() -> Iterator[Run]:
    """Yield a sample: what the paper's claims rest on first, then what completes the tables."""
    for repeat, c, d in product(range(LATENCY_REPEATS), LATENCY_ANOMALOUS, LONG):
        yield from _all_configurations(_cell("threshold", c, d, 0.0, repeat))
    for c, pause, d in product(SAMPLED_ANOMALOUS, SAMPLED_PAUSES, SAMPLED_ANOMALIES):
        yield from _all_configurations(_cell("interval", c, d, pause, 0))
    for c, d in product(LATENCY_ANOMALOUS, LONG_ENOUGH_FOR_TWO):
        yield from _other_tunings(_cell("threshold", c, d, 0.0, 0))
    for d, pause in TUNED:
        yield from _other_tunings(_cell("interval", 16, d, pause, 0))
    for d in ANOMALIES[:2]:
        yield from _all_configurations(_cell("interval", 16, d, PAUSES[0], 0))
    for d in SAMPLED_ANOMALIES:
        yield from _all_configurations(_cell("interval", 16, d, CHECKED_PAUSE, 0))


def _cell(experiment: str, anomalous: int, anomaly: float, pause: float, repeat: int) -> Run:
    assert experiment in ("threshold", "interval")
    seed = crc32(f"{experiment}/{anomalous}/{anomaly}/{pause}/{repeat}".encode())
    return Run(
        experiment="threshold" if experiment == "threshold" else "interval",
        configuration="SWIM",
        anomalous=anomalous,
        anomaly=anomaly,
        pause=pause,
        seed=seed,
    )


def _all_configurations(cell: Run) -> Iterator[Run]:
    for configuration in CONFIGURATIONS:
        yield replace(cell, configuration=configuration)


def _other_tunings(cell: Run) -> Iterator[Run]:
    for alpha, beta in TUNINGS:
        if (alpha, beta) != BASE:
            yield replace(cell, configuration="Lifeguard", alpha=alpha, beta=beta)
