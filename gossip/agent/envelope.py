"""How this agent wraps its messages: label, compression, encryption, nonces from the operating system.

One object serves both kinds of sockets, so that a change of the key ring applies to all of them. It counts
messages refused because of their envelope: the label of another cluster, and copies of encrypted messages.
"""

import os
from collections.abc import Sequence

from msgspec import Struct

from gossip.errors import RemoteProtocolError
from gossip.wire.keyring import NONCE_BYTES, Keyring, fingerprint
from gossip.wire.label import WrongLabelError, label_overhead
from gossip.wire.packet import seal, unseal
from gossip.wire.replay import ReplayError, ReplayWindow
from gossip.wire.stream import StreamReader, seal_stream

COMPRESSION_PAYS_FROM = 160
"""Bytes below which LZW makes hardly any datagram smaller; trying costs more than all the rest.

An ack with a coordinate has up to 154: eight fractions, which LZW makes longer, in the answer to each ping.
"""


class Refusals(Struct):
    """Packets and streams refused because of their envelope."""

    wrong_label: int = 0
    replayed: int = 0

    def count(self, error: RemoteProtocolError) -> None:
        """Count `error`, if it is one of these kinds."""
        self.wrong_label += isinstance(error, WrongLabelError)
        self.replayed += isinstance(error, ReplayError)


class Envelope:
    """Seals and unseals datagrams and streams with this agent's settings."""

    __slots__ = ("_compress", "_header", "_label", "_replays", "keyring", "refusals")

    def __init__(
        self, *, compress: bool, keyring: Keyring | None, label: bytes = b"", check_label: bool = True
    ) -> None:
        """Make an envelope.

        Args:
            compress: Compress messages that become smaller.
            keyring: Encrypt with its primary key; None: send and accept only plaintext.
            label: The label of the cluster, at most 255 bytes; empty: none.
            check_label: Incoming messages must carry the label. False: a proxy in front of this agent has
                checked and removed it, as memberlist's `SkipInboundLabelCheck` expects.
        """
        self._compress = compress
        self._label = label
        self._header = label if check_label else b""
        self._replays = ReplayWindow()
        self.keyring = keyring
        self.refusals = Refusals()

    @property
    def overhead(self) -> int:
        """Bytes of each packet that label and encryption take."""
        return label_overhead(self._label) + (self.keyring.overhead if self.keyring is not None else 0)

    @property
    def key_names(self) -> tuple[str, str] | None:
        """The fingerprints of the primary key and of the one that opened the latest message, if encrypted."""
        if self.keyring is None:
            return None
        return fingerprint(self.keyring.keys[0]), fingerprint(self.keyring.opened_with)

    @property
    def is_other_key(self) -> bool:
        """Whether the latest message was encrypted with a key other than the primary one."""
        keyring = self.keyring
        return keyring is not None and keyring.opened_with != keyring.keys[0]

    def packet(self, parts: Sequence[bytes], *, crc: bool) -> bytes:
        """Return the datagram that carries `parts`."""
        compress = self._compress and sum(map(len, parts)) >= COMPRESSION_PAYS_FROM
        return seal(
            parts,
            compress=compress,
            crc=crc,
            encryption=self.keyring,
            nonce=self._nonce(),
            label=self._label,
        )

    def open_packet(self, datagram: bytes, now: float) -> list[bytes]:
        """Return the parts of a datagram that arrived at `now` (monotonic seconds).

        Raises:
            RemoteProtocolError: it is not one of ours, or a copy; counted in `refusals`.
        """
        try:
            return unseal(
                datagram,
                encryption=self.keyring,
                label=self._label,
                header=self._header,
                replays=self._replays,
                now=now,
            )
        except RemoteProtocolError as error:
            self.refusals.count(error)
            raise

    def stream(self, message: bytes, *, reply: bool) -> bytes:
        """Return the bytes of `message` on a stream, as the first message or as the reply."""
        return seal_stream(
            message,
            compress=self._compress,
            encryption=self.keyring,
            nonce=self._nonce(),
            label=self._label,
            reply=reply,
        )

    def reader(self, *, reply: bool) -> StreamReader:
        """Return a reader for the first message on a peer's stream, or for the reply on ours."""
        header = b"" if reply else self._header
        return StreamReader(
            encryption=self.keyring, label=self._label, header=header, replays=self._replays, pauses=True
        )

    def accept(self, reader: StreamReader, now: float) -> None:
        """Record, at `now`, that the message of `reader` is complete.

        Raises:
            ReplayError: a copy of it was completed before.
        """
        if reader.nonce:
            self._replays.remember(reader.nonce, now)

    def _nonce(self) -> bytes:
        return os.urandom(NONCE_BYTES) if self.keyring is not None else b""
