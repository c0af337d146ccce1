"""Lamport clocks (Lamport 1978; Serf `lamport.go`): order without wall clocks.

Serf starts each of its three clocks at 1, so that 0 can mean "never". A clock follows the times that it
sees in messages. A forged time could use up its 64 bits, so the advance per message is limited.
"""

from gossip.errors import RemoteProtocolError
from gossip.wire.serf_messages import MAX_U64

LAST_TIME = MAX_U64 - 1
"""The highest time that a message may carry; a peer must be able to step past it."""

MAX_TIME_AHEAD = 2**32
"""How far a message may be ahead of the clock.

Members in contact differ only by the messages stamped since they last heard each other. Clusters that merge
differ by all messages that either has ever sent: 2^32 is one a second for 136 years. Exhausting a clock takes
2^32 forged messages.
"""

MAX_JOIN_TIME = 2**63
"""The highest clock that this node adopts from a cluster that it asked to join.

Forged messages need years to push a cluster's clocks above it, so a cluster under attack can still be joined.
"""


class LamportClock:
    """A counter that is never behind the times it has witnessed; it stops at `LAST_TIME`."""

    __slots__ = ("time",)

    def __init__(self, last: int = 0) -> None:
        """Start after `last`, the last time of an earlier life; `LAST_TIME` if that is later."""
        self.time = min(last + 1, LAST_TIME)

    @property
    def latest(self) -> int:
        """The highest time that a message may currently carry."""
        return min(self.time + MAX_TIME_AHEAD, LAST_TIME)

    @property
    def latest_overheard(self) -> int:
        """The highest time that a push/pull may currently carry.

        A push/pull is not passed on: members that do not know its times must accept the next message of ours.
        """
        return self.latest - 1

    def increment(self) -> int:
        """Return the current time and step past it, to stamp a message of our own."""
        stamp = self.time
        self.time = min(stamp + 1, LAST_TIME)
        return stamp

    def witness(self, time: int) -> None:
        """Step past `time`, seen in a message.

        Raises:
            RemoteProtocolError: `time` is more than `MAX_TIME_AHEAD` ahead, or the last 64-bit number, past
                which no peer could step.
        """
        if time >= self.time:  # most messages carry an older time
            self._step_past(time, self.latest)

    def overhear(self, time: int) -> None:
        """Step past `time`, seen in a push/pull.

        Raises:
            RemoteProtocolError: `time` is after `latest_overheard`.
        """
        if time >= self.time:
            self._step_past(time, self.latest_overheard)

    def join(self, time: int) -> None:
        """Step past `time`, the clock of a cluster that this node asked to join.

        Raises:
            RemoteProtocolError: `time` is after `MAX_JOIN_TIME`, and not within reach of `witness`.
        """
        if time >= self.time:
            self._step_past(time, max(self.latest, MAX_JOIN_TIME))

    def _step_past(self, time: int, latest: int) -> None:
        if time > latest:
            raise RemoteProtocolError(
                f"lamport time {time} is too far ahead of {self.time}: expected at most {latest}"
            )
        self.time = min(time + 1, LAST_TIME)
