"""Those who watch a cluster from outside its nodes: checkers, recorders, a load balancer's logic.

An observer sees what an agent's observers see, batch by batch, and may issue a node's public commands through
the cluster. It must not touch random generators or clocks of the run: with or without it, all else is equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gossip.serf.effects import Effect
    from gossip.sim.cluster import Cluster
    from gossip.sim.host import Host
    from gossip.sim.scenario import Scenario


class Observer:
    """Sees everything and does nothing; a subclass overrides what it cares about."""

    def started(self, host: Host, now: float) -> None:
        """An agent starts on `host`."""

    def stopped(self, host: Host, now: float) -> None:
        """The agent on `host` is about to vanish, whether it crashed or left."""

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """The agent on `host` told its driver `effects`, in the course of one input; packets are left out."""

    def happened(self, what: str, now: float) -> None:
        """Somebody gave a command, or a fault began or ended."""

    def ticked(self, now: float) -> None:
        """Another second has passed."""


class Counting(Observer):
    """An observer whose findings are numbers, for reports."""

    def counts(self) -> dict[str, int]:
        """Return what was counted so far, by what it is."""
        return {}


class Riders(NamedTuple):
    """Observers to add to every run of a batch.

    Both fields hold module-level functions, so that worker processes can receive them.
    """

    observers: tuple[Callable[[Cluster], Counting], ...] = ()
    cast: Callable[[Scenario], Scenario] | None = None  # gives hosts the roles that the observers look for
