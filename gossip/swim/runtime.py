"""What both layers of one node share while it runs: timers, random numbers, and the ends of broadcasts.

It is made before any part, so that every part is whole when it is constructed, whichever layer it is of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.swim.deadlines import Deadlines

if TYPE_CHECKING:
    from random import Random


class Runtime:
    """One node's timers and generator, and the tokens of broadcasts that are done, of all its queues."""

    __slots__ = ("deadlines", "finished", "rng")

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.deadlines = Deadlines()
        self.finished: list[int] = []
