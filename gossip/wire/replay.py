"""Detection of replayed encrypted messages (serf-wire 4.4; ADR 27). memberlist has no such check.

Each encrypted packet and frame carries a nonce of twelve random bytes, and no sender uses one twice. A
nonce repeated within the window therefore marks a copy, made by the network or by an attacker without the
key, who can repeat recorded messages but not write new ones. Copies are dropped and counted.

Only messages that a key has opened are remembered. Otherwise anyone could use up a nonce, read from the wire,
with a forged packet that overtakes the genuine one.
"""

from gossip.errors import RemoteProtocolError

REPLAY_SECONDS = 30.0
"""A nonce is remembered for at least this long, unless more than `MAX_NONCES` messages arrive meanwhile."""

MAX_NONCES = 16_384
"""Nonces in one generation; two are kept. This suffices for 546 messages per second."""


class ReplayError(RemoteProtocolError):
    """An encrypted message whose nonce was seen before."""


class ReplayWindow:
    """The nonces of the last 30 to 60 seconds, in two generations; the older one is dropped as a whole."""

    __slots__ = ("_began", "_newer", "_older")

    def __init__(self) -> None:
        self._newer: set[bytes] = set()
        self._older: set[bytes] = set()
        self._began = 0.0  # start of the newer generation

    def __len__(self) -> int:
        """Return how many nonces are remembered."""
        return len(self._newer) + len(self._older)

    def refuse_known(self, nonce: bytes) -> None:
        """Refuse a `nonce` that is remembered; call this before decryption, which costs more.

        Raises:
            ReplayError: it is remembered.
        """
        if nonce in self._newer or nonce in self._older:
            raise ReplayError("encrypted message repeated: its nonce was seen before")

    def remember(self, nonce: bytes, now: float) -> None:
        """Remember the `nonce` of a message that a key opened at `now` (monotonic seconds).

        Raises:
            ReplayError: it is already remembered; a copy was opened in the meantime.
        """
        self.refuse_known(nonce)
        if now - self._began >= REPLAY_SECONDS or len(self._newer) >= MAX_NONCES:
            # After two windows of silence the nonces of the newer generation are too old as well.
            self._older = self._newer if now - self._began < 2 * REPLAY_SECONDS else set()
            self._newer = set()
            self._began = now
        self._newer.add(nonce)
