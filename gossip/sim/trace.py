"""What happened in a run: a hash over all of it, and the last lines of it in words.

The hash covers every packet (when, from whom, to whom, how many messages), everything that a node told its
driver, and every command and fault, each with its exact time. It does not cover bytes, so that a run over
the full byte path has the same hash. Equal hashes mean equal runs.
"""

from collections import deque
from hashlib import blake2b
from struct import Struct as Layout

TAIL_LINES = 200
"""Lines kept for a failure's report; a whole trace is kept only on request."""

HASH_BYTES = 16

_PACKET = Layout("<dIIH").pack
_TIME = Layout("<d").pack


class Trace:
    """A run's history, as it grows."""

    __slots__ = ("_hash", "lines")

    def __init__(self, *, keep: bool = False) -> None:
        self._hash = blake2b(digest_size=HASH_BYTES)
        self.lines: deque[tuple[float, str, str]] = deque(maxlen=None if keep else TAIL_LINES)

    def packet(self, at: float, source: int, target: int, messages: int) -> None:
        """Note that a packet arrived; hosts are given by their numbers."""
        self._hash.update(_PACKET(at, source, target, messages))

    def line(self, at: float, who: str, what: str) -> None:
        """Note that something happened at `who`."""
        self._hash.update(_TIME(at) + f"{who} {what}\n".encode())
        self.lines.append((at, who, what))

    def digest(self) -> str:
        """Return the hash of all that happened so far, in hexadecimal."""
        return self._hash.hexdigest()

    def text(self) -> str:
        """Return the kept lines, one below the other."""
        return "\n".join(f"{at:12.6f}  {who}  {what}" for at, who, what in self.lines)
