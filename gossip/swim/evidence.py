"""Why a member is suspected or held gone: what this node heard of it, from whom, and what it tried itself.

These values change nothing in the protocol (SWIM section 4.2, Lifeguard 4.1 and 4.2); they answer a person's
"who said so?". They are made when a suspicion begins, is confirmed, refuted or ends in a death.
"""

from enum import Enum

from msgspec import Struct


class Channel(Enum):
    """How the word that began a suspicion reached this node."""

    OWN_PROBE = "own probe"
    GOSSIP = "gossip"
    PUSH_PULL = "push/pull"


class Origin(Struct, frozen=True, gc=False):
    """Where an accusation came from."""

    channel: Channel = Channel.GOSSIP
    sender: str = ""
    """Who handed it to this node: a member's name, else ``host:port``; empty for our own probe."""


class ProbeRecord(Struct, frozen=True, gc=False):
    """A failed probe of our own. Relays that could not be matched to a member stand as ``host:port``."""

    started: float
    """When the direct ping was sent, monotonic seconds."""
    relays: tuple[str, ...]
    """Members that were asked to try for us; at most `indirect_checks`."""
    nacked: tuple[str, ...]
    """Those that answered that they, too, got nothing. The rest were silent: our own link may be bad."""
    deadline: float = 0.0
    """Until when an answer by any path would have counted, monotonic seconds."""
    health: int = 0
    """Lifeguard's local health when the probe began, 0 (healthy) upwards; it stretched the deadline."""
    stream: str | None = None
    """What came of the ping over a stream: why it failed, empty for silence; None if none was sent."""


class Evidence(Struct, frozen=True, gc=False):
    """Who says that a member is suspected, or gone, and what came before."""

    reporter: str = ""
    """Who suspected, confirmed or declared it last; the member itself if it refuted or left."""
    accuser: str = ""
    """Who suspected it first; empty if this node had heard of no suspicion, or only by a push/pull."""
    witnesses: tuple[str, ...] = ()
    """Who confirmed the suspicion, in the order of arrival."""
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
    """This node's local health when the suspicion began: above 0 it doubted itself."""
    incarnation: int = 0
    """The member's incarnation that is suspected or gone, or the one with which it refuted."""
