"""Vivaldi compared with Serf's figures, and its limits against hostile peers."""

import json
from math import sqrt
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossip.serf.coordinate import (
    FILTER_SIZE,
    MAX_RTT,
    MIN_HEIGHT,
    ORIGIN,
    CoordinateClient,
    estimate,
    median_rtt,
)
from gossip.wire.coordinate_codec import DIMENSIONS, MAX_ERROR, MAX_EXTENT, Coordinate

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "vivaldi.json").read_text())

extent = st.floats(-MAX_EXTENT, MAX_EXTENT)
corner = st.floats(-0.999 * MAX_EXTENT / sqrt(DIMENSIONS), 0.999 * MAX_EXTENT / sqrt(DIMENSIONS))
on_an_axis = st.builds(
    lambda far, axis: tuple(far * (axis == i) for i in range(DIMENSIONS)), extent, st.integers(0, 7)
)
coordinates = st.builds(
    Coordinate,
    st.one_of(st.tuples(*[corner] * DIMENSIONS), on_an_axis),
    st.floats(0.0, MAX_ERROR),
    extent,
    st.floats(0.0, MAX_EXTENT),
)
measurements = st.lists(st.tuples(coordinates, st.floats(0.0, MAX_RTT)), max_size=60)


def at(*start: float, error: float = 1.0, adjustment: float = 0.0, height: float = MIN_HEIGHT) -> Coordinate:
    vec = (*start, *(0.0,) * (DIMENSIONS - len(start)))
    return Coordinate(vec, error, adjustment, height)


def recorded(told: dict[str, object]) -> Coordinate:
    vec = tuple(map(float, told["Vec"]))
    return Coordinate(vec, float(told["Error"]), float(told["Adjustment"]), float(told["Height"]))


def client_at(coordinate: Coordinate = ORIGIN) -> CoordinateClient:
    client = CoordinateClient(Random(1))
    client.coordinate = coordinate
    return client


def assert_close(found: Coordinate, wanted: Coordinate) -> None:
    assert found.vec == pytest.approx(wanted.vec, rel=1e-12, abs=1e-15)
    assert found.error == pytest.approx(wanted.error, rel=1e-12)
    assert found.adjustment == pytest.approx(wanted.adjustment, rel=1e-12)
    assert found.height == pytest.approx(wanted.height, rel=1e-12)


def test_a_series_of_measurements_moves_us_as_it_moves_serf():
    client = client_at(recorded(VECTORS["start"]))
    past: dict[str, tuple[float, ...]] = {}
    for step in VECTORS["updates"]:
        assert_close(client.coordinate, recorded(step["before"]))
        node, other = step["node"], recorded(step["other"])
        past[node], median = median_rtt(past.get(node, ()), step["rtt_s"])
        client.update(other, median)
        assert_close(client.coordinate, recorded(step["after"]))
        assert estimate(client.coordinate, other) == pytest.approx(step["distance_after_s"], abs=1e-9)


def test_two_members_at_one_place_move_apart_in_any_direction_and_keep_their_heights():
    client = client_at(at(0.0, height=0.02))
    client.update(at(0.0, height=0.02), 0.1)
    assert any(client.coordinate.vec)
    assert client.coordinate.height == pytest.approx(0.02, abs=1e-6)  # gravity moves it by less


def test_the_median_is_the_upper_one_of_the_last_three():
    assert median_rtt((), 0.5) == ((0.5,), 0.5)
    assert median_rtt((0.5,), 0.1) == ((0.5, 0.1), 0.5)
    assert median_rtt((0.5, 0.1), 0.3) == ((0.5, 0.1, 0.3), 0.3)
    assert median_rtt((0.5, 0.1, 0.3), 0.2) == ((0.1, 0.3, 0.2), 0.2)


@given(st.lists(st.floats(0.0, MAX_RTT), min_size=1, max_size=20))
def test_a_median_is_one_of_the_round_trips_remembered(rtts):
    past: tuple[float, ...] = ()
    for rtt in rtts:
        past, median = median_rtt(past, rtt)
        assert median in past
        assert len(past) <= FILTER_SIZE
    assert past == tuple(rtts[-FILTER_SIZE:])


def test_an_adjustment_that_makes_a_distance_negative_is_left_out():
    near, far = at(0.0, adjustment=-0.3), at(0.1, adjustment=-0.3)
    assert estimate(near, far) == pytest.approx(0.1 + 2 * MIN_HEIGHT, abs=1e-9)


def test_an_estimate_is_in_whole_nanoseconds():
    assert estimate(ORIGIN, at(1e-9 * 1.7, height=0.0)) == 0.000010001


def test_two_members_at_one_place_are_pushed_apart_in_some_direction():
    client = client_at()
    client.update(ORIGIN, 0.1)
    assert estimate(client.coordinate, ORIGIN) > 0.01
    assert len({abs(part) for part in client.coordinate.vec}) == DIMENSIONS


class Zeros(Random):
    """A generator that yields no direction."""

    def random(self) -> float:
        return 0.5


def test_without_any_direction_the_first_axis_is_taken():
    client = CoordinateClient(Zeros())
    client.update(ORIGIN, 0.1)
    assert client.coordinate.vec[0] > 0.01
    assert client.coordinate.vec[1:] == (0.0,) * (DIMENSIONS - 1)


def test_gravity_draws_towards_the_origin():
    client = client_at(at(6.0))
    client.update(at(6.0), 2 * MIN_HEIGHT)
    assert client.coordinate.vec[0] == pytest.approx(6.0 - (6.0 / 150.0) ** 2, abs=1e-5)


def test_an_impossible_result_leads_back_to_the_origin_and_is_counted():
    client = client_at(at(MAX_EXTENT, error=MAX_ERROR))
    client.update(at(-MAX_EXTENT, error=0.0), 0.0)
    client.coordinate = at(MAX_EXTENT - 1e-6, error=MAX_ERROR)
    assert client.resets == 0
    client.update(at(0.0, error=0.0), MAX_RTT * 3)  # farther than any measurement
    assert client.coordinate == ORIGIN
    assert client.resets == 1


@given(measurements)
def test_our_coordinate_stays_possible_whatever_peers_send(series):
    client = client_at()
    for other, rtt in series:
        client.update(other, rtt)
        assert client.coordinate.is_possible
        assert client.coordinate.height >= MIN_HEIGHT
        assert 0.0 <= estimate(client.coordinate, other) <= 10 * MAX_EXTENT


@given(coordinates, coordinates)
@example(at(0.0, adjustment=-0.2, height=0.0), at(0.9, adjustment=-0.7, height=0.0))
@example(at(0.0, height=0.4), at(0.6, height=0.7))
def test_an_estimate_is_the_same_in_both_directions(a, b):
    assert estimate(a, b) == estimate(b, a)


def test_members_that_measure_each_other_find_their_distances():
    rng = Random(7)
    places = [(rng.uniform(0, 0.05), rng.uniform(0, 0.05)) for _ in range(8)]

    def truth(a: int, b: int) -> float:
        return sum((x - y) ** 2 for x, y in zip(places[a], places[b], strict=True)) ** 0.5 + 0.002

    clients = [CoordinateClient(Random(number)) for number in range(8)]
    for _ in range(4000):
        a, b = rng.sample(range(8), 2)
        clients[a].update(clients[b].coordinate, truth(a, b))
    errors = [
        abs(estimate(clients[a].coordinate, clients[b].coordinate) - truth(a, b)) / truth(a, b)
        for a in range(8)
        for b in range(a)
    ]
    assert sorted(errors)[len(errors) // 2] < 0.1
