import pytest

from lb.policy.guard import Case, HoldReason, doubt, hold_reason
from lb.policy.witness import Health, health_of


def case(failures, staying, up=None, is_held=False, min_backends=1):
    return Case(
        failures=frozenset(failures),
        staying=frozenset(staying),
        up=frozenset(staying if up is None else up),
        is_held=is_held,
        min_backends=min_backends,
    )


def test_a_failure_passes_when_enough_others_stay():
    assert hold_reason(case("a", "b")) is None
    assert hold_reason(case("ab", "cd", min_backends=2)) is None


def test_the_last_servers_are_held():
    assert hold_reason(case("ab", "")) is HoldReason.MIN_BACKENDS
    assert hold_reason(case("a", "b", min_backends=2)) is HoldReason.MIN_BACKENDS


def test_a_hold_begins_by_number_whatever_haproxy_says():
    assert hold_reason(case("a", "b", up="")) is None


def test_a_hold_ends_when_others_are_up_not_when_they_are_there():
    assert hold_reason(case("a", "b", up="", is_held=True)) is HoldReason.MIN_BACKENDS
    assert hold_reason(case("a", "b", up="b", is_held=True)) is None


@pytest.mark.parametrize(
    ("health", "is_absent", "seconds", "reason"),
    [
        (Health.DOWN, False, 0.0, None),
        (Health.DOWN, True, 0.0, None),
        (Health.UP, False, 1e9, HoldReason.DISPUTED),
        (Health.UNKNOWN, False, 1e9, HoldReason.UNCONFIRMED),
        (Health.UNCHECKED, False, 59.9, HoldReason.UNCONFIRMED),
        (Health.UNCHECKED, False, 60.0, None),
        (Health.UNCHECKED, True, 1e9, HoldReason.UNCONFIRMED),
    ],
)
def test_gossips_word_needs_a_second_witness(health, is_absent, seconds, reason):
    assert doubt(health, is_absent=is_absent, seconds=seconds) is reason


def test_what_haproxy_did_not_say_is_unknown():
    assert health_of("a", None) is health_of("a", {"b": Health.UP}) is Health.UNKNOWN
    assert health_of("a", {"a": Health.DOWN}) is Health.DOWN
