"""The state that survives a restart: clocks and addresses (Serf `snapshot.go`; serf-wire 5.9).

The core only takes and returns this value. Writing it to a file, and reading it back, is the agent's work.
"""

from msgspec import Struct

from gossip.wire.address import Address


class KnownPeer(Struct, frozen=True, gc=False):
    """Another member and the address at which it was last known."""

    name: str
    address: Address


class SavedState(Struct, frozen=True, gc=False, kw_only=True):
    """The state that survives a restart; the default is that of a first start."""

    member_time: int = 0
    """Last Lamport time of an intent that was stamped or witnessed, 0 for none (a snapshot's ``clock``)."""
    event_time: int = 0
    """The same for user events (``event-clock``); events up to this time are not delivered again."""
    query_time: int = 0
    """The same for queries (``query-clock``)."""
    peers: tuple[KnownPeer, ...] = ()
    """The other members that were alive, to be asked first; members that left are not included."""
    failed: tuple[KnownPeer, ...] = ()
    """Members being looked for: they had failed, or had not been heard since an earlier life."""


FIRST_START = SavedState()
"""The state of a member without an earlier life."""
