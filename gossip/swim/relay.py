"""Pings on behalf of other members, for their indirect probes (SWIM 3.1; nacks: Lifeguard 4.1)."""

from msgspec import Struct

from gossip.wire.address import Address


class Relay(Struct, frozen=True, gc=False):
    """The requester and its sequence number."""

    requester: Address
    seq: int
    wants_nack: bool


class Relays:
    """Relayed pings in flight, by our own sequence number; at most `limit` at a time."""

    __slots__ = ("_by_seq", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_seq: dict[int, Relay] = {}

    def __len__(self) -> int:
        """Return how many pings are in flight."""
        return len(self._by_seq)

    @property
    def is_full(self) -> bool:
        """Whether further requests are refused; the requester then counts this node as unreachable."""
        return len(self._by_seq) >= self._limit

    def add(self, seq: int, relay: Relay) -> None:
        """Remember that our ping `seq` was made for `relay`."""
        self._by_seq[seq] = relay

    def pop(self, seq: int) -> Relay | None:
        """Remove and return the relay of our ping `seq`, None if there is none."""
        return self._by_seq.pop(seq, None)
