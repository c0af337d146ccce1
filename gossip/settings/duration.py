"""Durations as people write them: a number of seconds, or Go's notation (``5s``, ``1m30s``, ``250ms``)."""

import math
import re

_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PIECE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
MAX_SECONDS = 10 * 366 * 86400.0
"""Ten years: far beyond any use, and small enough to be added to a clock."""


class Seconds(float):
    """A length of time in seconds; a type of its own so that configuration files may spell it either way."""

    __slots__ = ()


def parse_duration(value: object) -> Seconds:
    """Return `value` in seconds, from a number or from Go's notation.

    Raises:
        TypeError: it is neither a number nor a text.
        ValueError: the text is not a duration, or it is negative or longer than `MAX_SECONDS` (ten years).
    """
    if isinstance(value, str):
        seconds = _parse_text(value.strip())
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise TypeError(f"expected a duration such as 5s or 1m30s, got {value!r}")
    if not math.isfinite(seconds) or not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"duration {value!r} is not between 0 and ten years")
    return Seconds(seconds)


def duration_text(seconds: float) -> str:
    """Return `seconds` in Go's notation, to a millisecond."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def _parse_text(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    total, at = 0.0, 0
    while piece := _PIECE.match(text, at):
        total += float(piece[1]) * _UNITS[piece[2]]
        at = piece.end()
    if at != len(text) or not text:
        raise ValueError(f"expected a duration such as 5s or 1m30s, got {text!r}")
    return total
