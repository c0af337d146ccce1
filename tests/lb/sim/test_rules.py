"""The rules of a swap: what they catch, and that the balancer keeps them."""

import pytest

from gossip.sim.rules import RuleBrokenError
from lb.policy.decision import Change, Decision, Reason
from lb.policy.plan import Claim, PlanConfig, make_plan
from lb.policy.reconciler import Step
from lb.sim.rules import LAST_SERVER, TWO_WITNESSES, check_step


def step(before, after, reason):
    plans = [
        make_plan([Claim("web", m, "10.0.0.1", 80 + int(m[1:]), 100) for m in members], PlanConfig()).plan
        for members in (before, after)
    ]
    changes = tuple(Change(m, reason) for m in sorted(set(before) ^ set(after)))
    return Step(Decision((), changes, frozenset(), 0.0), *plans)


def check(before, after, reason, *answering):
    check_step(step(before, after, reason), lambda server: server.member in answering, 1.0)


@pytest.mark.parametrize("reason", [Reason.FAILED, Reason.ABSENT])
def test_a_server_that_answers_is_not_removed_on_gossips_word(reason):
    with pytest.raises(RuleBrokenError, match=TWO_WITNESSES):
        check(["w1", "w2"], ["w2"], reason, "w1", "w2")
    check(["w1", "w2"], ["w2"], reason, "w2")


def test_a_server_that_answers_may_leave():
    check(["w1", "w2"], ["w2"], Reason.LEFT, "w1", "w2")


def test_the_last_server_that_answers_stays_whatever_is_said():
    with pytest.raises(RuleBrokenError, match=LAST_SERVER):
        check(["w1", "w2"], ["w2"], Reason.LEFT, "w1")
    check(["w1"], [], Reason.LEFT)


def test_arrivals_break_no_rule():
    check([], ["w1"], Reason.ARRIVED)
    check(["w1"], ["w1", "w2"], Reason.ARRIVED, "w1")
