"""The events of the demonstration: lines with the seconds since its start."""

import time
from collections.abc import Callable

from msgspec import Struct


class Line(Struct, frozen=True):
    """One event. `at` in seconds since the start."""

    at: float
    actor: str
    text: str

    def __str__(self) -> str:
        """Return the line in its printed form."""
        return f"{self.at:7.2f}s  {self.actor:<8} {self.text}"


class Timeline:
    """Collects lines and passes each to `show` at once."""

    def __init__(self, show: Callable[[Line], object]) -> None:
        self.lines: list[Line] = []
        self._show = show
        self._start = time.monotonic()

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def say(self, actor: str, text: str) -> None:
        """Add a line."""
        line = Line(self.now, actor, text)
        self.lines.append(line)
        self._show(line)
