"""How this agent wraps what it sends: compression, encryption, nonces from the operating system.

One object for both kinds of sockets, so that a key ring that changes is changed for all of them.
"""

import os
from collections.abc import Sequence

from gossip.wire.keyring import Keyring, fingerprint
from gossip.wire.packet import seal, unseal
from gossip.wire.stream import StreamReader, seal_stream

NONCE_BYTES = 12
COMPRESSION_PAYS_FROM = 150
"""Bytes below which LZW never made a captured datagram smaller; trying costs more than all the rest."""


class Sealer:
    """Seals and unseals datagrams and streams with this agent's settings."""

    __slots__ = ("_compress", "keyring")

    def __init__(self, *, compress: bool, keyring: Keyring | None) -> None:
        self._compress = compress
        self.keyring = keyring

    @property
    def key_names(self) -> tuple[str, str] | None:
        """The fingerprints of the primary key and of the one that opened the latest message, if encrypted."""
        if self.keyring is None:
            return None
        return fingerprint(self.keyring.keys[0]), fingerprint(self.keyring.opened_with)

    @property
    def is_other_key(self) -> bool:
        """Whether the latest message was encrypted with another key than the primary one."""
        keyring = self.keyring
        return keyring is not None and keyring.opened_with != keyring.keys[0]

    def packet(self, parts: Sequence[bytes], *, crc: bool) -> bytes:
        """Return the datagram that carries `parts`."""
        compress = self._compress and sum(map(len, parts)) >= COMPRESSION_PAYS_FROM
        return seal(parts, compress=compress, crc=crc, encryption=self.keyring, nonce=self._nonce())

    def open_packet(self, datagram: bytes) -> list[bytes]:
        """Return the parts of a datagram.

        Raises:
            RemoteProtocolError: it is not one of ours.
        """
        return unseal(datagram, encryption=self.keyring)

    def stream(self, message: bytes) -> bytes:
        """Return what goes over a stream to say `message`."""
        return seal_stream(message, compress=self._compress, encryption=self.keyring, nonce=self._nonce())

    def reader(self) -> StreamReader:
        """Return a reader for one side of one stream."""
        return StreamReader(encryption=self.keyring, pauses=True)

    def _nonce(self) -> bytes:
        return os.urandom(NONCE_BYTES) if self.keyring is not None else b""
