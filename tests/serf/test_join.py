"""Join attempts: the driver's tasks, its reports, and the results."""

import pytest

from gossip.errors import LocalProtocolError
from gossip.serf import join as join_module
from gossip.serf.effects import ContactSeed, JoinEnded, ResolveSeeds
from gossip.serf.join import MAX_ATTEMPTS, MAX_CONTACTS, MAX_JOIN_ADDRESSES
from gossip.wire.address import Address
from gossip.wire.serf_messages import JoinIntent
from tests.serf.rig import ME, home, rig_of

SEED = Address("192.0.2.7", 7946)


def addresses(count):
    return tuple(Address("192.0.2.9", 1 + number) for number in range(count))


def resolve(rig, attempt, *places, errors=()):
    rig.node.seeds_resolved(attempt, {"seed": places}, errors, rig.now)


def end(rig, attempt, to=SEED, error="", met_others=True):
    rig.node.contact_ended(attempt, to, error, met_others=met_others, now=rig.now)


def asked(rig):
    return [effect.to for effect in rig.emitted(ContactSeed)]


def test_a_join_resolves_its_seeds_and_contacts_nobody_yet():
    rig = rig_of()
    attempt = rig.node.join(["seed", "other"])
    assert rig.emitted(ResolveSeeds) == [ResolveSeeds(attempt, ("seed", "other"))]
    assert asked(rig) == []


def test_every_address_of_every_seed_is_contacted_once():
    rig = rig_of()
    attempt = rig.node.join(["a", "b"], replay=True)
    rig.node.seeds_resolved(attempt, {"a": (SEED, home("n1")), "b": (SEED,)}, (), rig.now)
    assert rig.emitted(ContactSeed) == [
        ContactSeed(attempt, SEED, replay=True),
        ContactSeed(attempt, home("n1"), replay=True),
    ]


def test_the_first_answer_is_announced_and_no_other():
    rig = rig_of("n1")
    attempt = rig.node.join(["seed"])
    resolve(rig, attempt, SEED, home("n1"))
    assert rig.queued() == []
    end(rig, attempt)
    end(rig, attempt, home("n1"))
    assert rig.queued() == [JoinIntent(1, ME)]


def test_a_join_ends_when_all_addresses_have_answered_or_failed():
    rig = rig_of()
    attempt = rig.node.join(["seed", "gone"])
    resolve(rig, attempt, SEED, home("n1"), errors=("no such host",))
    end(rig, attempt, home("n1"), error="refused")
    assert rig.emitted(JoinEnded) == []
    end(rig, attempt, met_others=False)
    assert rig.emitted(JoinEnded) == [JoinEnded(attempt, 1, ("no such host", "refused"), 0)]


def test_a_join_without_any_address_ends_at_once():
    rig = rig_of()
    attempt = rig.node.join(["seed"])
    rig.node.seeds_resolved(attempt, {}, ("no such host",), rig.now)
    assert rig.emitted(JoinEnded) == [JoinEnded(attempt, 0, ("no such host",), 0)]


def test_errors_are_in_the_order_of_the_addresses():
    rig = rig_of()
    attempt = rig.node.join(["seed"])
    resolve(rig, attempt, SEED, home("n1"))
    end(rig, attempt, home("n1"), error="second")
    end(rig, attempt, SEED, error="first")
    assert rig.emitted(JoinEnded)[0].errors == ("first", "second")


def test_only_some_addresses_are_asked_at_once():
    rig = rig_of()
    attempt = rig.node.join(["seed"])
    found = addresses(MAX_CONTACTS + 1)
    resolve(rig, attempt, *found)
    assert asked(rig) == list(found[:MAX_CONTACTS])
    end(rig, attempt, found[0], error="refused")
    assert asked(rig) == list(found)


@pytest.mark.parametrize("extra", [0, 1])
def test_the_addresses_of_one_join_are_bounded(extra):
    rig = rig_of()
    attempt = rig.node.join(["seed"])
    resolve(rig, attempt, *addresses(MAX_JOIN_ADDRESSES + extra))
    for number in range(MAX_JOIN_ADDRESSES):
        end(rig, attempt, addresses(MAX_JOIN_ADDRESSES)[number])
    (ended,) = rig.emitted(JoinEnded)
    assert ended.contacted == MAX_JOIN_ADDRESSES
    assert len(ended.errors) == extra


def test_one_join_too_many_is_refused(monkeypatch):
    monkeypatch.setattr(join_module, "MAX_ATTEMPTS", 2)
    assert MAX_ATTEMPTS > 2
    rig = rig_of()
    first = rig.node.join(["seed"])
    rig.node.join(["seed"])
    with pytest.raises(LocalProtocolError, match="cannot join: 2 joins of this agent are under way"):
        rig.node.join(["seed"])
    rig.node.seeds_resolved(first, {}, (), rig.now)
    rig.node.join(["seed"])


def test_reports_about_an_attempt_that_is_over_are_ignored():
    rig = rig_of()
    resolve(rig, 7, SEED)
    end(rig, 7)
    assert asked(rig) == rig.emitted(JoinEnded) == []


def test_a_join_that_ends_during_a_leave_is_not_announced():
    rig = rig_of("n1")
    attempt = rig.node.join(["seed"])
    resolve(rig, attempt, SEED)
    rig.node.begin_leave(rig.now)
    end(rig, attempt)
    assert not any(isinstance(message, JoinIntent) for message in rig.queued())


# --- retry-join -------------------------------------------------------------------------------------------


def retry(rig, **how):
    rig.node.keep_joining(["seed"], now=rig.now, **how)


def fail_all(rig, *, error="refused", met_others=False):
    """Let all attempts in progress fail; return the ends of the retry-join's attempts."""
    for effect in rig.emitted(ResolveSeeds):
        resolve(rig, effect.attempt, SEED)
        end(rig, effect.attempt, error=error, met_others=met_others)
    ended = rig.emitted(JoinEnded)
    assert all(outcome.is_retry for outcome in ended)
    rig.forget()
    return ended


@pytest.mark.parametrize("error", ["refused", ""], ids=["nobody answers", "only this node answers"])
def test_a_retry_join_tries_again_until_it_has_met_somebody(error):
    rig = rig_of()
    retry(rig, interval=5.0)
    (ended,) = fail_all(rig, error=error)
    assert (ended.retry_in, ended.gave_up) == (5.0, False)
    rig.advance(4.9)
    assert fail_all(rig, error=error) == []
    rig.advance(0.2)
    (ended,) = fail_all(rig, error="", met_others=True)
    assert (ended.retry_in, ended.gave_up) == (0.0, False)
    rig.meet("n1")
    rig.advance(60.0)
    assert fail_all(rig) == []


def test_a_node_that_is_alone_asks_between_the_attempts_of_a_long_retry_interval():
    rig = rig_of()
    retry(rig, interval=600.0)
    fail_all(rig)
    asked = []
    for _ in range(30):
        rig.advance(1.0)
        asked += [effect.seeds for effect in rig.emitted(ResolveSeeds)]
        fail_all(rig)
    assert asked[:3] == [("seed",)] * 3


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_retry_join_gives_up_after_its_last_attempt(attempts):
    rig = rig_of()
    retry(rig, interval=0.01, max_attempts=attempts)
    outcomes = []
    for _ in range(3):
        outcomes += [ended.gave_up for ended in fail_all(rig)]
        rig.advance(0.02)
    assert outcomes == [False] * attempts + [True]
    rig.advance(0.05)
    assert fail_all(rig) == []


def test_a_retry_join_stops_when_the_node_leaves():
    rig = rig_of("n1")
    retry(rig, interval=5.0)
    fail_all(rig)
    rig.node.begin_leave(rig.now)
    rig.advance(10.0)
    assert rig.emitted(ResolveSeeds) == []
