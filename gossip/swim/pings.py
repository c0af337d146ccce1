"""The pings of this node (serf-wire 2.1), with sequence numbers that cannot be guessed.

An ack with such a number proves that its sender received the ping. The source address of the ack proves
nothing, as members with several addresses answer from any of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.wire.codec import encode
from gossip.wire.messages import MAX_U32, IndirectPing, Ping

if TYPE_CHECKING:
    from random import Random

    from gossip.swim.member import Member


class Pings:
    """Writes the pings that the member `me` sends."""

    __slots__ = ("_me", "_rng")

    def __init__(self, me: Member, rng: Random) -> None:
        self._me = me
        self._rng = rng

    def new_seq(self) -> int:
        """Return a fresh sequence number, 1 to 2^32 - 1."""
        return int(self._rng.random() * MAX_U32) + 1

    def new(self, name: str) -> Ping:
        """Return a ping with a fresh sequence number that only `name` answers."""
        return self._numbered(self.new_seq(), name)

    def direct(self, seq: int, name: str) -> bytes:
        """Return a ping that only `name` answers, encoded."""
        return encode(self._numbered(seq, name))

    def indirect(self, seq: int, target: Member, *, nack: bool) -> bytes:
        """Return the request to ping `target`; with `nack`, the relay reports if there is no answer."""
        me, it = self._me.alive, target.alive
        return encode(IndirectPing(seq, it.addr, it.port, it.node, nack, me.addr, me.port, me.node))

    def _numbered(self, seq: int, name: str) -> Ping:
        me = self._me.alive
        return Ping(seq, name, me.addr, me.port, me.node)
