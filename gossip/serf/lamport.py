"""Lamport clocks (Lamport 1978; Serf `lamport.go`): order without wall clocks.

Serf starts each of its three clocks at 1, so that 0 can mean "never".
"""

from gossip.errors import RemoteProtocolError
from gossip.wire.serf_messages import MAX_U64

LAST_TIME = MAX_U64 - 1
"""The last time that anybody may stamp on a message: a peer must be able to step past it."""


class LamportClock:
    """A counter that is never behind what it has witnessed; at `LAST_TIME` it stands still."""

    __slots__ = ("time",)

    def __init__(self) -> None:
        self.time = 1

    def increment(self) -> int:
        """Return the present time and step past it: the stamp of something of our own."""
        stamp = self.time
        self.time = min(stamp + 1, LAST_TIME)
        return stamp

    def witness(self, time: int) -> None:
        """Step past `time`, seen in a message.

        Raises:
            RemoteProtocolError: `time` is the last 64-bit number; stepping past it would wrap on peers.
        """
        if time < self.time:
            return  # by far the most
        if time > LAST_TIME:
            raise RemoteProtocolError(f"lamport time {time} leaves no room for a later one")
        self.time = min(time + 1, LAST_TIME)
