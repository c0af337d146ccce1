"""Checks of the paths to one member, on demand: a small datagram, a full one, and a stream.

The checks help an operator to find a fault; the failure detector does not use their results. Each is
memberlist's own ping (serf-wire 1.4), which every peer answers; the full one carries an extra field, which
peers skip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.swim.deadlines import Timer
from gossip.swim.effects import Effect, OpenStreamPing, PathsChecked
from gossip.wire.codec import encode, padded_ping

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.swim.config import SwimConfig
    from gossip.swim.member import Member
    from gossip.swim.piggyback import Piggyback
    from gossip.swim.pings import Pings
    from gossip.swim.runtime import Runtime


class PathCheckLate(Timer, frozen=True, gc=False):
    """The answers to the checks of the member `name` are late."""

    name: str


MAX_PATH_CHECKS = 32
"""Members whose paths may be checked at the same time; each costs two datagrams and a stream."""
SMALL, FULL, STREAM = range(3)


class PathCheck:
    """The checks of one member in progress: the number of each ping, and the answers so far."""

    __slots__ = ("answered", "seqs")

    def __init__(self, seqs: tuple[int, int, int]) -> None:
        self.seqs = seqs
        self.answered = [False, False, False]


class PathChecks:
    """All checks under way, by the name of the member."""

    __slots__ = ("_checks", "_config", "_emit", "_piggyback", "_pings", "_runtime")

    def __init__(
        self,
        config: SwimConfig,
        pings: Pings,
        piggyback: Piggyback,
        runtime: Runtime,
        emit: Callable[[Effect], None],
    ) -> None:
        self._config = config
        self._pings = pings
        self._piggyback = piggyback
        self._runtime = runtime
        self._emit = emit
        self._checks: dict[str, PathCheck] = {}

    def begin(self, member: Member, now: float) -> bool:
        """Send the pings; `PathsChecked` follows within a probe interval. False: in progress, or too many.

        The full datagram is as long as the longest that gossip sends. Its padding is random, so that
        compression cannot shorten it.
        """
        name = member.name
        if name in self._checks or len(self._checks) >= MAX_PATH_CHECKS:
            return False
        small, full, stream = (self._pings.new(name) for _ in range(3))
        length = self._config.packet_budget - self._config.packet_overhead
        deadline = now + self._config.probe_interval
        self._checks[name] = PathCheck((small.seq, full.seq, stream.seq))
        self._piggyback.send_alone(member.address, encode(small))
        self._piggyback.send_alone(member.address, padded_ping(full, length, self._runtime.rng.randbytes))
        self._emit(OpenStreamPing(member.address, name, stream.seq, encode(stream), deadline))
        self._runtime.deadlines.set(PathCheckLate(name), deadline)
        return True

    def receive_ack(self, seq: int) -> None:
        """Handle an ack by datagram or stream; ignore it if it is for another ping."""
        for name, check in self._checks.items():
            if seq in check.seqs:
                check.answered[check.seqs.index(seq)] = True
                if all(check.answered):
                    self.finish(name)
                return

    def finish(self, name: str) -> None:
        """Emit the results of a member's checks, once all are answered or the time is up."""
        self._runtime.deadlines.cancel(PathCheckLate(name))
        small, full, stream = self._checks.pop(name).answered
        self._emit(PathsChecked(name, small, full, stream))
