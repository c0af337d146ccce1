"""What each node believes over time, beside the truth: the material of timelines and pictures.

Every node has a mood at each moment: the worst that is wrong with its view. Or, asked about one member, what
it believes of that member.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from gossip.serf.effects import MemberEvent, MemberReaped, MemberSuspected, SuspicionConfirmed
from gossip.serf.members import MemberStatus
from gossip.sim.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.serf.effects import Effect
    from gossip.sim.host import Host


class Belief(IntEnum):
    """What one node holds another for."""

    UNKNOWN = 0
    ALIVE = 1
    SUSPECT = 2
    LEAVING = 3
    LEFT = 4
    FAILED = 5


class Mood(IntEnum):
    """The worst that is wrong with a node's view, from bad to worse; `DOWN` if there is no agent."""

    DOWN = 0
    RIGHT = 1
    """It holds all running agents alive and nobody else."""
    BEHIND = 2
    """It does not know somebody yet, or still holds somebody alive who is gone."""
    SUSPICIOUS = 3
    """It suspects a running agent, or takes it for leaving."""
    WRONG = 4
    """It holds a running agent failed or left."""


_OF_STATUS = {
    MemberStatus.ALIVE: Belief.ALIVE,
    MemberStatus.LEAVING: Belief.LEAVING,
    MemberStatus.LEFT: Belief.LEFT,
    MemberStatus.FAILED: Belief.FAILED,
}
_OF_ONE_UP = {
    Belief.UNKNOWN: Mood.BEHIND,
    Belief.ALIVE: Mood.RIGHT,
    Belief.SUSPECT: Mood.SUSPICIOUS,
    Belief.LEAVING: Mood.SUSPICIOUS,
    Belief.LEFT: Mood.WRONG,
    Belief.FAILED: Mood.WRONG,
}
_OF_ONE_DOWN = {
    Belief.UNKNOWN: Mood.RIGHT,
    Belief.ALIVE: Mood.BEHIND,
    Belief.SUSPECT: Mood.BEHIND,
    Belief.LEAVING: Mood.BEHIND,
    Belief.LEFT: Mood.RIGHT,
    Belief.FAILED: Mood.RIGHT,
}

Changes = list[tuple[float, int]]
"""Times of change with the new value, in the order of time."""


class Beliefs(Observer):
    """Records beliefs; `moods` and `about` are filled as the run goes on."""

    def __init__(self, about: str = "") -> None:
        self.moods: dict[str, Changes] = {}
        self.about: dict[str, Changes] = {}  # what each node believes of the one member asked about
        self.notes: list[tuple[float, str]] = []
        self._subject = about
        self._held: dict[str, dict[str, Belief]] = {}  # by nodes that are up
        self._up: dict[str, None] = {}
        self._counts: dict[str, list[int]] = {}  # per node, how many members give rise to each mood

    def started(self, host: Host, now: float) -> None:
        """A node that knows nobody; the others do not know that it is up."""
        self._turn(host.name, now, is_up=True)

    def stopped(self, host: Host, now: float) -> None:
        """A node that has no beliefs any more."""
        self._turn(host.name, now, is_up=False)

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """Follow each change of a belief."""
        for effect in effects:
            if isinstance(effect, MemberEvent):
                self._believe(host.name, effect.member.name, _belief_after(effect), now)

    def happened(self, what: str, now: float) -> None:
        """Keep what was done to the cluster."""
        self.notes.append((now, what))

    def _turn(self, name: str, now: float, *, is_up: bool) -> None:
        for observer, held in self._held.items():
            belief = held.get(name, Belief.UNKNOWN)
            counts = self._counts[observer]
            counts[self._mood(name, belief)] -= 1
            counts[(_OF_ONE_UP if is_up else _OF_ONE_DOWN)[belief]] += 1
        if is_up:
            self._up[name] = None
            self._held[name] = {}
            self._counts[name] = counts = [0] * len(Mood)
            counts[Mood.BEHIND] = len(self._up)
        else:
            self._up.pop(name, None)
            self._held.pop(name, None)
            self._counts.pop(name, None)
            _change(self.about.setdefault(name, []), now, -1)
            _change(self.moods.setdefault(name, []), now, Mood.DOWN)
        for observer in self._held:
            self._look(observer, now)

    def _believe(self, observer: str, name: str, belief: Belief, now: float) -> None:
        held, counts = self._held[observer], self._counts[observer]
        counts[self._mood(name, held.get(name, Belief.UNKNOWN))] -= 1
        counts[self._mood(name, belief)] += 1
        held[name] = belief
        self._look(observer, now)

    def _mood(self, name: str, belief: Belief) -> Mood:
        return (_OF_ONE_UP if name in self._up else _OF_ONE_DOWN)[belief]

    def _look(self, observer: str, now: float) -> None:
        counts = self._counts[observer]
        worst = max((mood for mood in Mood if counts[mood] > 0), default=Mood.RIGHT)
        _change(self.moods.setdefault(observer, []), now, worst)
        belief = self._held[observer].get(self._subject, Belief.UNKNOWN)
        _change(self.about.setdefault(observer, []), now, belief)


def _belief_after(effect: MemberEvent) -> Belief:
    if isinstance(effect, MemberSuspected | SuspicionConfirmed):
        return Belief.SUSPECT
    if isinstance(effect, MemberReaped):
        return Belief.UNKNOWN
    return _OF_STATUS[effect.member.status]


def _change(changes: Changes, now: float, value: int) -> None:
    if not changes or changes[-1][1] != value:
        changes.append((now, value))
