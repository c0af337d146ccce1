"""Replay of a recording: the core starts in the recorded state and gets the same inputs in the same order.

The core reads no clock and draws only from its own generator, so it must emit the same effects and end in the
same state. If it does not, the replay reports where it left the recorded path.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from gossip.errors import GossipError
from gossip.recording.graph import digest, dump_state, load_state, load_value
from gossip.recording.recorder import (
    EFFECTS,
    HANDLE_TIMEOUT,
    NEXT_DEADLINE,
    RECEIVE_PACKET,
    VERBS,
    fingerprint,
)
from gossip.recording.recording import Recording
from gossip.recording.rows import RecordingError, hostile, unpack_rows
from gossip.serf.effects import Effect
from gossip.serf.node import SerfNode
from gossip.wire.address import Address

MAX_TIME = 1e10
"""Seconds; no clock shows a later time, and adding an interval to it might not change it."""


class Step(Struct, frozen=True):
    """One recorded call and its outcome; `now` is None for calls that take no time."""

    number: int
    verb: str
    args: tuple[object, ...]
    named: dict[str, object]
    now: float | None
    error: str = ""
    effects: tuple[Effect, ...] = ()


class Replay:
    """Replays a recording, step by step."""

    def __init__(self, recording: Recording) -> None:
        """Start in the recorded state.

        Raises:
            RecordingError: the state cannot be restored.
        """
        self.node: SerfNode = load_state(recording.state)
        self.counts = dict.fromkeys(VERBS, 0)
        self.effects = 0
        self.differences: list[str] = []  # where the replay left the recorded path; the first one matters
        self.is_complete = False  # whether the whole recording was replayed
        self.began: float | None = None
        self.now = 0.0  # time of the last input that had one
        self._recording = recording
        self.steps = 0

    def run(self, until: float = inf) -> Iterator[Step]:
        """Replay step by step, up to `until` seconds after the first input.

        Raises:
            RecordingError: an input is broken, or makes the core fail.
        """
        for number, stretch in enumerate(self._recording.stretches, 1):
            for row in unpack_rows(stretch.inputs):
                step = self._read(row)
                if step.now is not None:
                    self.began = step.now if self.began is None else self.began
                    if step.now - self.began > until:
                        return
                    self.now = step.now
                yield self._feed(step)
            with hostile(f"the state after window {number} is broken"):
                reached = digest(dump_state(self.node))
            if reached != stretch.digest:
                self.differences.append(f"the state after window {number} differs from the recorded one")
        self.is_complete = True

    def _read(self, row: object) -> Step:
        """Return the call in `row`, checked far enough that trying it can do no harm."""
        self.steps += 1
        if not isinstance(row, list) or not row or type(row[0]) is not int or not 0 <= row[0] < len(VERBS):
            raise self._broken("names no call")
        number, rest = row[0], row[1:]
        verb = VERBS[number]
        if number == RECEIVE_PACKET:
            if len(rest) != 4 or not isinstance(rest[0], list):
                raise self._broken("is not a packet")
            return self._checked(verb, (tuple(rest[0]), Address(rest[1], rest[2]), rest[3]), {})
        if number == EFFECTS:
            return Step(self.steps, verb, tuple(rest), {}, None)
        if number in (HANDLE_TIMEOUT, NEXT_DEADLINE):
            return self._checked(verb, tuple(rest), {})
        if len(rest) != 2 or not isinstance(rest[0], list) or not isinstance(rest[1], dict):
            raise self._broken("is not a command")
        named = {name: load_value(value) for name, value in rest[1].items()}
        return self._checked(verb, tuple(map(load_value, rest[0])), named)

    def _checked(self, verb: str, args: tuple[object, ...], named: dict[str, object]) -> Step:
        try:
            now = _CALLS[verb].bind(self.node, *args, **named).arguments.get("now")
        except TypeError as error:
            raise self._broken(str(error)) from None
        if now is None:
            return Step(self.steps, verb, args, named, None)
        if not isinstance(now, float | int) or not abs(now) < MAX_TIME or now < self.now:
            raise self._broken(f"is at {now!r:.40}, after {self.now}")
        return Step(self.steps, verb, args, named, now)

    def _feed(self, step: Step) -> Step:
        self.counts[step.verb] += 1
        if step.verb == VERBS[EFFECTS]:
            with hostile(f"input {step.number} produces broken effects"):
                effects = tuple(self.node.effects())
                found = fingerprint(effects)
            self.effects += len(effects)
            if (found,) != step.args:
                self.differences.append(f"input {step.number} produces other effects")
            return replace(step, effects=effects)
        try:
            with hostile(f"input {step.number} ({step.verb}) makes the core fail"):
                getattr(self.node, step.verb)(*step.args, **step.named)
        except RecordingError:
            raise
        except GossipError as error:
            return replace(step, error=str(error))
        return step

    def _broken(self, what: str) -> RecordingError:
        return RecordingError(f"input {self.steps} {what}")


_CALLS = {verb: signature(getattr(SerfNode, verb)) for verb in VERBS}
