"""Effects: SWIM's requests to its driver, as values.

A driver drains `effects()` after every input and carries each one out. The direct message comes first in a
packet; the rest is piggyback.
"""

from msgspec import Struct

from gossip.wire.address import Address


class SendPacket(Struct, frozen=True, gc=False):
    """Send `parts` as one datagram; `crc` only towards peers known to understand protocol 5."""

    to: Address
    parts: tuple[bytes, ...]
    crc: bool = False


class OpenPushPull(Struct, frozen=True, gc=False):
    """Open a stream to `to`, send `local_state(join=join)`, and merge the reply, with `replay`.

    Replay even for a join: this node asks a member that it knows, and has missed the events since.
    """

    to: Address
    node: str
    join: bool


class OpenStreamPing(Struct, frozen=True, gc=False):
    """Send the encoded `ping` over a stream; report a matching ack until `deadline` (same clock as `now`)."""

    to: Address
    node: str
    seq: int
    ping: bytes
    deadline: float


class BroadcastFinished(Struct, frozen=True, gc=False):
    """The broadcast enqueued under `token` was sent as often as it will be, or was replaced."""

    token: int


class MessageRejected(Struct, frozen=True, gc=False):
    """A peer's message broke the protocol and changed nothing; log it at a bounded rate."""

    source: str
    reason: str


class NameConflict(Struct, frozen=True, gc=False):
    """`theirs` claims the name of the member at `mine`; the claim was ignored."""

    name: str
    mine: Address
    theirs: Address


class PingFromElsewhere(Struct, frozen=True, gc=False):
    """A ping in the name of `node` came from a host other than the one that the member announces."""

    node: str
    source: Address


class PathsChecked(Struct, frozen=True, gc=False):
    """Which pings of a check `node` answered: a small datagram, one of full length, one over a stream."""

    node: str
    small: bool
    full: bool
    stream: bool


Effect = (
    SendPacket
    | OpenPushPull
    | OpenStreamPing
    | BroadcastFinished
    | MessageRejected
    | NameConflict
    | PingFromElsewhere
    | PathsChecked
)
