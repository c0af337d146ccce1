"""A run as lines of text, nodes by time: one letter for each node's belief in each slice of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from gossip.cli.simulator.beliefs import Belief, Mood

if TYPE_CHECKING:
    from gossip.cli.simulator.beliefs import Beliefs, Changes


class Key(Struct, frozen=True):
    """The presentation of a value: a letter, a terminal colour, a picture colour, and its meaning."""

    letter: str
    style: str
    colour: str
    meaning: str


MOOD_KEYS: Mapping[int, Key] = {
    Mood.DOWN: Key(" ", "bright_black", "#d8d8d8", "no agent"),
    Mood.RIGHT: Key("·", "green", "#4caf50", "correct about everybody"),
    Mood.BEHIND: Key("o", "blue", "#5b8def", "behind: has missed a change"),
    Mood.SUSPICIOUS: Key("?", "yellow", "#f0b400", "suspects a running agent"),
    Mood.WRONG: Key("X", "red", "#d93025", "holds a running agent failed or left"),
}
BELIEF_KEYS: Mapping[int, Key] = {
    -1: Key(" ", "bright_black", "#d8d8d8", "no agent"),
    Belief.UNKNOWN: Key("-", "white", "#f4f4f4", "unknown"),
    Belief.ALIVE: Key("·", "green", "#4caf50", "alive"),
    Belief.SUSPECT: Key("?", "yellow", "#f0b400", "suspect"),
    Belief.LEAVING: Key("l", "cyan", "#8fc9d9", "leaving"),
    Belief.LEFT: Key("L", "blue", "#5b8def", "left"),
    Belief.FAILED: Key("X", "red", "#d93025", "failed"),
}


class Cell(Struct, frozen=True):
    """One letter of the timeline, with its colour."""

    letter: str
    style: str


def rows_of(beliefs: Beliefs, about: str) -> tuple[Mapping[str, Changes], Mapping[int, Key]]:
    """Return the changes to show, per node in order of name, and the key to their values."""
    changes, keys = (beliefs.about, BELIEF_KEYS) if about else (beliefs.moods, MOOD_KEYS)
    names = sorted(changes, key=lambda name: (len(name), name))
    return {name: changes[name] for name in names}, keys


def timeline(
    changes: Mapping[str, Changes], keys: Mapping[int, Key], ended: float, width: int
) -> dict[str, list[Cell]]:
    """Return a row of `width` cells for each node; a cell shows the worst value in its slice of time."""
    cells = {value: Cell(key.letter, key.style) for value, key in keys.items()}
    slices = {name: _slices(each, ended, width) for name, each in changes.items()}
    return {name: [cells[value] for value in values] for name, values in slices.items()}


def _slices(changes: Changes, ended: float, width: int) -> list[int]:
    values: list[int] = []
    current = min(changes[0][1], 0) if changes else 0
    position = 0
    for column in range(width):
        end = ended * (column + 1) / width
        worst: int | None = None
        while position < len(changes) and changes[position][0] < end:
            current = changes[position][1]
            worst = current if worst is None else max(worst, current)
            position += 1
        values.append(current if worst is None else worst)
    return values
