"""Typed reading of the maps in Serf's IPC (serf-wire 0.3 and 6.1).

The rules are those of Go's decoder: keys are case-sensitive, unknown keys are skipped, a missing key or nil
leaves the zero value, and a value of the wrong type is the peer's fault. Text may hold any bytes: those that
are not UTF-8 travel as surrogate escapes and come out unchanged.
"""

from collections.abc import Mapping
from typing import NoReturn

from gossip.errors import RemoteProtocolError

MAX_UINT64 = 2**64 - 1
Fields = Mapping[str, object]


def as_fields(message: object) -> Fields:
    """Return `message` as the fields of a struct; nil is a struct of zero values.

    Raises:
        RemoteProtocolError: it is not a map, or one of its keys is not text.
    """
    if message is None:
        return {}
    if not isinstance(message, dict):
        raise RemoteProtocolError(f"expected a map, got {_kind(message)}")
    for key in message:
        if not isinstance(key, str):
            raise RemoteProtocolError(f"expected text as map key, got {_kind(key)}")
    return message


def text(fields: Fields, key: str) -> str:
    """Return the text in `key`, "" if there is none."""
    value = fields.get(key)
    if value is None:
        return ""
    return value if isinstance(value, str) else _wrong(key, "text", value)


def flag(fields: Fields, key: str) -> bool:
    """Return the boolean in `key`, False if there is none."""
    value = fields.get(key)
    if value is None:
        return False
    return value if isinstance(value, bool) else _wrong(key, "a boolean", value)


def number(fields: Fields, key: str, *, least: int = 0, most: int = MAX_UINT64) -> int:
    """Return the integer in `key`, 0 if there is none; it must be in `least`..`most`."""
    value = fields.get(key)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        return _wrong(key, "an integer", value)
    if not least <= value <= most:
        raise RemoteProtocolError(f"{key} is {value}: expected {least}..{most}")
    return value


def real(fields: Fields, key: str) -> float:
    """Return the number in `key`, 0.0 if there is none."""
    value = fields.get(key)
    return 0.0 if value is None else _as_float(key, value)


def reals(fields: Fields, key: str) -> tuple[float, ...]:
    """Return the list of numbers in `key`, empty if there is none."""
    return tuple(_as_float(key, item) for item in items(fields, key))


def raw_bytes(fields: Fields, key: str) -> bytes:
    """Return the bytes in `key`, b"" if there are none; text counts as its bytes."""
    value = fields.get(key)
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return value if isinstance(value, bytes) else _wrong(key, "bytes", value)


def items(fields: Fields, key: str) -> list[object]:
    """Return the list in `key`, empty if there is none."""
    value = fields.get(key)
    if value is None:
        return []
    return value if isinstance(value, list) else _wrong(key, "a list", value)


def texts(fields: Fields, key: str) -> tuple[str, ...]:
    """Return the list of texts in `key`, empty if there is none."""
    return tuple(item if isinstance(item, str) else _wrong(key, "texts", item) for item in items(fields, key))


def text_map(fields: Fields, key: str) -> dict[str, str]:
    """Return the map from text to text in `key`, empty if there is none."""
    entries = as_fields(fields.get(key))
    return {name: text(entries, name) for name in entries}


def _as_float(key: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return _wrong(key, "a number", value)


def _kind(value: object) -> str:
    return type(value).__name__


def _wrong(key: str, expected: str, value: object) -> NoReturn:
    raise RemoteProtocolError(f"{key} holds {_kind(value)}: expected {expected}")
