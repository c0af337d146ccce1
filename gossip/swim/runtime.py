"""State shared by both layers of a node: timers, random numbers, and tokens of finished broadcasts.

It is created before all parts, so that the parts of both layers are complete once constructed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.swim.deadlines import Deadlines

if TYPE_CHECKING:
    from random import Random


class Runtime:
    """The timers and random generator of a node, and the tokens of finished broadcasts of all queues."""

    __slots__ = ("deadlines", "finished", "rng")

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.deadlines = Deadlines()
        self.finished: list[int] = []
