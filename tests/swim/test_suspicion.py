import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.swim.evidence import Channel, Evidence, Origin, ProbeRecord
from gossip.swim.suspicion import HEARSAY, Suspicion, remaining_suspicion

FORMULAS = json.loads((Path(__file__).parents[1] / "vectors" / "formulas.json").read_text())


@pytest.mark.parametrize("row", FORMULAS["remaining_suspicion"], ids=lambda row: f"n{row['n']}-k{row['k']}")
def test_remaining_time_is_memberlists(row):
    remaining = remaining_suspicion(row["n"], row["k"], row["elapsed_s"], row["min_s"], row["max_s"])
    assert remaining == pytest.approx(row["remaining_s"], abs=1e-9)


def test_a_suspicion_without_confirmers_lasts_the_minimum():
    assert Suspicion("n1", 0, 2.0, 12.0, 100.0).deadline == 102.0


@pytest.mark.parametrize("k", [1, 3])
def test_an_unconfirmed_suspicion_waits_the_maximum(k):
    assert Suspicion("n1", k, 2.0, 12.0, 100.0).deadline == 112.0


def test_each_confirmation_shortens_the_wait_less_than_the_one_before():
    suspicion = Suspicion("n1", 3, 2.0, 12.0, 100.0)
    deadlines = [suspicion.deadline]
    for reporter in ("n2", "n3", "n4"):
        assert suspicion.confirm(reporter)
        deadlines.append(suspicion.deadline)
    assert deadlines == [112.0, 107.0, 104.075, 102.0]


def test_third_confirmation_reaches_the_minimum_timeout():
    suspicion = Suspicion("n1", 3, 2.0, 12.0, 100.0)
    for reporter in ("n2", "n3", "n4"):
        suspicion.confirm(reporter)
    assert suspicion.deadline == 102.0


def test_the_first_reporter_cannot_confirm_itself():
    suspicion = Suspicion("n1", 3, 2.0, 12.0, 100.0)
    assert not suspicion.confirm("n1")
    assert suspicion.deadline == 112.0


def test_a_reporter_confirms_once():
    suspicion = Suspicion("n1", 3, 2.0, 12.0, 100.0)
    assert suspicion.confirm("n2")
    assert not suspicion.confirm("n2")
    assert suspicion.confirmers == ["n2"]


def test_k_confirmations_count_and_one_more_does_not():
    suspicion = Suspicion("n1", 2, 2.0, 12.0, 100.0)
    assert [suspicion.confirm(reporter) for reporter in ("n2", "n3", "n4")] == [True, True, False]
    assert suspicion.confirmers == ["n2", "n3"]


@pytest.mark.parametrize("k", [0, -1])  # below zero if the multiplier is 1
def test_if_no_confirmation_counts_none_is_accepted(k):
    suspicion = Suspicion("n1", k, 2.0, 12.0, 100.0)
    assert not suspicion.confirm("n2")
    assert suspicion.deadline == 102.0


def test_hearsay_confirms_nothing():
    suspicion = Suspicion("n1", 3, 2.0, 12.0, 100.0)
    assert not suspicion.confirm(HEARSAY)
    assert suspicion.confirmers == []
    assert suspicion.deadline == 112.0


def test_the_first_named_reporter_becomes_the_accuser_of_a_hearsay_suspicion():
    suspicion = Suspicion(HEARSAY, 3, 2.0, 12.0, 100.0)
    assert suspicion.confirm("n1")
    assert suspicion.reporter == "n1"
    assert suspicion.confirmers == []
    assert suspicion.deadline == 112.0


def test_a_suspicion_from_hearsay_needs_an_accuser_and_k_others_to_end_at_the_minimum():
    suspicion = Suspicion(HEARSAY, 3, 2.0, 12.0, 100.0)
    for reporter in ("n1", "n1", "n2", HEARSAY, "n3"):
        suspicion.confirm(reporter)
    assert suspicion.deadline == 104.075
    assert suspicion.confirm("n4")
    assert suspicion.deadline == 102.0


def test_if_no_confirmation_counts_an_accuser_is_kept_but_not_passed_on():
    suspicion = Suspicion(HEARSAY, 0, 2.0, 12.0, 100.0)
    assert not suspicion.confirm("n1")
    assert suspicion.reporter == "n1"


@given(st.integers(1, 6), st.floats(0.1, 60), st.floats(1, 10), st.lists(st.sampled_from("abcdefgh")))
def test_the_deadline_only_moves_forward_in_the_range_between_minimum_and_maximum(
    k, minimum, factor, reporters
):
    suspicion = Suspicion("z", k, minimum, factor * minimum, 0.0)
    before = suspicion.deadline
    for reporter in reporters:
        suspicion.confirm(reporter)
        assert minimum <= suspicion.deadline <= before
        before = suspicion.deadline
    if len(set(reporters)) >= k:
        assert before == pytest.approx(minimum)


def test_the_evidence_of_a_suspicion_is_its_reporters_and_its_start():
    suspicion = Suspicion("n2", 2, 2.0, 12.0, 100.0)
    suspicion.confirm("n4")
    suspicion.confirm("n3")
    suspicion.origin, suspicion.health = Origin(Channel.PUSH_PULL, "n7"), 2
    assert suspicion.evidence("n5", 4) == Evidence(
        reporter="n5",
        accuser="n2",
        witnesses=("n4", "n3"),
        suspected_at=100.0,
        origin=Origin(Channel.PUSH_PULL, "n7"),
        deadline=suspicion.deadline,
        minimum=suspicion.minimum,
        confirmations=suspicion.k,
        health=2,
        incarnation=4,
    )
    suspicion.probe = ProbeRecord(99.0, ("n6",), ())
    assert suspicion.evidence("n5", 4).probe == ProbeRecord(99.0, ("n6",), ())
