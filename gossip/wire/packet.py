"""Packs encoded messages into a datagram (`seal`) and unpacks them (`unseal`); serf-wire 1.2 and 1.3.

Layers, from the inside out: messages; a compound if there are several; compression if it saves bytes; a
checksum; encryption; a label. `unseal` removes them in reverse order. Compounds and compression may be
nested in each other, the checksum may not. The reference is memberlist's `net.go` and `label.go`.

Datagrams come from strangers, so every expansion is limited: nesting, number of parts, bytes in and out.
"""

import struct
from collections.abc import Sequence
from zlib import crc32

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.wire.compression import COMPRESSED, expand, pack_compressed
from gossip.wire.dialect import MAX_U16
from gossip.wire.keyring import UNPADDED, Keyring, nonce_of
from gossip.wire.label import label_header, strip_label
from gossip.wire.messages import MessageType
from gossip.wire.replay import ReplayWindow

MAX_DATAGRAM_BYTES = 65_535
MAX_UNSEALED_BYTES = 16_384
"""Decompressed bytes of one datagram in total; a member packs at most 1,400 into one."""

MAX_EXPANSION = 32
"""Decompressed bytes for each byte received; LZW makes 1,400 equal bytes 17 times smaller."""

MAX_COMPRESSED_BYTES = 4096
"""Compressed bytes expanded for one datagram, including failed attempts: a millisecond of work."""

MAX_PARTS = 128
"""Leaf messages in one datagram; about 60 of the smallest fit into a member's 1,400 bytes."""

MAX_NESTING = 4
"""Nested compounds and compressions; senders produce two levels."""

MAX_PARTS_SENT = 127
"""memberlist 0.2.2 computes the length of the length table in eight bits and breaks above this."""

COMPOUND, COMPRESS, HAS_CRC = MessageType.COMPOUND.byte, MessageType.COMPRESS.byte, MessageType.HAS_CRC.byte
CRC_HEADER = 5


def seal(
    parts: Sequence[bytes],
    *,
    compress: bool,
    crc: bool,
    encryption: Keyring | None,
    nonce: bytes,
    label: bytes = b"",
) -> bytes:
    """Return the datagram that carries `parts`.

    Args:
        parts: Encoded messages, 1 to 127.
        compress: Compress, if that makes it strictly smaller.
        crc: Add a checksum; only for peers that speak protocol 5.
        encryption: Encrypt with its primary key.
        nonce: 12 random bytes, never used before; ignored without `encryption`.
        label: The cluster's label, up to 255 bytes, which precedes everything else.

    Raises:
        LocalProtocolError: an argument breaks a limit, or the datagram would be longer than UDP allows.
    """
    payload = parts[0] if len(parts) == 1 else _join(parts)
    if compress:
        compressed = pack_compressed(payload)
        if len(compressed) < len(payload):
            payload = compressed
    if crc:
        payload = HAS_CRC + crc32(payload).to_bytes(4, "big") + payload
    if encryption is not None:
        payload = encryption.encrypt(UNPADDED, nonce, payload, label)
    datagram = label_header(label) + payload
    if len(datagram) > MAX_DATAGRAM_BYTES:
        raise LocalProtocolError(f"cannot send {len(datagram)} bytes: a datagram holds {MAX_DATAGRAM_BYTES}")
    return datagram


def unseal(
    datagram: bytes,
    *,
    encryption: Keyring | None,
    label: bytes = b"",
    header: bytes | None = None,
    replays: ReplayWindow | None = None,
    now: float = 0.0,
) -> list[bytes]:
    """Return the leaf messages in `datagram`: at least one, none of them empty, not decoded yet.

    An inner part that cannot be expanded is returned unchanged, so that only its own decoding fails; of a
    truncated compound, the complete leading parts are returned.

    Args:
        datagram: What the socket received.
        encryption: The keys to decrypt the datagram with; None: it must not be encrypted.
        label: The label of the cluster, which encryption authenticates.
        header: The label that the header must carry, if a proxy has already removed `label`.
        replays: Remembers decrypted datagrams and refuses copies.
        now: Monotonic seconds, for `replays`.

    Raises:
        RemoteProtocolError: a layer is broken or missing, a limit is exceeded, or there is no message; a
            `WrongLabelError` or a `ReplayError` where one of these is the reason.
    """
    if len(datagram) > MAX_DATAGRAM_BYTES:
        raise RemoteProtocolError(f"datagram of {len(datagram)} bytes: expected at most {MAX_DATAGRAM_BYTES}")
    payload = strip_label(datagram, label if header is None else header)
    if encryption is not None:
        payload = _decrypt(payload, encryption, label, replays, now)
    if payload.startswith(HAS_CRC):
        payload = _strip_crc(payload)
    leaves = _expand(payload, min(MAX_UNSEALED_BYTES, MAX_EXPANSION * len(datagram)))
    if not leaves:
        raise RemoteProtocolError(f"datagram of {len(datagram)} bytes holds no message")
    return leaves


def _decrypt(
    sealed: bytes, encryption: Keyring, label: bytes, replays: ReplayWindow | None, now: float
) -> bytes:
    if replays is None:
        return encryption.decrypt(sealed, label)
    nonce = nonce_of(sealed)
    replays.refuse_known(nonce)
    plaintext = encryption.decrypt(sealed, label)
    replays.remember(nonce, now)
    return plaintext


def _join(parts: Sequence[bytes]) -> bytes:
    if not 0 < len(parts) <= MAX_PARTS_SENT:
        raise LocalProtocolError(f"cannot send {len(parts)} parts: expected 1 to {MAX_PARTS_SENT}")
    sizes = [len(part) for part in parts]
    if max(sizes) > MAX_U16:
        raise LocalProtocolError(f"cannot send a part of {max(sizes)} bytes: expected at most {MAX_U16}")
    return b"".join((COMPOUND, struct.pack(f">B{len(sizes)}H", len(sizes), *sizes), *parts))


def _strip_crc(payload: bytes) -> bytes:
    message = payload[CRC_HEADER:]
    if crc32(message).to_bytes(4, "big") != payload[1:CRC_HEADER]:
        raise RemoteProtocolError(f"wrong checksum of {len(message)} bytes")
    return message


def _expand(payload: bytes, room: int) -> list[bytes]:
    """Return the leaf messages of `payload` in order, with compounds and compression removed.

    Args:
        payload: A message.
        room: The most bytes that decompression may produce, in all of `payload` together.
    """
    leaves: list[bytes] = []
    pending = [(payload, 0)] if payload else []
    effort = MAX_COMPRESSED_BYTES
    while pending:
        part, depth = pending.pop()
        kind = part[:1]
        if kind not in (COMPOUND, COMPRESS) or depth == MAX_NESTING:
            leaves.append(part)
            continue
        try:
            if kind == COMPOUND:
                inner = _split(part)
            else:
                effort -= len(part)  # even on failure, which takes as long
                inner = [_decompress(part, room, effort)]
                room -= len(inner[0])
        except RemoteProtocolError:
            if depth == 0:
                raise
            leaves.append(part)  # the decoder will refuse it, and only it
            continue
        pending += [(each, depth + 1) for each in reversed(inner) if each]
        if len(leaves) + len(pending) > MAX_PARTS:
            raise RemoteProtocolError(f"datagram of more than {MAX_PARTS} messages")
    return leaves


def _split(compound: bytes) -> list[bytes]:
    """Return the complete leading parts of `compound`."""
    count = compound[1] if len(compound) > 1 else 0
    end = 2 + 2 * count
    if len(compound) < end:
        raise RemoteProtocolError(f"compound of {len(compound)} bytes is shorter than its table of lengths")
    parts = []
    for size in struct.unpack_from(f">{count}H", compound, 2):
        start, end = end, end + size
        if end > len(compound):
            break
        parts.append(compound[start:end])
    return parts


def _decompress(message: bytes, room: int, effort: int) -> bytes:
    if effort < 0:
        raise RemoteProtocolError(f"datagram with more than {MAX_COMPRESSED_BYTES} compressed bytes")
    return expand(COMPRESSED.decode(message), room)
