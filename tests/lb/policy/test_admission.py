import math

import pytest

from gossip.serf.members import MemberStatus
from lb.policy.admission import Admission
from lb.policy.candidate import Candidate, Sighting
from lb.policy.damping import FlapConfig
from lb.policy.plan import Claim


def newcomers(count):
    made = []
    for i in range(count):
        claim = Claim("web", f"web-{i:03}", "10.0.0.1", i + 1, 100)
        one = Candidate(claim.member, None, FlapConfig(), 0.0)
        one.see(Sighting(claim.member, MemberStatus.ALIVE, claim), 0.0)
        made.append(one)
    return made


@pytest.mark.parametrize(("count", "waiting"), [(100, 0), (101, 1)])
def test_a_hundred_newcomers_enter_at_once_and_the_next_one_waits(count, waiting):
    admission, crowd = Admission(1000), newcomers(count)
    admission.admit(crowd, crowd, 5.0)
    assert sum(one.is_blocked for one in crowd) == waiting
    assert admission.next_admission() == (5.25 if waiting else math.inf)


def test_a_newcomer_at_a_held_address_does_not_hide_those_after_it():
    held = Candidate("old", Claim("web", "old", "10.0.0.1", 1, 100), FlapConfig(), 0.0)
    held.see(Sighting("old", MemberStatus.ALIVE, held.listed), 0.0)
    first, second = crowd = newcomers(2)
    Admission(1000).admit(crowd, [held, *crowd], 5.0)
    assert (first.is_admitted, second.is_admitted) == (False, True)


def test_a_second_later_fifty_more_may_enter():
    admission, crowd = Admission(1000), newcomers(200)
    admission.admit(crowd, crowd, 5.0)
    admission.admit(crowd, crowd, 6.0)
    assert sum(one.is_admitted for one in crowd) == 150


def test_a_long_time_without_newcomers_saves_up_one_burst_and_no_more():
    admission, crowd = Admission(1000), newcomers(200)
    admission.admit([], crowd, 5.0)
    admission.admit(crowd, crowd, 1e6)
    assert sum(one.is_admitted for one in crowd) == 100


def test_before_the_first_newcomer_nobody_waits():
    assert Admission(1000).next_admission() == math.inf
