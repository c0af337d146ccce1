"""The limits of SWIM are the numbers that docs/design/limits.md gives; other tests show that they hold."""

import pytest

from gossip.swim import deadlines, eviction, incarnation, node, path_check, probe, reclaim, view


@pytest.mark.parametrize(
    ("limit", "number"),
    [
        (deadlines.LEFTOVERS_TOLERATED, 64),
        (eviction.EVICTION_INTERVAL, 0.1),
        (incarnation.RISE_WINDOW, 60.0),
        (incarnation.MAX_STEP, 4),
        (incarnation.LAST_INCARNATION, 4294967294),
        (node.MAX_REPORTED_ROWS, 16),
        (node.MAX_QUEUED_MESSAGES, 65_536),
        (path_check.MAX_PATH_CHECKS, 32),
        (probe.MAX_REASON_LENGTH, 200),
        (reclaim.PINGS_OF_THE_LIVING, 5),
        (reclaim.RETRY_AFTER, 2.0),
        (reclaim.CLAIM_LIFETIME, 60.0),
        (view.MAX_FORMER_ADDRESSES, 8),
    ],
)
def test_a_limit_is_the_number_that_is_documented(limit, number):
    assert limit == number
