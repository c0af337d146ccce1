"""What each node believes over time, compared with the truth: the data of timelines and pictures.

Every node has a mood at each moment: the worst error in its view. If the run is about one member, the node
has a belief about that member instead.
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
    """The state in which one node believes another to be."""

    UNKNOWN = 0
    ALIVE = 1
    SUSPECT = 2
    LEAVING = 3
    LEFT = 4
    FAILED = 5


class Mood(IntEnum):
    """The worst error in a node's view, from harmless to serious; `DOWN` if there is no agent."""

    DOWN = 0
    RIGHT = 1
    """It believes that all running agents are alive, and no others."""
    BEHIND = 2
    """It does not know a member yet, or still believes that one is alive which is gone."""
    SUSPICIOUS = 3
    """It suspects a running agent, or believes that it is leaving."""
    WRONG = 4
    """It believes that a running agent has failed or left."""


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
"""The times of changes with the new values, in order of time."""


class Beliefs(Observer):
    """Records beliefs; `moods` and `about` grow during the run."""

    def __init__(self, about: str = "") -> None:
        self.moods: dict[str, Changes] = {}
        self.about: dict[str, Changes] = {}  # each node's belief about the one member in question
        self.notes: list[tuple[float, str]] = []
        self._subject = about
        self._held: dict[str, dict[str, Belief]] = {}  # beliefs of nodes that are up
        self._up: dict[str, None] = {}
        self._counts: dict[str, list[int]] = {}  # per node, the number of members that cause each mood

    def started(self, host: Host, now: float) -> None:
        """A new node knows no members, and the others do not know that it is up."""
        self._turn(host.name, now, is_up=True)

    def stopped(self, host: Host, now: float) -> None:
        """A node that is down has no beliefs."""
        self._turn(host.name, now, is_up=False)

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """Record each change of a belief."""
        for effect in effects:
            if isinstance(effect, MemberEvent):
                self._believe(host.name, effect.member.name, _belief_after(effect), now)

    def happened(self, what: str, now: float) -> None:
        """Record a command or a fault."""
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
