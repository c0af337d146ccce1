"""A budget for log lines: members that come and go a thousand times a second must not fill a disk.

Lines are counted per kind and member, in fixed periods. Lines over the budget are counted, and reported in
one line at the end of the period.
"""

from typing import NamedTuple

PERIOD = 10.0
"""Seconds after which all counts start again."""
LINES_PER_MEMBER = 5
"""Lines of one kind about one member per period."""
LINES_PER_KIND = 2000
"""Lines of one kind per period: more than the members of a newly joined cluster."""


class Withheld(NamedTuple):
    """How many lines of one kind about one member were withheld; the name is empty for all other members."""

    kind: str
    member: str
    lines: int


class LineBudget:
    """Admits lines; not thread-safe."""

    __slots__ = ("_counts", "_ends", "_totals", "withheld")

    def __init__(self) -> None:
        self.withheld = 0  # total of all periods
        self._ends = 0.0
        self._counts: dict[tuple[str, str], int] = {}
        self._totals: dict[str, int] = {}

    def admit(self, kind: str, member: str) -> bool:
        """Return whether a line may be written, and count it."""
        key = (kind, member)
        if key not in self._counts and self._totals.get(kind, 0) >= LINES_PER_KIND:
            key = (kind, "")
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if key[1] == "" or count > LINES_PER_MEMBER:
            self.withheld += 1
            return False
        self._totals[kind] = self._totals.get(kind, 0) + 1
        return True

    def end_period(self, now: float) -> list[Withheld]:
        """If the period is over, return the withheld lines and begin the next period."""
        if now < self._ends:
            return []
        self._ends = now + PERIOD
        counts, self._counts, self._totals = self._counts, {}, {}
        return [
            Withheld(kind, member, withheld)
            for (kind, member), count in counts.items()
            if (withheld := count - (LINES_PER_MEMBER if member else 0)) > 0
        ]
