"""Composes all outgoing packets: a direct message and queued broadcasts (SWIM section 4.1).

The space that a message leaves in its datagram is offered to queued broadcasts: SWIM's first, then those
of the layer above. The byte budget is enforced here; no other module composes packets. Output: `SendPacket`
effects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.swim.dissemination import (
    COMPOUND_ENTRY_BYTES,
    COMPOUND_HEADER_BYTES,
    BroadcastQueue,
)
from gossip.swim.effects import Effect, SendPacket
from gossip.swim.member import CRC_SINCE_PROTOCOL, Member
from gossip.wire.packet import MAX_PARTS_SENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.swim.config import SwimConfig
    from gossip.swim.delegate import Delegate
    from gossip.wire.address import Address


def packet_room(config: SwimConfig) -> int:
    """Return the bytes that messages may fill in a packet, including `COMPOUND_ENTRY_BYTES` for each."""
    return config.packet_budget - config.packet_overhead - COMPOUND_HEADER_BYTES


def longest_broadcast(config: SwimConfig) -> int:
    """Return the length of the longest broadcast, which takes a packet of its own, in bytes."""
    return packet_room(config) - COMPOUND_ENTRY_BYTES


class Piggyback:
    """Composes packets and emits them."""

    __slots__ = ("_budget", "_delegate", "_emit", "_queue", "limit")

    def __init__(
        self, config: SwimConfig, queue: BroadcastQueue, delegate: Delegate, emit: Callable[[Effect], None]
    ) -> None:
        self._budget = packet_room(config)
        self._queue = queue
        self._delegate = delegate
        self._emit = emit
        self.limit = 0  # transmissions per broadcast; the owner follows the size of the cluster

    def send(self, to: Address, message: bytes) -> None:
        """Send `message` to an address, with as much piggyback as fits."""
        extra: list[bytes] = []
        if self.pending():
            extra = self._take(self._budget - len(message) - COMPOUND_ENTRY_BYTES, MAX_PARTS_SENT - 1)
        self._emit(SendPacket(to, (message, *extra)))

    def send_alone(self, to: Address, message: bytes) -> None:
        """Send `message` to an address without piggyback."""
        self._emit(SendPacket(to, (message,)))

    def send_to_member(self, member: Member, parts: tuple[bytes, ...]) -> None:
        """Send `parts` without piggyback to a known member, with a checksum if it understands one."""
        self._emit(SendPacket(member.address, parts, member.protocol_max >= CRC_SINCE_PROTOCOL))

    def gossip_to(self, member: Member) -> bool:
        """Send a packet that contains only broadcasts; return False if there are none."""
        parts = self._take(self._budget, MAX_PARTS_SENT)
        if parts:
            self.send_to_member(member, tuple(parts))
        return bool(parts)

    def pending(self) -> bool:
        """Return whether any broadcast is queued."""
        return bool(len(self._queue) or self._delegate.pending_broadcasts())

    def _take(self, budget: int, room: int) -> list[bytes]:
        parts = self._queue.take(budget, self.limit, room)
        used = sum(map(len, parts)) + COMPOUND_ENTRY_BYTES * len(parts)
        if len(parts) < room:
            parts += self._delegate.take_broadcasts(budget - used, room - len(parts))
        return parts
