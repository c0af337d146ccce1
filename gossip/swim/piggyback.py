"""Packets and what rides on them (SWIM section 4.1: dissemination by piggyback).

Every direct message offers the rest of its datagram to queued broadcasts: SWIM's own first, then the upper
layer's. This module keeps the byte budget; nobody else composes packets.
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
    """Return the bytes of a packet that messages may fill, each with its entry's cost."""
    return config.packet_budget - config.packet_overhead - COMPOUND_HEADER_BYTES


def longest_broadcast(config: SwimConfig) -> int:
    """Return the bytes of the longest broadcast: one that has a packet to itself."""
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
        """Send `message` to an address, with nothing behind it."""
        self._emit(SendPacket(to, (message,)))

    def send_to_member(self, member: Member, parts: tuple[bytes, ...]) -> None:
        """Send `parts` alone to a known member, with a checksum where it is understood."""
        self._emit(SendPacket(member.address, parts, member.protocol_max >= CRC_SINCE_PROTOCOL))

    def gossip_to(self, member: Member) -> bool:
        """Send a packet of broadcasts only; return False if there was nothing to send."""
        parts = self._take(self._budget, MAX_PARTS_SENT)
        if parts:
            self.send_to_member(member, tuple(parts))
        return bool(parts)

    def pending(self) -> bool:
        """Tell whether any broadcast waits."""
        return bool(len(self._queue) or self._delegate.pending_broadcasts())

    def _take(self, budget: int, room: int) -> list[bytes]:
        parts = self._queue.take(budget, self.limit, room)
        used = sum(map(len, parts)) + COMPOUND_ENTRY_BYTES * len(parts)
        if len(parts) < room:
            parts += self._delegate.take_broadcasts(budget - used, room - len(parts))
        return parts
