"""A recorded node to be driven by tests, and a replay of what was recorded of it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from gossip.recording.graph import dump_state
from gossip.recording.recorder import Recorder, record
from gossip.recording.recording import Recording, decode_recording, encode_recording
from gossip.recording.replay import Replay
from gossip.serf.config import SerfConfig
from gossip.serf.node import LocalMember, SerfNode
from tests.serf.rig import ME, PORT, host

START = 1000.0


def new_node(seed: int = 1) -> SerfNode:
    return SerfNode(
        SerfConfig(), LocalMember(ME, host(ME), PORT, {"role": "web"}), rng=Random(seed), now=START
    )


class Recorded:
    """A node, its recorder, and the node as a driver holds it."""

    def __init__(self, node: SerfNode | None = None, **limits: int) -> None:
        self.bare = node or new_node()
        self.recorder = Recorder(self.bare, **limits)
        self.node = record(self.bare, self.recorder)
        self.now = START

    def settle(self) -> None:
        """Do what a driver does after each input."""
        while self.node.effects():
            pass
        self.node.next_deadline()

    def advance(self, seconds: float) -> None:
        """Let time pass; timers fire when they are due."""
        end = self.now + seconds
        while (deadline := self.node.next_deadline()) <= end:
            self.now = max(self.now, deadline)
            self.node.handle_timeout(self.now)
            self.settle()
        self.now = end

    def dump(self) -> Recording:
        return decode_recording(encode_recording(self.recorder.snapshot(), "2024-11-22T17:45:00Z", START))

    def replayed(self) -> Replay:
        """Return a replay that has gone through all of it, whatever it found."""
        replay = Replay(self.dump())
        for _ in replay.run():
            pass
        return replay

    def check(self) -> Replay:
        """Replay, and compare everything."""
        replay = self.replayed()
        assert replay.is_complete
        assert replay.differences == []
        assert dump_state(replay.node) == dump_state(self.bare)
        return replay


def outcome(call: Callable[[], object]) -> str:
    """Return what a call raises or returns, in words."""
    try:
        return repr(call())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
