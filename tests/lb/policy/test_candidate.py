import pytest

from gossip.serf.members import MemberStatus
from lb.policy.candidate import Candidate, Sighting
from lb.policy.damping import FlapConfig
from lb.policy.plan import Claim

ALIVE, LEAVING, LEFT, FAILED = (
    MemberStatus.ALIVE,
    MemberStatus.LEAVING,
    MemberStatus.LEFT,
    MemberStatus.FAILED,
)
CLAIM = Claim("web", "a", "10.0.0.1", 80, 1)
MOVED = Claim("web", "a", "10.0.0.2", 80, 1)


def candidate(*statuses, listed=CLAIM):
    one = Candidate("a", listed, FlapConfig(), 0.0)
    for at, status in enumerate(statuses):
        one.see(Sighting("a", status, CLAIM), float(at))
    return one


def test_what_haproxy_does_not_care_about_is_no_change():
    one = candidate(ALIVE)
    assert not one.see(Sighting("a", ALIVE, CLAIM), 5.0)
    assert one.changed_at == 0.0


def test_a_new_address_is_a_change_but_does_not_make_it_alive_anew():
    one = candidate(ALIVE)
    assert one.see(Sighting("a", ALIVE, MOVED), 5.0)
    assert (one.changed_at, one.alive_since, one.wants_change) == (5.0, 0.0, True)


def test_a_change_is_said_by_its_witnesses_and_without_any_by_the_member_itself():
    one = candidate(ALIVE)
    assert one.said_by == ("a",)
    one.see(Sighting("a", FAILED, None, ("b", "c")), 1.0)
    assert one.said_by == ("b", "c")


@pytest.mark.parametrize("status", [LEAVING, LEFT, FAILED])
def test_only_an_alive_member_speaks_for_itself(status):
    one = candidate(ALIVE)
    one.see(Sighting("a", status, None), 1.0)
    assert one.claim == CLAIM
    assert not one.see(Sighting("a", status, MOVED), 2.0)


@pytest.mark.parametrize(
    ("statuses", "facts"),
    [
        ((), {"is_missing"}),
        ((ALIVE,), {"is_staying"}),
        ((ALIVE, LEAVING), {"is_going"}),
        ((ALIVE, LEFT), {"is_gone"}),
        ((ALIVE, FAILED), {"is_missing"}),
    ],
)
def test_a_member_in_the_file_is_in_exactly_one_situation(statuses, facts):
    one = candidate(*statuses)
    situations = ("is_staying", "is_going", "is_gone", "is_missing")
    assert {situation for situation in situations if getattr(one, situation)} == facts
    assert one.is_ours
    assert one.home == "web"


def test_an_alive_member_without_a_claim_is_gone():
    one = candidate(ALIVE)
    one.see(Sighting("a", ALIVE, None), 1.0)
    assert one.is_gone
    assert not one.wants_change


def test_a_member_out_of_the_file_is_ours_while_it_wants_in():
    assert candidate(ALIVE, listed=None).is_ours
    assert not candidate(ALIVE, FAILED, listed=None).is_ours
    assert candidate(ALIVE, listed=None).home == ""


def test_failing_is_a_flap_and_leaving_is_none():
    assert candidate(ALIVE, FAILED).penalty.at(1.0) == 1.0
    assert candidate(ALIVE, LEAVING, LEFT).penalty.at(2.0) == 0.0
    assert candidate(FAILED).penalty.at(0.0) == 0.0


def test_coming_back_within_a_minute_of_leaving_is_a_flap():
    soon, late = candidate(ALIVE, LEFT, listed=None), candidate(ALIVE, LEFT, listed=None)
    soon.see(Sighting("a", ALIVE, CLAIM), 60.9)
    late.see(Sighting("a", ALIVE, CLAIM), 61.0)
    assert (soon.penalty.at(61.0) > 0.9, late.penalty.at(61.0)) == (True, 0.0)


def test_a_leave_that_was_refuted_before_it_took_effect_is_no_flap():
    assert candidate(ALIVE, LEFT, ALIVE).penalty.at(3.0) == 0.0


def test_who_flapped_is_welcome_after_having_been_alive_for_a_while():
    one = candidate(ALIVE, FAILED, ALIVE, listed=None)
    assert one.welcome_at(2.0) == pytest.approx(4.0, abs=0.1)
    assert candidate(ALIVE, listed=None).welcome_at(0.0) == 0.0


def test_a_member_is_remembered_as_long_as_it_matters():
    assert not candidate(ALIVE, LEFT).may_be_forgotten(1e9)  # in the file
    assert not candidate(ALIVE, listed=None).may_be_forgotten(1e9)  # wants in
    assert not candidate(ALIVE, FAILED, listed=None).may_be_forgotten(200.0)  # flapped
    assert candidate(ALIVE, FAILED, listed=None).may_be_forgotten(400.0)
    assert not candidate(ALIVE, LEFT, listed=None).may_be_forgotten(60.9)  # might return
    assert candidate(ALIVE, LEFT, listed=None).may_be_forgotten(61.0)
    assert candidate(ALIVE, LEAVING, listed=None).may_be_forgotten(1.0)
