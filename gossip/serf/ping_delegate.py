"""Network coordinates in acks: sending our own, learning from others (Serf `ping_delegate.go`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.serf.coordinate import MAX_RTT, CoordinateClient, median_rtt
from gossip.wire.coordinate_codec import decode_coordinate, encode_coordinate

if TYPE_CHECKING:
    from random import Random

    from gossip.serf.roster import Roster
    from gossip.wire.coordinate_codec import Coordinate


class CoordinatePings:
    """Maintains this node's coordinate; the coordinates of other members are kept in their rows."""

    __slots__ = ("_client", "_me", "_payload", "_roster")

    def __init__(self, me: str, roster: Roster, rng: Random) -> None:
        self._me = me
        self._roster = roster
        self._client = CoordinateClient(rng)
        self._payload = b""  # the encoded coordinate, made when first needed

    @property
    def resets(self) -> int:
        """How often this node's coordinate became invalid and was reset to the origin."""
        return self._client.resets

    def ack_payload(self) -> bytes:
        """Return this node's coordinate, encoded once for each change."""
        if not self._payload:
            self._payload = encode_coordinate(self._client.coordinate)
        return self._payload

    def ping_completed(self, name: str, rtt: float, payload: bytes) -> None:
        """Learn from the answer of the member `name` to a ping, `rtt` seconds later.

        Raises:
            RemoteProtocolError: `payload` is not a possible coordinate; nothing changed.
        """
        member = self._roster.members.get(name)
        if member is None or not 0.0 <= rtt <= MAX_RTT:
            return  # pruned while it was leaving, or too slow to say anything about the network
        coordinate = decode_coordinate(payload)
        member.rtts, median = median_rtt(member.rtts, rtt)
        member.coordinate = coordinate
        self._client.update(coordinate, median)
        self._payload = b""

    def coordinate(self, name: str) -> Coordinate | None:
        """Return the coordinate of this node or of a member, None if it has reported none."""
        if name == self._me:
            return self._client.coordinate
        member = self._roster.members.get(name)
        return member.coordinate if member is not None else None
