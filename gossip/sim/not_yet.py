"""Faults that the core cannot handle yet, each with the scenario and seed that show the failure.

The swarm does not draw them. When a fix makes the corresponding test fail, the scenario moves to the
regressions and the fault into the swarm, and this list gets shorter. At present it is empty.
"""

from __future__ import annotations

from msgspec import Struct

from gossip.sim.scenario import Scenario


class NotYet(Struct, frozen=True, kw_only=True):
    """One fault that the core does not survive as it should."""

    fault: str
    breaks: str  # the failure today
    cure: str  # the fix it needs
    scenario: Scenario


NOT_YET: tuple[NotYet, ...] = ()
