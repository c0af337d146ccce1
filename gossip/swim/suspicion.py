"""A suspicion of a member; its deadline shrinks as other members confirm it (Lifeguard section 4.2).

A confirmation is independent only if its reporter probed the member itself. A row of a push/pull repeats
an accusation without naming the accuser, so it may begin a suspicion, as `HEARSAY`, but never confirms one.
The module knows nothing of messages or timers: the owner reads `deadline` after each confirmation.
"""

from math import floor, log

from gossip.swim.evidence import Evidence, Origin, ProbeRecord

HEARSAY = ""
"""The reporter of an accusation that came as a row of a push/pull. The accusation is gossiped like any other,
so that the accused can refute it. No member has an empty name."""


def remaining_suspicion(confirmations: int, k: int, elapsed: float, minimum: float, maximum: float) -> float:
    """Return the seconds left after `confirmations` of the `k` that count (may be negative).

    Formula of memberlist's `suspicion.go`: max - (max - min) x ln(c+1)/ln(k+1), floored to a millisecond,
    never under the minimum.
    """
    fraction = log(confirmations + 1) / log(k + 1)
    total = floor(1000 * (maximum - fraction * (maximum - minimum))) / 1000
    return max(total, minimum) - elapsed


class Suspicion:
    """The suspicion of one member: its accuser, its confirmers and its deadline."""

    __slots__ = (
        "confirmers",
        "deadline",
        "health",
        "k",
        "maximum",
        "minimum",
        "origin",
        "probe",
        "reporter",
        "started",
    )

    def __init__(self, reporter: str, k: int, minimum: float, maximum: float, now: float) -> None:
        self.reporter = reporter
        self.confirmers: list[str] = []  # in the order of arrival; at most k
        self.probe: ProbeRecord | None = None  # our own last failed probe of the member
        self.origin = Origin()
        self.health = 0  # our own, when it began
        self.k = k
        self.minimum = minimum
        self.maximum = maximum
        self.started = now
        # Without possible confirmers, there is no reason to wait longer than the minimum.
        self.deadline = now + (minimum if k < 1 else maximum)

    def confirm(self, reporter: str) -> bool:
        """Count `reporter` as an independent confirmation; return whether to re-gossip its message.

        The first named reporter after `HEARSAY` becomes the accuser: the hearsay may have been its own.
        """
        if reporter == HEARSAY:
            return False
        if self.reporter == HEARSAY:
            self.reporter = reporter
            return self.k > 0
        if len(self.confirmers) >= self.k or reporter == self.reporter or reporter in self.confirmers:
            return False
        self.confirmers.append(reporter)
        self.deadline = self.started + remaining_suspicion(
            len(self.confirmers), self.k, 0.0, self.minimum, self.maximum
        )
        return True

    def evidence(self, reporter: str, incarnation: int) -> Evidence:
        """Return the evidence at the time when `reporter` begins, confirms, or ends the suspicion.

        `incarnation` is the suspected one, or the one that refutes.
        """
        return Evidence(
            reporter,
            self.reporter,
            tuple(self.confirmers),
            self.started,
            self.probe,
            self.origin,
            self.deadline,
            self.minimum,
            self.k,
            self.health,
            incarnation,
        )
