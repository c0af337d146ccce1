"""Tags inside a member's metadata: the magic byte 0xff, then a msgpack map (Serf `serf.go`, encodeTags).

Peers compare metadata byte by byte, so the bytes of a tag set are made once and kept.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.wire.dialect import pack_struct, unpack_value
from gossip.wire.messages import MAX_META_BYTES

TAGS_MAGIC = 0xFF
REMEMBERED_TAGS = 4096
"""Limit of the memo of decoded metadata; a cluster with more distinct tag sets only decodes more often."""


def encode_tags(tags: Mapping[str, str]) -> bytes:
    """Return the metadata that announces `tags`, keys in sorted order.

    Raises:
        LocalProtocolError: the result would be longer than `MAX_META_BYTES` (512).
    """
    ordered = {key: tags[key] for key in sorted(tags)}
    meta = bytes((TAGS_MAGIC,)) + pack_struct(ordered)
    if len(meta) > MAX_META_BYTES:
        raise LocalProtocolError(
            f"encoded length of tags ({len(meta)}) exceeds limit of {MAX_META_BYTES} bytes"
        )
    return meta


@lru_cache(maxsize=REMEMBERED_TAGS)
def decode_tags(meta: bytes) -> Mapping[str, str]:
    """Return the tags in `meta`: an old peer's role if there is no magic byte, no tags if it is broken."""
    if not meta or meta[0] != TAGS_MAGIC:
        return MappingProxyType({"role": meta.decode("utf-8", "surrogateescape")})
    try:
        raw = unpack_value(meta[1:])
    except RemoteProtocolError:
        return MappingProxyType({})
    if not isinstance(raw, dict):
        return MappingProxyType({})
    return MappingProxyType(
        {_text(key): _text(value) for key, value in raw.items() if _both_bytes(key, value)}
    )


def _both_bytes(key: object, value: object) -> bool:
    return isinstance(key, bytes) and isinstance(value, bytes)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
