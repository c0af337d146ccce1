"""HashiCorp's dialect of msgpack: values and their types, independent of the messages they belong to.

Written: maps with sorted text keys, text and bytes both in the old "raw" family, never ``bin`` nor ``str8``
(serf-wire 0.1). Read: everything that go-msgpack reads (serf-wire 0.2), so that both implementations judge a
message alike: every width of integer, ``bin`` in place of text, nil for a zero value, unknown keys with any
value, a struct as an array in the order of its declaration, bytes as an array of numbers, and anything after
the object, which is ignored. Refused: negative, fractional or too wide numbers, and values of another kind.

All readers raise `RemoteProtocolError` and nothing else, whatever the bytes.
"""

from collections.abc import Callable, Mapping

from msgpack import ExtraData, UnpackException, packb, unpackb

from gossip.errors import RemoteProtocolError

MAX_ELEMENTS = 256
"""Elements of one array or map inside a message; msgpack allocates the announced size at each level."""

PACKED_BYTES = 2048
"""What msgpack allocates to pack a value, more if it turns out to be longer; any message of a packet fits.

Its own 256 KiB are so large that the system maps and clears them anew for each ping.
"""

MAX_U8 = 2**8 - 1
MAX_U16 = 2**16 - 1

MALFORMED = (ValueError, UnpackException, RecursionError, OverflowError)
"""Every exception that msgpack raises on unexpected bytes."""

Fields = Mapping[bytes, object]
"""A struct as received: keys are Go's field names, values are not checked yet."""


def pack_value(value: object) -> bytes:
    """Return any value: texts, bytes, numbers, lists and maps of them, None for nil."""
    packed: bytes = packb(value, use_bin_type=False, unicode_errors="surrogateescape", buf_size=PACKED_BYTES)
    return packed


pack_struct: Callable[[Mapping[str, object]], bytes] = pack_value
"""Return a map of fields; the caller lists the keys in ASCII order, as Go's encoder does."""


def unpack_value(body: bytes) -> object:
    """Return the msgpack object at the start of `body`, with raw bytes for text.

    Raises:
        RemoteProtocolError: `body` does not start with a complete object within the limits.
    """
    try:
        value: object = unpackb(body, raw=True, max_array_len=MAX_ELEMENTS, max_map_len=MAX_ELEMENTS)
    except ExtraData as more:
        value = more.unpacked
    except MALFORMED as error:
        raise RemoteProtocolError(f"malformed msgpack in {len(body)} bytes: {reason(error)}") from None
    return value


def unpack_struct(body: bytes, order: tuple[bytes, ...]) -> Fields:
    """Return the fields of the struct at the start of `body`.

    Args:
        body: Starts with a map, or nil (no field set), or an array in the order of `order`.
        order: The field names in the order of Go's declaration.

    Raises:
        RemoteProtocolError: `body` starts with something else, or with an incomplete object.
    """
    value = unpack_value(body)
    return value if type(value) is dict else as_struct(value, order)


def as_struct(value: object, order: tuple[bytes, ...]) -> Fields:
    """Return `value`, already unpacked, as fields; see `unpack_struct`."""
    if isinstance(value, dict):
        return value
    if value is None:
        return {}
    if isinstance(value, list):
        return dict(zip(order, value, strict=False))
    raise RemoteProtocolError(f"expected a map, got {kind_of(value)}")


def read_uint(fields: Fields, key: bytes, highest: int) -> int:
    """Return the unsigned number `key`, 0 if absent or nil.

    Raises:
        RemoteProtocolError: it is not an integer, is negative, or is above `highest`.
    """
    return as_int(fields.get(key), key, 0, highest)


def as_int(value: object, key: bytes, lowest: int, highest: int) -> int:
    """Return the unpacked `value` of field `key` as a number; see `read_uint`."""
    if value is None:
        return 0
    if type(value) is not int:
        raise RemoteProtocolError(f"{_name(key)} is {kind_of(value)}, expected an integer")
    if not lowest <= value <= highest:
        raise RemoteProtocolError(f"{_name(key)} is {value}, expected {lowest}..{highest}")
    return value


def as_bool(value: object, key: bytes) -> bool:
    """Return the unpacked `value` of field `key` as a truth value, False if absent or nil.

    Raises:
        RemoteProtocolError: it is something else.
    """
    if value is None:
        return False
    if not isinstance(value, bool):
        raise RemoteProtocolError(f"{_name(key)} is {kind_of(value)}, expected a boolean")
    return value


def read_text(fields: Fields, key: bytes) -> str:
    """Return the text `key`, empty if absent or nil; bytes that are not UTF-8 become surrogates.

    Raises:
        RemoteProtocolError: it is something else.
    """
    value = fields.get(key)
    return "" if value is None else as_text(value, key)


def as_text(value: object, key: bytes) -> str:
    """Return the unpacked `value` of field `key` as text; see `read_text`."""
    if not isinstance(value, bytes):
        raise RemoteProtocolError(f"{_name(key)} is {kind_of(value)}, expected text")
    return value.decode("utf-8", "surrogateescape")


def read_bytes(fields: Fields, key: bytes) -> bytes:
    """Return the bytes `key`, empty if absent or nil.

    Raises:
        RemoteProtocolError: it is neither bytes nor an array of numbers in 0..255.
    """
    return as_bytes(fields.get(key), key) or b""


def as_bytes(value: object, key: bytes) -> bytes | None:
    """Return the unpacked `value` of field `key` as bytes; see `read_bytes`."""
    if value is None or isinstance(value, bytes):
        return value
    if not isinstance(value, list):
        raise RemoteProtocolError(f"{_name(key)} is {kind_of(value)}, expected bytes")
    if not all(type(number) is int and 0 <= number <= MAX_U8 for number in value):
        raise RemoteProtocolError(f"{_name(key)} is an array, expected only numbers in 0..{MAX_U8}")
    return bytes(value)


def read_list(fields: Fields, key: bytes) -> list[object]:
    """Return the elements of the array `key`, none if absent or nil.

    Raises:
        RemoteProtocolError: it is something else.
    """
    return as_list(fields.get(key), key)


def as_list(value: object, key: bytes) -> list[object]:
    """Return the unpacked `value` of field `key` as a list; see `read_list`."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise RemoteProtocolError(f"{_name(key)} is {kind_of(value)}, expected an array")
    return value


def kind_of(value: object) -> str:
    """Return the kind of `value`, in words of bounded length."""
    return "nil" if value is None else type(value).__name__


def reason(error: Exception) -> str:
    """Return msgpack's message, or at least the name of its exception."""
    return str(error) or type(error).__name__


def _name(key: bytes) -> str:
    return key.decode("ascii")
