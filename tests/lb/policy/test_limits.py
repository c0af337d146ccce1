"""Numbers of the policy that other tests only name, so that none changes unseen."""

import pytest

from lb.policy import admission, convergence, damping, failure_lane, guard, settle


@pytest.mark.parametrize(
    ("limit", "number"),
    [
        (admission.ARRIVAL_RATE, 50.0),
        (convergence.MIN_QUIET_PERIOD, 0.5),
        (convergence.MAX_LOCAL_HEALTH, 3),
        (damping.FORGOTTEN, 0.05),
        (failure_lane.MIN_GAP, 0.5),
        (guard.SURPRISE, 5.0),
        (settle.MOVE_RECHECK, 1.0),
        (settle.RECHECK, 0.25),
    ],
)
def test_a_limit_is_the_number_that_was_chosen(limit, number):
    assert limit == number
