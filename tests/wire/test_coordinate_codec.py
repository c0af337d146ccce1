"""Coordinates as acks carry them, against acks recorded from a real Serf."""

import json
from contextlib import suppress
from math import inf, nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import packb

from gossip.errors import RemoteProtocolError
from gossip.wire.coordinate_codec import (
    DIMENSIONS,
    MAX_ERROR,
    MAX_EXTENT,
    Coordinate,
    decode_coordinate,
    encode_coordinate,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "udp_packets.json").read_text())
VEC = [0.0] * DIMENSIONS
HERE = {"Adjustment": 0.0, "Error": 1.5, "Height": 1e-5, "Vec": VEC}


def recorded_acks():
    """Return payload and content of each ack with a coordinate, wherever in a packet it stands."""

    def walk(thing):
        if isinstance(thing, dict):
            if "coordinate" in thing:
                yield bytes.fromhex(thing["body"]["Payload"]["hex"]), thing["coordinate"]
            for inner in thing.values():
                yield from walk(inner)
        elif isinstance(thing, list):
            for inner in thing:
                yield from walk(inner)

    return list(walk([vector["decoded"] for vector in VECTORS]))


def payload(**fields):
    return b"\x01" + packb(HERE | fields, use_bin_type=False)


def test_serfs_acks_are_read_and_written_byte_for_byte():
    acks = recorded_acks()
    assert len(acks) >= 14
    for data, told in acks:
        coordinate = decode_coordinate(data)
        assert coordinate.vec == tuple(told["Vec"])
        assert (coordinate.error, coordinate.height) == (told["Error"], told["Height"])
        assert coordinate.adjustment == told["Adjustment"]
        assert encode_coordinate(coordinate) == data


def test_whole_numbers_stand_for_fractions():
    assert decode_coordinate(payload(Error=1, Height=0)).error == 1.0


def test_a_field_that_is_missing_is_zero():
    assert decode_coordinate(b"\x01" + packb({"Vec": VEC})) == Coordinate((0.0,) * DIMENSIONS, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("data", [b"", b"\x02" + packb(HERE), b"\x00"])
def test_another_version_is_refused(data):
    with pytest.raises(RemoteProtocolError, match=r"ack payload of version \w+: expected 01"):
        decode_coordinate(data)


@pytest.mark.parametrize(
    "fields",
    [
        {"Vec": None},
        {"Vec": VEC[1:]},
        {"Vec": [*VEC, 0.0]},
        {"Vec": [nan, *VEC[1:]]},
        {"Vec": [1e300, *VEC[1:]]},
        {"Vec": [MAX_EXTENT, 0.001, *VEC[2:]]},
        {"Vec": [-MAX_EXTENT - 0.001, *VEC[1:]]},
        {"Error": nan},
        {"Error": MAX_ERROR + 1e-9},
        {"Error": -1e-9},
        {"Height": inf},
        {"Height": -1e-9},
        {"Height": MAX_EXTENT + 1e-9},
        {"Adjustment": -inf},
        {"Adjustment": MAX_EXTENT + 1e-9},
        {"Adjustment": -MAX_EXTENT - 1e-9},
    ],
)
def test_a_coordinate_that_no_member_can_have_is_refused(fields):
    with pytest.raises(RemoteProtocolError, match="coordinate with"):
        decode_coordinate(payload(**fields))


@pytest.mark.parametrize("fields", [{"Error": "1"}, {"Vec": ["0"] * 8}, {"Height": True}, {"Vec": 8}])
def test_what_is_no_number_is_refused(fields):
    with pytest.raises(RemoteProtocolError):
        decode_coordinate(payload(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"Vec": [-MAX_EXTENT, *VEC[1:]]},
        {"Error": 0.0},
        {"Height": MAX_EXTENT},
        {"Adjustment": -MAX_EXTENT},
    ],
)
def test_a_coordinate_at_the_limit_is_taken(fields):
    assert decode_coordinate(payload(**fields)).is_possible


@given(st.lists(st.floats(), min_size=7, max_size=9), st.floats(), st.floats(), st.floats())
def test_whatever_numbers_an_ack_carries_they_are_a_possible_coordinate_or_refused(vec, error, up, shift):
    with suppress(RemoteProtocolError):
        assert decode_coordinate(payload(Vec=vec, Error=error, Height=up, Adjustment=shift)).is_possible


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data):
    for told in (data, b"\x01" + data):
        with suppress(RemoteProtocolError):
            decode_coordinate(told)
