"""Signs of possible faults that an agent notices in passing; only `gossip doctor` reads them.

Everything is kept per peer or in short lists, within limits; a flood of one kind of symptom drops its oldest.
"""

from collections import deque
from collections.abc import Sequence
from typing import TypeVar

from msgspec import Struct

from gossip.serf.effects import Effect
from gossip.swim.effects import MessageRejected, NameConflict, PingFromElsewhere
from gossip.wire.address import Address

MAX_SYMPTOMS = 256
"""Peers, or names, with one kind of symptom."""
MAX_DATAGRAM_SOURCES = 32_768
"""Members' addresses whose latest datagram is remembered: twice the number of members."""
MAX_DELAYS = 64
"""Late wake-ups that are remembered."""
NOTEWORTHY_DELAY = 0.1
"""Late wake-ups are remembered from this many seconds."""
WINDOW = 600.0
"""Seconds for which a symptom counts."""


T = TypeVar("T")


class Complaint(Struct):
    """A peer's fault: the latest, how many, and when."""

    reason: str
    count: int
    at: float


class Conflict(Struct):
    """Another agent with the name of a member."""

    mine: Address
    theirs: Address
    count: int
    at: float


class Delay(Struct, frozen=True, gc=False):
    """The event loop woke up `late` seconds after it should have."""

    late: float
    at: float


class Symptoms:
    """Everything noticed in the last ten minutes, and when peers were last heard."""

    def __init__(self, now: float) -> None:
        self.since = now
        self.datagrams: dict[Address, float] = {}  # when each member's address was last heard
        self.streams: dict[str, float] = {}  # when each host last opened a stream to this agent
        self.complaints: dict[str, Complaint] = {}  # by host
        self.conflicts: dict[str, Conflict] = {}  # by name
        self.elsewhere: dict[str, tuple[Address, float]] = {}  # by name: the source of its pings
        self.delays: deque[Delay] = deque(maxlen=MAX_DELAYS)

    def datagram(self, source: Address, now: float) -> None:
        """A readable datagram came from the address of a member."""
        self.datagrams[source] = now
        if len(self.datagrams) > MAX_DATAGRAM_SOURCES:
            del self.datagrams[next(iter(self.datagrams))]

    def complaint(self, peer: str, reason: str, now: float) -> None:
        """The peer at `peer` (host:port) broke the protocol."""
        host = peer.rpartition(":")[0]
        known = self.complaints.pop(host, None)
        self.complaints[host] = Complaint(reason, known.count + 1 if known else 1, now)
        _drop_oldest(self.complaints)

    def stream(self, peer: str, now: float) -> None:
        """The peer at `peer` (host:port) opened a stream to this agent."""
        host = peer.rpartition(":")[0]
        self.streams.pop(host, None)
        self.streams[host] = now
        _drop_oldest(self.streams)

    def woke(self, late: float, now: float) -> None:
        """The event loop woke up `late` seconds after the deadline."""
        if late >= NOTEWORTHY_DELAY:
            self.delays.append(Delay(late, now))

    def observe(self, effects: Sequence[Effect], now: float) -> None:
        """Process a batch of the node's effects."""
        for effect in effects:
            if isinstance(effect, NameConflict):
                known = self.conflicts.pop(effect.name, None)
                count = known.count + 1 if known else 1
                self.conflicts[effect.name] = Conflict(effect.mine, effect.theirs, count, now)
                _drop_oldest(self.conflicts)
            elif isinstance(effect, PingFromElsewhere):
                self.elsewhere.pop(effect.node, None)
                self.elsewhere[effect.node] = effect.source, now
                _drop_oldest(self.elsewhere)
            elif isinstance(effect, MessageRejected) and ":" in effect.source:
                self.complaint(effect.source, effect.reason, now)

    def prune(self, now: float) -> None:
        """Forget symptoms that are too old."""
        start = now - WINDOW
        self.complaints = {host: each for host, each in self.complaints.items() if each.at >= start}
        self.conflicts = {name: each for name, each in self.conflicts.items() if each.at >= start}
        self.elsewhere = {name: each for name, each in self.elsewhere.items() if each[1] >= start}
        while self.delays and self.delays[0].at < start:
            self.delays.popleft()


def _drop_oldest(kept: dict[str, T]) -> None:
    """Drop the oldest entry of `kept` if there is one too many."""
    if len(kept) > MAX_SYMPTOMS:
        del kept[next(iter(kept))]
