import pytest

from gossip.agent.places import Places, source_of
from gossip.errors import RemoteProtocolError


def places(most=4, per_source=3, most_bytes=100, bytes_per_source=80):
    return Places(most, per_source, most_bytes=most_bytes, most_bytes_per_source=bytes_per_source)


def test_an_ipv6_source_is_its_network_of_64_bits():
    assert source_of("10.0.0.1") == "10.0.0.1"
    assert source_of("2001:db8::1") == source_of("2001:db8:0:0:5::1") != source_of("2001:db8:0:1::1")


def test_the_connection_that_waits_longest_makes_room():
    all_places = places()
    first, second, third = (all_places.take("a", float(number)) for number in range(3))
    first.since = 9.0
    fourth = all_places.take("a", 10.0)
    assert [place.is_evicted for place in (first, second, third, fourth)] == [False, True, False, False]
    assert (len(all_places), all_places.evicted) == (3, 1)


def test_standing_counts_before_waiting():
    all_places = places()
    first, second, _third = (all_places.take("a", float(number)) for number in range(3))
    first.standing = 1
    all_places.take("a", 10.0)
    assert (first.is_evicted, second.is_evicted) == (False, True)


def test_a_connection_that_we_work_for_is_not_closed_and_the_newcomer_is_refused():
    all_places = places(per_source=1)
    all_places.take("a", 0.0).since = None
    assert all_places.take("a", 1.0) is None
    assert (all_places.refused, all_places.evicted) == (1, 0)


def test_among_equals_the_source_that_waits_longest_makes_room():
    all_places = places(most=2)
    older, newer = all_places.take("b", 0.0), all_places.take("a", 1.0)
    assert all_places.take("c", 2.0)
    assert (older.is_evicted, newer.is_evicted) == (True, False)


def test_a_place_is_given_back_with_its_bytes_and_only_once():
    all_places = places()
    place = all_places.take("a", 0.0)
    all_places.hold(place, 50)
    for _ in range(2):
        all_places.give_back(place)
        all_places.hold(place, -50)  # what ends late lets go of what it held
    assert (len(all_places), all_places.held) == (0, 0)


@pytest.mark.parametrize(("size", "is_refused"), [(80, False), (81, True)])
def test_bytes_of_one_source_are_limited(size, is_refused):
    all_places = places()
    place = all_places.take("a", 0.0)
    if is_refused:
        with pytest.raises(RemoteProtocolError, match="81 bytes in unfinished connections of one peer"):
            all_places.hold(place, size)
    else:
        all_places.hold(place, size)


def test_the_connection_with_most_bytes_makes_room_for_bytes():
    all_places = places()
    hog, modest = all_places.take("a", 0.0), all_places.take("b", 0.0)
    all_places.hold(hog, 80)
    all_places.hold(modest, 21)
    assert (hog.is_evicted, all_places.held) == (True, 21)


def test_the_connection_with_most_bytes_is_refused_more():
    all_places = places(most_bytes=70)
    hog, modest = all_places.take("a", 0.0), all_places.take("b", 0.0)
    all_places.hold(modest, 30)
    all_places.hold(hog, 40)
    with pytest.raises(RemoteProtocolError, match="71 bytes in unfinished connections"):
        all_places.hold(hog, 1)
