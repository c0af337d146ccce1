"""The search for missing members: which, how often, and the silence of a complete cluster."""

from random import Random

import pytest

from gossip.serf.config import SerfConfig
from gossip.serf.effects import JoinEnded, ResolveSeeds
from gossip.serf.join import JOIN
from gossip.serf.lost_members import MAX_LOST
from gossip.serf.node import LocalMember, SerfNode
from gossip.serf.rejoin import AGAIN, AGAIN_AFTER, MAX_AGAIN, REJOIN
from gossip.serf.saved_state import KnownPeer, SavedState
from gossip.swim.effects import OpenPushPull
from gossip.wire.messages import MemberState
from tests.serf.rig import ME, PORT, Rig, home, host, past, rig_of, state
from tests.swim.rig import row

DEAD = MemberState.DEAD


class Dice(Random):
    """Draws the same number every time."""

    def __init__(self, throw):
        super().__init__(1)
        self.throw = throw

    def random(self):
        return self.throw


def tried(rig):
    return [effect.node for effect in rig.emitted(OpenPushPull)]


def asks(rig):
    """Return the seeds that were looked up, round by round."""
    return [effect.seeds for effect in rig.emitted(ResolveSeeds)]


def answer_all(rig, places=None):
    """Let every look-up end, with the given addresses."""
    for effect in rig.emitted(ResolveSeeds):
        rig.node.seeds_resolved(effect.attempt, places or {}, (), rig.now)


def rig_with_dice(throw, failed, others):
    dice = Dice(0.5)
    rig = Rig(members=[f"n{number}" for number in range(failed + others)], rng=dice)
    rig.quiet()
    for number in range(failed):
        rig.fail(f"n{number}")
    rig.forget()
    dice.throw = throw
    return rig


def peers(first, end=0):
    """Return members 0 to `first`, or `first` to `end`, of an earlier life."""
    numbers = range(first, end) if end else range(first)
    return tuple(KnownPeer(f"n{number}", home(f"n{number}")) for number in numbers)


def next_life(*, seed=1, **saved):
    """Return a rig with a node that starts from `saved`, kept from an earlier life."""
    rig = Rig()
    rig.node = SerfNode(
        SerfConfig(),
        LocalMember(ME, host(ME), PORT),
        rng=Random(seed),
        now=rig.now,
        saved=SavedState(**saved),
    )
    rig.quiet()
    return rig


# --- failed members ---------------------------------------------------------------------------------------


def test_with_everybody_alive_there_is_no_timer_and_nobody_is_asked():
    rig = rig_of("n1", "n2")
    rig.node.remember_seeds(["seed"])
    rig.advance(3600.0)
    assert tried(rig) == asks(rig) == []
    assert REJOIN not in rig.node.swim.deadlines


def test_after_a_leave_the_timer_rests_when_no_seed_is_missing():
    rig = rig_of("n1")
    rig.leave("n1")
    rig.advance(60.0)
    assert tried(rig) == []
    assert REJOIN not in rig.node.swim.deadlines


@pytest.mark.parametrize(("failed", "others"), [(1, 1), (1, 9), (5, 5)])
def test_a_cluster_tries_its_failed_members_once_per_reconnect_interval_and_member(failed, others):
    """As in Serf: with probability failed / alive in each `reconnect_interval`."""
    hours = 10
    attempts = []
    for seed in range(4):
        rig = Rig(
            SerfConfig(reconnect_timeout=1e6), members=[f"n{n}" for n in range(failed + others)], seed=seed
        )
        rig.quiet()
        for number in range(failed):
            rig.fail(f"n{number}")
        rig.forget()
        rig.advance(hours * 3600.0)
        attempts.append(len(tried(rig)))
    expected = hours * 120 * failed / (others + 1)
    assert 0.75 * expected < sum(attempts) / len(attempts) < 1.25 * expected


def test_a_node_that_is_alone_asks_several_of_the_lost_within_two_seconds():
    rig = rig_with_dice(0.5, failed=5, others=0)
    rig.advance(2.0)
    assert len(tried(rig)) == 3


def test_pauses_double_up_to_the_longest():
    rig = rig_with_dice(0.5, failed=1, others=0)
    start, times = rig.now, []
    while len(times) < 6:
        rig.advance(0.25)
        if tried(rig):
            times.append(rig.now - start)
            rig.forget()
    pauses = [later - earlier for earlier, later in zip([0.0, *times], times, strict=False)]
    assert pauses == pytest.approx([1.0, 2.0, 4.0, 8.0, 10.0, 10.0], abs=0.26)


def test_a_reconnect_does_not_ignore_the_events_of_the_other_side():
    rig = rig_with_dice(0.0, failed=1, others=1)
    rig.advance(5.0)
    assert rig.emitted(OpenPushPull)[0] == OpenPushPull(home("n0"), "n0", join=False)
    rig.merge(state(1, event_ltime=30, events=[past(20, "missed")]), initiated=True)
    assert rig.events() == ["missed"]


def test_a_lone_node_joins_the_members_that_it_lost():
    rig = rig_of("n1")
    rig.fail("n1")
    rig.advance(5.0)
    assert rig.emitted(OpenPushPull)[0] == OpenPushPull(home("n1"), "n1", join=True)


def test_a_second_failure_does_not_put_off_the_first_attempt():
    rig = rig_of("n1", "n2")
    rig.fail("n1")
    when = rig.node.swim.deadlines.when(REJOIN)
    rig.advance(0.4)
    rig.fail("n2")
    assert rig.node.swim.deadlines.when(REJOIN) <= when


def test_a_node_that_leaves_looks_for_nobody():
    rig = rig_of("n1")
    rig.node.remember_seeds(["seed"])
    rig.fail("n1")
    rig.node.begin_leave(rig.now)
    rig.advance(60.0)
    assert tried(rig) == asks(rig) == []


# --- lost members -----------------------------------------------------------------------------------------


def test_a_member_that_was_erased_while_failed_is_still_tried():
    rig = Rig(SerfConfig(reconnect_timeout=60.0, reap_interval=5.0), members=["n1"])
    rig.quiet()
    rig.fail("n1")
    rig.advance(70.0)
    assert rig.node.member("n1") is None
    rig.forget()
    rig.advance(30.0)
    assert "n1" in tried(rig)


def test_a_member_that_left_or_was_pruned_is_not_looked_for():
    rig = Rig(SerfConfig(tombstone_timeout=60.0, reap_interval=5.0), members=["n1", "n2"])
    rig.quiet()
    rig.leave("n1")
    rig.fail("n2")
    rig.node.force_leave("n2", prune=True, now=rig.now)
    rig.advance(70.0)
    rig.forget()
    rig.advance(300.0)
    assert tried(rig) == []


def test_members_of_an_earlier_life_are_asked_until_they_are_here():
    rig = next_life(peers=peers(2))
    rig.advance(2.0)
    assert set(tried(rig)) == {"n0", "n1"}
    rig.meet("n0", "n1")
    rig.advance(60.0)
    assert tried(rig) == []
    assert REJOIN not in rig.node.swim.deadlines


def test_members_that_were_alive_are_asked_before_those_that_had_failed():
    rig = next_life(peers=peers(3), failed=peers(3, 9))
    rig.advance(2.0)
    assert set(tried(rig)) == {"n0", "n1", "n2"}


def test_a_lone_node_asks_everybody_once_before_it_asks_anybody_twice():
    rig = next_life(peers=peers(12))
    rig.advance(30.0)
    asked = tried(rig)
    assert len(asked) > 12
    assert set(asked[:12]) == {f"n{number}" for number in range(12)}
    assert asked[12:] == asked[: len(asked) - 12]


def test_members_that_restart_together_do_not_all_ask_the_same_one_first():
    first = set()
    for seed in range(20):
        rig = next_life(peers=peers(12), seed=seed)
        rig.advance(2.0)
        first.add(tried(rig)[0])
    assert len(first) > 5


def test_a_node_that_moved_does_not_ask_at_its_own_former_address():
    rig = next_life(peers=(KnownPeer(ME, home("elsewhere")), *peers(1)))
    rig.advance(60.0)
    assert set(tried(rig)) == {"n0"}


@pytest.mark.parametrize("failed", [0, 1])
def test_of_a_large_earlier_life_only_the_remembered_members_are_asked(failed):
    alive = peers(MAX_LOST)
    rig = next_life(peers=alive, failed=peers(MAX_LOST, MAX_LOST + failed))
    assert set(rig.node.saved_state().failed) == set(alive)


def test_a_member_that_left_while_this_node_was_down_is_not_looked_for():
    rig = next_life(peers=peers(2))
    rig.meet("n0")
    rig.merge(state(9, {"n1": 7}, left=["n1"]), row("n1", state=MemberState.LEFT), initiated=True)
    rig.forget()
    rig.advance(60.0)
    assert tried(rig) == []
    assert REJOIN not in rig.node.swim.deadlines


# --- the second push/pull ---------------------------------------------------------------------------------


def test_a_peer_that_holds_a_lost_member_alive_is_asked_again_so_that_refutations_cross():
    rig = rig_of("n1", "n2", "n3")
    rig.fail("n1")
    rig.fail("n2")
    rig.forget()
    rig.merge(None, row("n1"), row(ME, state=DEAD), initiated=True)
    rig.advance(AGAIN_AFTER)
    assert "n1" in tried(rig)


def test_a_peer_whose_state_shows_no_lost_member_is_not_asked_again():
    rig = rig_of("n1", "n2", "n3", "n4")
    rig.fail("n1")
    rig.forget()
    rig.merge(None, row("n2"), row("n1", state=DEAD), initiated=True)
    assert AGAIN not in rig.node.swim.deadlines


def test_second_push_pulls_end_if_no_member_comes_back():
    rig = rig_of(*(f"n{number}" for number in range(1, 9)))
    rig.fail("n1")
    for _ in range(MAX_AGAIN):
        rig.merge(None, row("n1"), initiated=True)
        assert AGAIN in rig.node.swim.deadlines
        rig.advance(AGAIN_AFTER)
    rig.merge(None, row("n1"), initiated=True)
    assert AGAIN not in rig.node.swim.deadlines


# --- seeds ------------------------------------------------------------------------------------------------


def test_a_seed_is_looked_up_again_when_a_member_is_lost():
    rig = rig_of("n1", "n2")
    rig.node.remember_seeds(["seed"])
    rig.leave("n1")
    rig.advance(2.0)
    assert asks(rig) == [("seed",)]


def test_seeds_at_the_addresses_of_members_are_not_asked_any_more():
    rig = rig_of("n1", "n2")
    rig.node.remember_seeds(["seed"])
    rig.leave("n1")
    rig.advance(2.0)
    (attempt,) = [effect.attempt for effect in rig.emitted(ResolveSeeds)]
    rig.node.seeds_resolved(attempt, {"seed": (home("n2"),)}, (), rig.now)
    rig.node.contact_ended(attempt, home("n2"), "", met_others=True, now=rig.now)
    rig.forget()
    rig.advance(300.0)
    assert asks(rig) == []


def test_a_node_with_company_that_reaches_a_seed_again_broadcasts_nothing():
    rig = rig_of("n1", "n2")
    rig.node.remember_seeds(["seed"])
    rig.leave("n1")
    rig.advance(2.0)
    (attempt,) = [effect.attempt for effect in rig.emitted(ResolveSeeds)]
    rig.quiet()
    rig.node.seeds_resolved(attempt, {"seed": (home("n2"),)}, (), rig.now)
    rig.node.contact_ended(attempt, home("n2"), "", met_others=True, now=rig.now)
    assert rig.node.stats()["intent_queue"] == "0"


def test_a_lone_node_that_reaches_a_seed_again_announces_its_join():
    rig = rig_of()
    rig.node.remember_seeds(["seed"])
    rig.meet("n1")
    rig.leave("n1")
    rig.advance(2.0)
    (attempt,) = [effect.attempt for effect in rig.emitted(ResolveSeeds)]
    rig.quiet()
    rig.node.seeds_resolved(attempt, {"seed": (home("n1"),)}, (), rig.now)
    rig.node.contact_ended(attempt, home("n1"), "", met_others=True, now=rig.now)
    assert rig.node.stats()["intent_queue"] == "1"


def test_a_lone_node_that_finds_company_in_its_rounds_ends_its_retry_join():
    rig = rig_of()
    rig.node.keep_joining(["seed"], now=rig.now, interval=30.0)
    answer_all(rig)  # the retry-join found no member and waits for its interval
    rig.meet("n1")
    rig.leave("n1")
    rig.forget()
    rig.advance(2.0)
    (attempt,) = [effect.attempt for effect in rig.emitted(ResolveSeeds)]
    rig.node.seeds_resolved(attempt, {"seed": (home("n1"),)}, (), rig.now)
    rig.node.contact_ended(attempt, home("n1"), "", met_others=True, now=rig.now)
    (ended,) = rig.emitted(JoinEnded)
    assert (ended.is_retry, ended.others, ended.retry_in, ended.gave_up) == (True, 1, 0.0, False)
    assert JOIN not in rig.node._deadlines


def test_a_node_that_is_alone_asks_its_seeds_for_life():
    rig = rig_of()
    rig.node.remember_seeds(["seed"])
    rig.meet("n1")
    rig.leave("n1")
    for _ in range(60):
        rig.advance(60.0)
        assert asks(rig)
        answer_all(rig)
        rig.forget()


def test_an_unanswered_look_up_is_not_repeated_while_it_runs():
    rig = rig_of("n1")
    rig.node.remember_seeds(["seed"])
    rig.leave("n1")
    rig.advance(300.0)
    assert asks(rig) == [("seed",)]


@pytest.mark.parametrize(("others", "most"), [(2, 8), (29, 2)])
def test_a_large_cluster_asks_a_missing_seed_no_more_often_than_a_small_one(others, most):
    """At most 12 rounds a minute with the shortest pauses, each with three askers in the whole cluster."""
    rig = rig_of(*(f"n{number}" for number in range(others + 1)))
    rig.node.remember_seeds(["seed"])
    rig.leave("n0")
    rounds, minutes = 0, 20
    for _ in range(minutes * 60):
        rig.advance(1.0)
        rounds += len(asks(rig))
        answer_all(rig)
        rig.forget()
    assert rounds / minutes <= most


@pytest.mark.parametrize(("error", "is_looking"), [("", True), ("refused", False)])
def test_a_seed_that_answered_starts_the_search_for_those_that_did_not(error, is_looking):
    rig = rig_of()
    attempt = rig.node.join(["here", "gone"])
    rig.node.seeds_resolved(attempt, {"here": (home("n1"),)}, ("no such host",), rig.now)
    rig.node.contact_ended(attempt, home("n1"), error, met_others=not error, now=rig.now)
    assert (REJOIN in rig.node.swim.deadlines) is is_looking


def test_seeds_of_a_join_that_nobody_answered_are_not_kept():
    rig = rig_of("n1")
    attempt = rig.node.join(["typo"])
    rig.node.seeds_resolved(attempt, {}, ("no such host",), rig.now)
    rig.forget()
    rig.leave("n1")
    rig.advance(60.0)
    assert asks(rig) == []


def test_after_a_restart_with_company_the_missing_are_asked_with_certainty():
    rig = next_life(peers=peers(3))
    rig.meet("n1")
    rig.forget()
    rig.advance(2.0)
    assert tried(rig)
