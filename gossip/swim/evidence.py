"""Evidence for a suspicion or a failure: the reporters, and this node's own probes.

The protocol does not use these values (SWIM section 4.2, Lifeguard 4.1 and 4.2); they explain a failure to an
operator. They are made when a suspicion begins, is confirmed, is refuted, or ends in a failure.
"""

from enum import Enum

from msgspec import Struct


class Channel(Enum):
    """How the message that began a suspicion reached this node."""

    OWN_PROBE = "own probe"
    GOSSIP = "gossip"
    PUSH_PULL = "push/pull"


class Origin(Struct, frozen=True, gc=False):
    """The source of an accusation."""

    channel: Channel = Channel.GOSSIP
    sender: str = ""
    """The sender: a member's name, else ``host:port``; empty for our own probe."""


class ProbeRecord(Struct, frozen=True, gc=False):
    """A failed probe of our own. Relays that match no member are listed as ``host:port``."""

    started: float
    """When the direct ping was sent, monotonic seconds."""
    relays: tuple[str, ...]
    """Relays that were asked for an indirect ping; at most `indirect_checks`."""
    nacked: tuple[str, ...]
    """Relays that sent a nack. The others stayed silent, so our own link may be bad."""
    deadline: float = 0.0
    """When an answer by any path stopped counting, monotonic seconds."""
    health: int = 0
    """Lifeguard's local health when the probe began, 0 (healthy) upwards; it stretched the deadline."""
    stream: str | None = None
    """Why the ping over a stream failed; "" if it was not answered, None if no such ping was sent."""


class Evidence(Struct, frozen=True, gc=False):
    """The reporters of a suspicion or failure, and its course."""

    reporter: str = ""
    """The last member that suspected, confirmed or declared it; the member itself if it refuted or left."""
    accuser: str = ""
    """The first member that suspected it; empty without a suspicion, or if it came by push/pull."""
    witnesses: tuple[str, ...] = ()
    """The members that confirmed the suspicion, in order of arrival."""
    suspected_at: float = 0.0
    """When the suspicion began here, monotonic seconds; 0 if there was none."""
    probe: ProbeRecord | None = None
    """This node's own last failed probe during the suspicion, or the one that began it."""
    origin: Origin = Origin()
    """How the suspicion reached this node."""
    deadline: float = 0.0
    """Time by which the member must refute, monotonic seconds; each confirmation brings it closer."""
    minimum: float = 0.0
    """Length in seconds of a suspicion that has all the confirmations that count."""
    confirmations: int = 0
    """How many confirmations count; with 0 the suspicion lasts `minimum` seconds."""
    health: int = 0
    """This node's local health when the suspicion began; above 0, this node itself may have been at fault."""
    incarnation: int = 0
    """The incarnation that is suspected or gone, or the one with which the member refuted."""
