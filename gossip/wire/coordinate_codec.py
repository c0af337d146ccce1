"""Network coordinates as bytes, the payload of acks to direct pings (Serf `ping_delegate.go`; serf-wire 5.9).

A version byte, then a msgpack map. A coordinate that no honest member can have is refused: every member that
receives one moves towards it.
"""

from math import hypot

from msgspec import Struct

from gossip.errors import RemoteProtocolError
from gossip.wire.dialect import Fields, kind_of, pack_struct, read_list, unpack_struct

DIMENSIONS = 8
"""Dimensions of the Euclidean part; Serf refuses any other number."""
MAX_ERROR = 1.5
"""The largest error estimate: that of a member that has measured nothing."""
MAX_EXTENT = 10.0
"""The largest distance from the origin, height and adjustment, in seconds.

Round trips above 10 s are not counted, and members are constantly drawn towards the origin.
"""
PING_VERSION = b"\x01"

_FIELDS = (b"Vec", b"Error", b"Adjustment", b"Height")


class Coordinate(Struct, frozen=True, gc=False):
    """A member's position, such that distances estimate round trips; all but `error` are in seconds.

    `vec` is the Euclidean part, `height` the way to it, `adjustment` a correction from measurements, and
    `error` the uncertainty: 0 is certain, 1.5 is a position without any measurement.
    """

    vec: tuple[float, ...]
    error: float
    adjustment: float
    height: float

    @property
    def is_possible(self) -> bool:
        """Whether an honest member can have this position."""
        # NaN is within no bounds, and hypot() does not overflow as a sum of squares does.
        return (
            len(self.vec) == DIMENSIONS
            and 0.0 <= self.error <= MAX_ERROR
            and 0.0 <= self.height <= MAX_EXTENT
            and abs(self.adjustment) <= MAX_EXTENT
            and hypot(*self.vec) <= MAX_EXTENT
        )


def encode_coordinate(coordinate: Coordinate) -> bytes:
    """Return `coordinate` as the payload of an ack: 130 bytes."""
    return PING_VERSION + pack_struct(
        {
            "Adjustment": coordinate.adjustment,
            "Error": coordinate.error,
            "Height": coordinate.height,
            "Vec": coordinate.vec,
        }
    )


def decode_coordinate(payload: bytes) -> Coordinate:
    """Return the coordinate in the payload of an ack.

    Raises:
        RemoteProtocolError: it is of another version, malformed, or not a possible coordinate.
    """
    if payload[:1] != PING_VERSION:
        raise RemoteProtocolError(f"ack payload of version {payload[:1].hex() or 'missing'}: expected 01")
    fields = unpack_struct(payload[1:], _FIELDS)
    coordinate = Coordinate(
        tuple(
            [part if type(part) is float else _as_float(part, "Vec") for part in read_list(fields, b"Vec")]
        ),
        _read_float(fields, b"Error"),
        _read_float(fields, b"Adjustment"),
        _read_float(fields, b"Height"),
    )
    if not coordinate.is_possible:
        raise RemoteProtocolError(
            f"coordinate with {len(coordinate.vec)} dimensions, error {coordinate.error:.3g}, height "
            f"{coordinate.height:.3g} s: expected {DIMENSIONS} dimensions, an error of at most {MAX_ERROR}, "
            f"and at most {MAX_EXTENT:g} s from the origin"
        )
    return coordinate


def _read_float(fields: Fields, key: bytes) -> float:
    value = fields.get(key)
    return 0.0 if value is None else _as_float(value, key.decode())


def _as_float(value: object, name: str) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)  # of 64 bits at most
    raise RemoteProtocolError(f"{name} is {kind_of(value)}, expected a number")
