"""The history of a run: a hash over all of it, and its last entries, which other modules turn into text.

The hash covers every packet (time, sender, receiver, number of messages), every other effect of a node with
all its fields, and every command and fault, each with its exact time. It does not cover the bytes of packets,
so a run over the full byte path has the same hash. Equal hashes mean equal runs.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from struct import Struct as Layout
from typing import TYPE_CHECKING

import msgspec

from gossip.serf.members import SerfMember

if TYPE_CHECKING:
    from gossip.serf.effects import Effect

TAIL_ENTRIES = 200
"""Entries kept for the report of a failure; a whole trace is kept only on request."""

HASH_BYTES = 16

_PACKET = Layout("<dIIH").pack
_TIME = Layout("<d").pack


def _row_of(member: object) -> tuple[object, ...]:
    """Return a member as its effects show it; all other fields of effects are plain values."""
    assert isinstance(member, SerfMember)
    return member.alive, member.status, member.status_ltime, member.is_hearsay


_encode = msgspec.msgpack.Encoder(enc_hook=_row_of).encode


class Entry(msgspec.Struct, frozen=True):
    """One event: an effect, or the text of a command or fault."""

    at: float  # the world's time, seconds
    who: str
    what: Effect | str


class Trace:
    """The history of a run in progress."""

    __slots__ = ("_hash", "entries")

    def __init__(self, *, keep: bool = False) -> None:
        self._hash = blake2b(digest_size=HASH_BYTES)
        self.entries: deque[Entry] = deque(maxlen=None if keep else TAIL_ENTRIES)

    def packet(self, at: float, source: int, target: int, messages: int) -> None:
        """Record the arrival of a packet; hosts are given by their numbers."""
        self._hash.update(_PACKET(at, source, target, messages))

    def effect(self, at: float, who: str, effect: Effect) -> None:
        """Record an effect of the node `who`."""
        self._hash.update(_TIME(at) + f"{who} {type(effect).__name__} ".encode() + _encode(effect))
        self.entries.append(Entry(at, who, effect))

    def note(self, at: float, who: str, what: str) -> None:
        """Record a command to `who`, or a fault of it."""
        self._hash.update(_TIME(at) + f"{who} {what}\n".encode())
        self.entries.append(Entry(at, who, what))

    def digest(self) -> str:
        """Return the hash of everything so far, in hexadecimal."""
        return self._hash.hexdigest()
