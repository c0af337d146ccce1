"""A run that is controlled step by step, and can be saved as a scenario that repeats it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from gossip.sim.trial import Trial

if TYPE_CHECKING:
    from gossip.serf.node import SerfNode
    from gossip.sim.acts import AnyAct
    from gossip.sim.scenario import Scenario


class Session:
    """A cluster under manual control: acts happen now, and time passes on request."""

    def __init__(self, scenario: Scenario) -> None:
        """Start the cluster that `scenario` describes; its acts and duration are ignored."""
        self._trial = Trial(scenario)
        self._scenario = scenario
        self._acts: list[AnyAct] = []
        self._faults_ended: float | None = None
        self._trial.start()

    @property
    def now(self) -> float:
        """The world's time, seconds."""
        return self._trial.cluster.now

    @property
    def digest(self) -> str:
        """The hash of everything so far."""
        return self._trial.cluster.trace.digest()

    def node(self, name: str) -> SerfNode | None:
        """Return the node called `name`, None while it is down."""
        return self._trial.cluster.hosts[name].node

    def do(self, act: AnyAct) -> None:
        """Perform `act` now, regardless of its own time.

        Raises:
            RuleBrokenError: the act broke a rule at once.
        """
        act = replace(act, at=self.now)
        self._acts.append(act)
        self._trial.perform(act)

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            RuleBrokenError: a rule was broken in that time.
        """
        self._trial.advance(self.now + seconds)

    def settle(self) -> float:
        """End all faults and wait for agreement; return how many seconds it took.

        Raises:
            RuleBrokenError: the nodes did not agree in time.
        """
        self._faults_ended = self.now
        return self._trial.settle()

    def scenario(self) -> Scenario:
        """Return a scenario that repeats everything so far."""
        duration = self.now if self._faults_ended is None else self._faults_ended
        return replace(self._scenario, duration=duration, acts=tuple(self._acts))
