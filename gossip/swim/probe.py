"""One probe cycle: direct ping, then indirect and stream pings, then a verdict (SWIM 3.1, Lifeguard 4.1).

A `Probe` records the members asked and the answers; its owner decides when to evaluate them.
"""

from gossip.swim.evidence import ProbeRecord
from gossip.swim.member import Member
from gossip.wire.address import Address

MAX_REASON_LENGTH = 200
"""Characters kept of the reason that a stream failed; a peer may have chosen the text."""


class Probe:
    """The cycle in progress for one target."""

    __slots__ = (
        "_is_acked",
        "_is_answered_by_stream",
        "_nacks",
        "_nacks_expected",
        "_relays",
        "_stream",
        "deadline",
        "health",
        "incarnation",
        "seq",
        "started",
        "target",
    )

    def __init__(self, target: Member, seq: int, now: float, deadline: float, health: int = 0) -> None:
        self.target = target
        self.incarnation = target.incarnation  # a newer one seen during the cycle must not be accused
        self.seq = seq
        self.started = now
        self.deadline = deadline
        self.health = health  # our own, which stretched the deadline
        self._is_acked = False
        self._is_answered_by_stream = False
        self._relays: dict[Address, str] = {}  # names of the relays by address
        self._stream: str | None = None  # why the ping over a stream failed; "" while there is no answer
        self._nacks_expected = 0
        self._nacks: list[Address] = []  # sources of nacks, each once

    def ask(self, relay: Member, *, can_nack: bool) -> None:
        """Add a relay that was asked; with `can_nack` it must send a nack if its own ping is late."""
        self._relays[relay.address] = relay.name
        self._nacks_expected += can_nack

    def receive_ack(self, seq: int) -> bool:
        """Count an ack, direct or relayed; return whether it ends this cycle."""
        if seq != self.seq:
            return False
        self._is_acked = True
        return True

    def receive_nack(self, seq: int, source: Address) -> None:
        """Count a relay's nack: the relay is alive and so is our link to it.

        Each source counts once, however often the network repeats its packet. It need not be an address of a
        relay: a relay may have several addresses.
        """
        is_owed = len(self._nacks) < self._nacks_expected
        if seq == self.seq and is_owed and source not in self._nacks:
            self._nacks.append(source)

    def receive_stream_ack(self, seq: int) -> None:
        """Remember that the target answered over a stream: alive, but datagrams do not pass."""
        if seq == self.seq:
            self._is_answered_by_stream = True

    def try_stream(self) -> None:
        """Remember that the target is pinged over a stream as well."""
        self._stream = ""

    def receive_stream_failure(self, seq: int, reason: str) -> None:
        """Remember why there is no stream to the target."""
        if seq == self.seq:
            self._stream = reason[:MAX_REASON_LENGTH]

    @property
    def succeeded(self) -> bool:
        """Whether the target answered by any path."""
        return self._is_acked or self._is_answered_by_stream

    @property
    def health_delta(self) -> int:
        """The change in local health: -1 for an answer, else the number of missing nacks.

        If no relay supports nacks, a failure counts as 1.
        """
        if self.succeeded:
            return -1
        return self._nacks_expected - len(self._nacks) if self._nacks_expected else 1

    def record(self) -> ProbeRecord:
        """Return the record of a failed cycle."""
        nacked = tuple(self._relays.get(source, str(source)) for source in self._nacks)
        relays = tuple(self._relays.values())
        return ProbeRecord(self.started, relays, nacked, self.deadline, self.health, self._stream)
