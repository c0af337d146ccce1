"""One probe cycle: direct ping, then indirect and stream pings, then a verdict (SWIM 3.1, Lifeguard 4.1).

A `Probe` only remembers and counts; when to ask for its verdict is its owner's business.
"""

from gossip.swim.member import Member


class Probe:
    """The cycle in progress for one target."""

    __slots__ = (
        "_is_acked",
        "_is_answered_by_stream",
        "_nacked",
        "_nacks_expected",
        "deadline",
        "incarnation",
        "seq",
        "started",
        "target",
    )

    def __init__(self, target: Member, seq: int, now: float, deadline: float) -> None:
        self.target = target
        self.incarnation = target.incarnation  # a newer one during the cycle must not be accused
        self.seq = seq
        self.started = now
        self.deadline = deadline
        self._is_acked = False
        self._is_answered_by_stream = False
        self._nacks_expected = 0
        self._nacked = 0

    def expect_nack(self) -> None:
        """One more relay promised a nack if its own ping is late."""
        self._nacks_expected += 1

    def receive_ack(self, seq: int) -> bool:
        """Count an ack, direct or relayed; return whether it ends this cycle."""
        if seq != self.seq:
            return False
        self._is_acked = True
        return True

    def receive_nack(self, seq: int) -> None:
        """Count a relay's nack: the relay lives and so does our link to it."""
        if seq == self.seq and self._nacked < self._nacks_expected:
            self._nacked += 1

    def receive_stream_ack(self, seq: int) -> None:
        """Remember that the target answered over a stream: alive, but datagrams do not pass."""
        if seq == self.seq:
            self._is_answered_by_stream = True

    @property
    def succeeded(self) -> bool:
        """Whether the target answered by any path."""
        return self._is_acked or self._is_answered_by_stream

    @property
    def health_delta(self) -> int:
        """What the cycle says about ourselves: -1 for an answer, else the nacks that stayed out.

        With no relay that could nack, a failure counts as one.
        """
        if self.succeeded:
            return -1
        return self._nacks_expected - self._nacked if self._nacks_expected else 1
