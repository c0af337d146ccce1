"""Why a member is held gone: what stood behind a death at the moment it was declared.

A suspicion ends with the death, and the probe cycle before it; these values are what remains of both. They
change nothing in the protocol (SWIM section 4.2, Lifeguard 4.2); they answer a person's "who said so?".
"""

from msgspec import Struct


class ProbeRecord(Struct, frozen=True, gc=False):
    """A failed probe of our own. Relays that could not be matched to a member stand as ``host:port``."""

    started: float
    """Monotonic seconds."""
    relays: tuple[str, ...]
    """Members that were asked to try for us; at most `indirect_checks`."""
    nacked: tuple[str, ...]
    """Those that answered that they, too, got nothing. The rest were silent: our own link may be bad."""


class Evidence(Struct, frozen=True, gc=False):
    """Who said that a member is gone, and who had suspected it."""

    reporter: str = ""
    """Who declared it; the member's own name if it left by its own word."""
    accuser: str = ""
    """Who suspected it first; empty if this node had heard of no suspicion, or only by a push/pull."""
    witnesses: tuple[str, ...] = ()
    """Who confirmed the suspicion, in the order of arrival."""
    suspected_at: float = 0.0
    """When the suspicion began here, monotonic seconds; 0 if there was none."""
    probe: ProbeRecord | None = None
    """This node's own last failed probe during the suspicion, or the one that began it."""
