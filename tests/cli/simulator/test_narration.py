"""Every effect can be told in words, those of queries included."""

from typing import get_args

import pytest

from gossip.cli.simulator.narration import _WORDS, describe, narrate
from gossip.serf.effects import Effect, QueryAcked, QueryAnswered, QueryFinished, QueryReceived
from gossip.serf.queries import IncomingQuery
from gossip.sim.trace import Trace

QUERY = IncomingQuery(1, 2, "load", b"", "n3", bytes(4), 7946, 0, 9.0)


def test_no_effect_lacks_words():
    assert set(_WORDS) == set(get_args(Effect))


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (QueryReceived(QUERY), "receives query 'load' from n3"),
        (QueryAcked(7, "n1"), "has the ack of n1 to query 7"),
        (QueryAnswered(7, "n1", b"0.4"), "has the answer of n1 to query 7"),
        (QueryFinished(7), "stops waiting for answers to query 7"),
    ],
)
def test_queries_are_told(effect, words):
    assert describe(effect) == words


def test_a_line_has_the_time_the_host_and_what_happened():
    trace = Trace()
    trace.note(1.5, "n0", "crashes")
    trace.effect(2.0, "n1", QueryFinished(3))
    assert narrate(trace.entries) == (
        "    1.500000  n0  crashes\n    2.000000  n1  stops waiting for answers to query 3"
    )


def test_effects_that_differ_in_one_field_differ_in_the_hash():
    digests = set()
    for effect in (QueryFinished(1), QueryFinished(2), QueryAcked(1, "n0"), QueryAcked(1, "n1")):
        trace = Trace()
        trace.effect(1.0, "n0", effect)
        digests.add(trace.digest())
    assert len(digests) == 4
