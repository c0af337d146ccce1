import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.swim.effects import MessageRejected, NameConflict
from gossip.swim.incarnation import MAX_INCARNATION_RISE
from gossip.swim.reclaim import (
    CLAIM_LIFETIME,
    MAX_CLAIMS,
    PINGS,
    PINGS_OF_THE_LIVING,
    RETRY_AFTER,
    ReclaimDue,
)
from gossip.wire.address import Address, pack_address
from gossip.wire.messages import Dead, MemberState, Ping
from tests.swim.rig import ME, PORT, Rig, alive, home, row

ALIVE, SUSPECT, DEAD, LEFT = MemberState
NEW = pack_address("10.9.9.9")
NEW_HOME = Address("10.9.9.9", PORT)
CLAIM = alive("n1", addr=NEW)
TIMEOUT = 0.5
DECIDED = 2 * TIMEOUT


def rig_of(*members: str, gone: str = "") -> Rig:
    """Return a rig whose member n1 is gone, reported by itself (`n1`) or another."""
    rig = Rig(members=members or ("n1", "n2"))
    rig.stop_probing()
    rig.stop_anti_entropy()
    if gone:
        rig.bury("n1", gone)
    rig.drain_queue()
    rig.forget()
    return rig


def pings_to(rig: Rig, to: Address) -> list[Ping]:
    return [ping for ping, address in rig.sent(Ping) if address == to]


def answer(rig: Rig, *addresses: Address) -> None:
    """Let the last ping to each address be answered."""
    for address in addresses:
        rig.ack(pings_to(rig, address)[-1])


GONE = pytest.mark.parametrize("gone", ["n1", "n2"], ids=["left", "dead"])


@GONE
def test_a_claim_to_the_name_of_a_gone_member_pings_both_addresses_and_decides_nothing_yet(gone):
    rig = rig_of(gone=gone)
    rig.hear(CLAIM)
    assert [ping.node for ping in pings_to(rig, home("n1")) + pings_to(rig, NEW_HOME)] == ["n1", "n1"]
    assert rig.member("n1").address == home("n1")
    assert rig.member("n1").is_gone
    assert rig.queued() == []


@GONE
def test_the_name_passes_on_when_the_old_address_is_silent_and_the_new_one_answers(gone):
    rig = rig_of(gone=gone)
    rig.hear(CLAIM)
    answer(rig, NEW_HOME)
    rig.advance(DECIDED - 0.01)
    assert rig.member("n1").is_gone
    rig.advance(0.01)
    assert rig.state("n1") is ALIVE
    assert rig.member("n1").address == NEW_HOME
    assert rig.queued() == [CLAIM]
    assert rig.layer.heard == [("joined", "n1")]
    assert len(rig.node.reclaims) == 0


@GONE
@pytest.mark.parametrize("answers", [1, 2, 3])
def test_the_name_stays_while_the_old_address_answers_any_of_the_pings(gone, answers):
    rig = rig_of(gone=gone)
    rig.hear(CLAIM)
    answer(rig, NEW_HOME)
    for _ in range(answers - 1):
        rig.advance(TIMEOUT / 2)
    assert len(pings_to(rig, home("n1"))) == answers
    answer(rig, home("n1"))
    rig.advance(DECIDED)
    assert rig.member("n1").address == home("n1")
    assert rig.emitted(NameConflict) == [NameConflict("n1", home("n1"), NEW_HOME)]


def test_each_address_is_pinged_a_few_times_and_no_more():
    rig = rig_of(gone="n1")
    rig.hear(CLAIM)
    rig.advance(CLAIM_LIFETIME)
    assert len(pings_to(rig, home("n1"))) == len(pings_to(rig, NEW_HOME)) == PINGS


def test_a_name_does_not_pass_on_to_an_address_that_does_not_answer():
    rig = rig_of(gone="n1")
    rig.hear(CLAIM)
    rig.advance(DECIDED)
    assert rig.state("n1") is LEFT
    assert len(rig.node.reclaims) == 0


@pytest.mark.parametrize(("gone", "reporter"), [("n1", "n1"), ("n2", ME)])
def test_an_owner_that_answers_is_sent_the_message_to_refute(gone, reporter):
    rig = rig_of(gone=gone)
    rig.hear(CLAIM)
    rig.forget()
    rig.hear(CLAIM)  # and is pinged once
    assert rig.packets() == []
    rig.node.reclaims.receive_ack(next(iter(rig.node.reclaims._pinged)))
    assert rig.sent(Dead) == [(Dead(1, "n1", reporter), home("n1"))]


def test_an_old_process_that_stops_gives_the_name_away_a_little_later():
    rig = rig_of(gone="n1")
    rig.hear(CLAIM)
    answer(rig, NEW_HOME, home("n1"))
    rig.advance(TIMEOUT / 2)
    rig.forget()
    rig.advance(RETRY_AFTER - 0.01)
    assert rig.packets() == []
    rig.advance(0.01)
    answer(rig, NEW_HOME)
    rig.advance(DECIDED)
    assert rig.member("n1").address == NEW_HOME


def test_a_claim_is_given_up_when_it_has_expired():
    rig = rig_of(gone="n1")
    rig.hear(CLAIM)
    for _ in range(30):
        rig.forget()
        rig.advance(RETRY_AFTER)
        if pings_to(rig, home("n1")):
            answer(rig, NEW_HOME, home("n1"))
    rig.advance(5.0)
    assert len(rig.node.reclaims) == 0
    assert rig.node.reclaims._pinged == {}
    assert rig.member("n1").address == home("n1")


def test_a_claim_to_a_name_that_was_forgotten_meanwhile_is_dropped():
    rig = rig_of(gone="n1")
    rig.hear(CLAIM)
    answer(rig, NEW_HOME)
    (seq, *_) = rig.node.reclaims._pinged
    rig.node.view.forget(rig.node.table.start_round(rig.now + 1))
    rig.node.reclaims.receive_ack(seq)
    assert len(rig.node.reclaims) == 0
    assert ReclaimDue("n1") not in rig.node.deadlines
    rig.advance(DECIDED)
    assert "n1" not in rig.node.table.by_name


def test_an_ack_for_an_unknown_ping_changes_nothing():
    rig = rig_of(gone="n1")
    rig.node.reclaims.receive_ack(77)
    assert rig.effects == []


def test_claims_are_kept_up_to_the_limit_and_not_one_more():
    names = [f"n{number}" for number in range(1, MAX_CLAIMS + 2)]
    rig = rig_of(*names)
    for name in names:
        rig.hear(alive(name, addr=NEW))
    assert len(rig.node.reclaims) == MAX_CLAIMS
    assert [effect.reason for effect in rig.emitted(MessageRejected)] == [
        f"member {names[-1]!r} at another address: 64 such claims are open"
    ]


@pytest.mark.parametrize(
    "claim",
    [
        alive("n1", 9 + MAX_INCARNATION_RISE, addr=NEW),
        alive("n1", addr=NEW, versions=bytes((1, 1, 1, 2, 5, 5))),
    ],
    ids=["incarnation", "versions"],
)
def test_a_claim_that_no_member_could_make_is_refused(claim):
    rig = rig_of(gone="n1")
    rig.hear(claim)
    answer(rig, NEW_HOME)
    rig.advance(DECIDED)
    assert rig.member("n1").row() == row("n1", 1, LEFT)
    assert [effect.source for effect in rig.emitted(MessageRejected)] == ["n1"]


# --- owners that are believed to be alive ------------------------------------------------------------------

DECIDED_ALIVE = (0.5 * (PINGS_OF_THE_LIVING - 1) + 1) * TIMEOUT


@pytest.mark.parametrize("suspected", [False, True])
def test_the_name_of_a_living_member_passes_on_when_its_address_is_silent(suspected):
    rig = rig_of()
    if suspected:
        rig.suspect("n1", "n2")
    rig.layer.heard.clear()
    rig.hear(CLAIM)
    answer(rig, NEW_HOME)
    rig.advance(DECIDED_ALIVE - 0.01)
    assert rig.member("n1").address == home("n1")
    rig.advance(0.01)
    assert rig.member("n1").address == NEW_HOME
    assert rig.state("n1") is ALIVE
    assert rig.layer.heard == [("refuted", "n1")] * suspected + [("updated", "n1")]
    assert rig.emitted(NameConflict) == []
    assert len(rig.node.reclaims) == 0


@pytest.mark.parametrize("answers", range(1, PINGS_OF_THE_LIVING + 1))
def test_the_name_of_a_living_member_stays_if_it_answers_any_of_the_pings(answers):
    rig = rig_of()
    rig.hear(CLAIM)
    answer(rig, NEW_HOME)
    rig.advance((answers - 1) * TIMEOUT / 2)
    answer(rig, home("n1"))
    rig.advance(DECIDED_ALIVE)
    assert rig.member("n1").address == home("n1")
    assert rig.emitted(NameConflict) == [NameConflict("n1", home("n1"), NEW_HOME)]
    assert len(pings_to(rig, home("n1"))) == PINGS_OF_THE_LIVING


def test_stale_news_of_an_unused_address_is_no_conflict():
    rig = rig_of()
    rig.hear(CLAIM)
    answer(rig, home("n1"))
    rig.advance(DECIDED_ALIVE)
    assert rig.emitted(NameConflict) == []
    assert rig.member("n1").address == home("n1")


def test_a_claim_that_stayed_open_is_decided_when_the_owner_is_gone():
    rig = rig_of()
    rig.hear(CLAIM)
    answer(rig, home("n1"))
    rig.advance(DECIDED_ALIVE)
    rig.forget()
    rig.bury("n1", "n2")
    answer(rig, NEW_HOME)
    rig.advance(DECIDED)
    assert rig.member("n1").address == NEW_HOME


def test_a_claim_that_is_repeated_is_asked_about_again_after_a_pause():
    rig = rig_of()
    rig.hear(CLAIM)
    answer(rig, home("n1"))
    rig.advance(DECIDED_ALIVE)
    rig.forget()
    rig.hear(CLAIM)
    assert rig.sent(Ping) == []
    rig.advance(RETRY_AFTER)
    rig.hear(CLAIM)
    assert len(pings_to(rig, home("n1"))) == 1


def test_a_claim_that_came_long_before_the_death_is_forgotten():
    rig = rig_of()
    rig.hear(CLAIM)
    answer(rig, home("n1"))
    rig.advance(CLAIM_LIFETIME)
    rig.forget()
    rig.bury("n1")
    assert rig.sent(Ping) == []


@pytest.mark.parametrize("is_there", [False, True])
def test_our_own_name_elsewhere_is_a_conflict_only_if_somebody_answers_there(is_there):
    rig = rig_of()
    rig.hear(alive(ME, 9, addr=NEW))
    if is_there:
        answer(rig, NEW_HOME)
    rig.advance(DECIDED_ALIVE)
    assert rig.emitted(NameConflict) == [NameConflict(ME, home(ME), NEW_HOME)] * is_there
    assert pings_to(rig, home(ME)) == []
    assert rig.me.incarnation == 1
    rig.advance(CLAIM_LIFETIME)
    assert len(rig.node.reclaims) == 0


STEPS = st.lists(
    st.sampled_from(["claim", "left", "dead", "other claim", "back"])
    | st.floats(0.01, 3.0).map(lambda seconds: round(seconds, 2)),
    max_size=30,
)


@given(STEPS)
def test_no_sequence_of_claims_takes_a_name_from_an_owner_that_answers(steps):
    rig = rig_of()
    answered = 0
    for step in steps:
        incarnation = rig.member("n1").incarnation
        if step == "claim":
            rig.hear(alive("n1", incarnation + 1, addr=NEW))
        elif step == "other claim":
            rig.hear(alive("n1", 1, port=9))
        elif step == "back":
            rig.hear(alive("n1", incarnation + 1))
        elif step in ("left", "dead"):
            rig.bury("n1", "n1" if step == "left" else "n2", incarnation)
        else:
            rig.now += step
        while rig.node.next_deadline() <= rig.now:
            key = rig.node.deadlines.pop_due(rig.now)
            rig.node.handle_timeout(key, rig.now)
            answered = answer_all(rig, answered)
        answered = answer_all(rig, answered)
        assert rig.member("n1").address == home("n1")


def answer_all(rig: Rig, answered: int) -> int:
    """Let all pings but the first `answered` be answered; return how many pings there are now."""
    pings = rig.sent(Ping)
    for ping, _ in pings[answered:]:
        rig.ack(ping)
    return len(pings)
