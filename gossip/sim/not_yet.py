"""Faults whose cure is later work, each with the scenario and seed that show what breaks today.

The swarm does not draw them. A fix makes the corresponding test fail: the scenario then moves to the
regressions, the fault into the swarm, and this list gets shorter. At present it is empty.
"""

from __future__ import annotations

from msgspec import Struct

from gossip.sim.scenario import Scenario


class NotYet(Struct, frozen=True, kw_only=True):
    """One fault that the core does not survive as it should."""

    fault: str
    breaks: str  # what happens today
    cure: str  # what would mend it
    scenario: Scenario


NOT_YET: tuple[NotYet, ...] = ()
