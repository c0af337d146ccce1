"""The seam between SWIM and the layer above it (memberlist `delegate.go` and the like).

SWIM calls these synchronously while it handles an input; an implementation changes its own state and emits
effects, and never calls back into SWIM, so that it can be constructed first.
"""

from typing import Protocol

from gossip.swim.evidence import Evidence
from gossip.swim.member import Member


class Delegate(Protocol):
    """Callbacks to the layer above, and that layer's contributions to packets and streams."""

    def member_joined(self, member: Member, now: float) -> None:
        """A member that was unknown, dead or left is alive."""

    def member_updated(self, member: Member, now: float) -> None:
        """An alive member changed its metadata."""

    def member_gone(self, member: Member, evidence: Evidence, now: float) -> None:
        """A member is dead or has left; a dead one may still turn out to have left."""

    def member_suspected(self, member: Member, evidence: Evidence, now: float) -> None:
        """A member did not answer the accuser; its name is empty if the suspicion came by push/pull."""

    def suspicion_confirmed(self, member: Member, evidence: Evidence, now: float) -> None:
        """The reporter could not reach the suspected member either."""

    def suspicion_refuted(self, member: Member, evidence: Evidence, now: float) -> None:
        """A suspected member announced itself with a greater incarnation."""

    def pending_broadcasts(self) -> int:
        """Return how many broadcasts of the upper layer are queued."""

    def take_broadcasts(self, budget: int, room: int) -> list[bytes]:
        """Return whole user messages (type byte included) that fit into `budget` bytes, plus two for each."""

    def broadcast_finished(self, token: int, now: float) -> None:
        """The broadcast queued under `token` was sent as often as it will be, or was replaced."""

    def ack_payload(self) -> bytes | None:
        """Return the payload of acks to members."""

    def ping_completed(self, name: str, rtt: float, payload: bytes) -> None:
        """The member `name` answered our ping after `rtt` seconds, and its answer carried `payload`.

        Raises:
            RemoteProtocolError: the payload is broken; nothing changed.
        """

    def local_user_state(self) -> bytes:
        """Return the upper layer's part of a push/pull."""
