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
    """Where an accusation came from."""

    channel: Channel = Channel.GOSSIP
    sender: str = ""
    """The sender: a member's name, else ``host:port``; empty for our own probe."""


class ProbeRecord(Struct, frozen=True, gc=False):
    """A failed probe of our own. Relays that could not be matched to a member stand as ``host:port``."""

    started: float
    """When the direct ping was sent, monotonic seconds."""
    relays: tuple[str, ...]
    """Relays that were asked for an indirect ping; at most `indirect_checks`."""
    nacked: tuple[str, ...]
    """Relays that sent a nack. The others were silent, so our own link may be bad."""
    deadline: float = 0.0
    """Until when an answer by any path would have counted, monotonic seconds."""
    health: int = 0
    """Lifeguard's local health when the probe began, 0 (healthy) upwards; it stretched the deadline."""
    stream: str | None = None
    """Why the ping over a stream failed; empty for no answer, None if no such ping was sent."""


class Evidence(Struct, frozen=True, gc=False):
    """The reporters of a suspicion or failure, and its course."""

    reporter: str = ""
    """The last member to suspect, confirm or declare it; the member itself if it refuted or left."""
    accuser: str = ""
    """The first to suspect it; empty without a suspicion, or if it came by push/pull."""
    witnesses: tuple[str, ...] = ()
    """The members that confirmed the suspicion, in order of arrival."""
    suspected_at: float = 0.0
    """When the suspicion began here, monotonic seconds; 0 if there was none."""
    probe: ProbeRecord | None = None
    """This node's own last failed probe during the suspicion, or the one that began it."""
    origin: Origin = Origin()
    """How the suspicion came to this node."""
    deadline: float = 0.0
    """Until when the member may refute, monotonic seconds; each confirmation brings it closer."""
    minimum: float = 0.0
    """Seconds after which a suspicion ends once all confirmations that count have come."""
    confirmations: int = 0
    """How many confirmations count; with 0 the suspicion lasts `minimum` seconds."""
    health: int = 0
    """This node's local health when the suspicion began; above 0 it may have been at fault itself."""
    incarnation: int = 0
    """The member's incarnation that is suspected or gone, or the one with which it refuted."""
