import pytest

from lb.policy.damping import FlapConfig, FlapPenalty


@pytest.fixture
def penalty():
    return FlapPenalty(FlapConfig())


def test_a_member_that_never_flapped_need_not_wait(penalty):
    assert penalty.at(1e9) == penalty.wait(1e9) == 0.0
    assert penalty.is_forgotten(0.0)


def test_a_flap_halves_every_minute(penalty):
    penalty.add(100.0)
    assert penalty.at(100.0) == 1.0
    assert penalty.at(160.0) == pytest.approx(0.5)
    assert penalty.at(220.0) == pytest.approx(0.25)


def test_flaps_add_up(penalty):
    penalty.add(100.0)
    penalty.add(160.0)
    assert penalty.at(160.0) == pytest.approx(1.5)


def test_the_wait_doubles_with_every_flap_up_to_five_minutes(penalty):
    waits = []
    for _ in range(10):
        penalty.add(100.0)
        waits.append(penalty.wait(100.0))
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]


def test_below_the_threshold_nobody_waits(penalty):
    penalty.add(100.0)
    assert penalty.wait(159.9) == pytest.approx(2**0.5, abs=0.01)
    assert penalty.wait(160.1) == 0.0


def test_a_person_is_told_from_three_flaps_on(penalty):
    penalty.add(100.0)
    penalty.add(100.0)
    assert not penalty.is_shown(100.0)
    penalty.add(100.0)
    assert penalty.is_shown(100.0)


def test_a_flap_is_forgotten_after_some_minutes(penalty):
    penalty.add(100.0)
    assert not penalty.is_forgotten(300.0)
    assert penalty.is_forgotten(400.0)
