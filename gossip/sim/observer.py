"""Observers of a cluster, outside its nodes: checkers, recorders, a load balancer's logic.

An observer receives what an agent's observers receive, batch by batch, and may issue a node's public commands
through the cluster. It must not touch the run's random generators or clocks: the run is the same without it.
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
    """Observes everything and does nothing; subclasses override the methods they need."""

    def started(self, host: Host, now: float) -> None:
        """An agent starts on `host`."""

    def stopped(self, host: Host, now: float) -> None:
        """The agent on `host` is about to vanish, whether it crashed or left."""

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """The agent on `host` gave its driver `effects` during one input; packets are left out."""

    def happened(self, what: str, now: float) -> None:
        """A command was given, or a fault began or ended."""

    def ticked(self, now: float) -> None:
        """Another second has passed."""


class Counting(Observer):
    """An observer that counts, for reports."""

    def counts(self) -> dict[str, int]:
        """Return the counts so far, each under its description."""
        return {}


class Riders(NamedTuple):
    """Observers to add to every run of a batch.

    Both fields hold module-level functions, so that worker processes can receive them.
    """

    observers: tuple[Callable[[Cluster], Counting], ...] = ()
    cast: Callable[[Scenario], Scenario] | None = None  # gives hosts the roles that the observers expect
