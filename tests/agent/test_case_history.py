import pytest

from gossip.agent.case_history import MAX_ENTRIES, MAX_ENTRIES_PER_MEMBER, CaseHistory
from gossip.serf.effects import (
    MemberFailed,
    MemberJoined,
    MemberLeaving,
    MemberLeft,
    MemberReaped,
    MemberSuspected,
    MemberUpdated,
    QueryFinished,
    SuspicionConfirmed,
    SuspicionRefuted,
)
from gossip.serf.members import MemberStatus, SerfMember
from gossip.swim.evidence import Evidence
from tests.swim.rig import alive, home

EVIDENCE = Evidence("n2", "n2", incarnation=7)


def member(name: str) -> SerfMember:
    return SerfMember(alive(name, 3), MemberStatus.ALIVE, 0, 0.0)


def suspected(name: str) -> MemberSuspected:
    return MemberSuspected(member(name), "n2", EVIDENCE)


def kinds(history: CaseHistory, name: str) -> list[str]:
    case = history.case(name)
    return [entry.kind for entry in case.entries] if case else []


def test_a_case_tells_everything_that_happened_in_order():
    history = CaseHistory()
    n1 = member("n1")
    effects = [
        MemberSuspected(n1, "n2", EVIDENCE),
        SuspicionConfirmed(n1, EVIDENCE),
        SuspicionRefuted(n1, EVIDENCE),
        MemberFailed(n1, EVIDENCE),
        MemberJoined(n1),
        MemberLeaving(n1),
        MemberLeft(n1),
        MemberReaped(n1),
    ]
    for at, effect in enumerate(effects):
        history.observe([effect, QueryFinished(1), MemberUpdated(n1)], float(at))
    case = history.case("n1")
    assert kinds(history, "n1") == [
        "suspected", "confirmed", "refuted", "failed", "returned", "leaving", "left", "reaped",
    ]  # fmt: skip
    assert [entry.at for entry in case.entries] == list(range(8))
    assert [entry.evidence for entry in case.entries] == [EVIDENCE] * 4 + [None] * 4
    assert [entry.incarnation for entry in case.entries] == [7] * 4 + [3] * 4
    assert {entry.address for entry in case.entries} == {home("n1")}
    assert case.forgotten == 0


@pytest.mark.parametrize("effect", [MemberJoined, MemberUpdated])
def test_a_member_of_which_only_good_is_known_has_no_case(effect):
    history = CaseHistory()
    history.observe([effect(member("n1"))], 1.0)
    assert history.case("n1") is None
    assert len(history) == 0


def test_of_one_member_the_latest_entries_are_kept():
    history = CaseHistory()
    for at in range(MAX_ENTRIES_PER_MEMBER):
        history.observe([suspected("n1")], float(at))
    assert len(history) == MAX_ENTRIES_PER_MEMBER
    assert history.case("n1").forgotten == 0
    history.observe([suspected("n1")], 99.0)
    assert len(history) == MAX_ENTRIES_PER_MEMBER
    assert history.case("n1").forgotten == 1
    assert [entry.at for entry in history.case("n1").entries][::31] == [1.0, 99.0]


def test_of_all_members_the_case_that_changed_longest_ago_makes_room():
    history = CaseHistory()
    for number in range(MAX_ENTRIES):
        history.observe([suspected(f"n{number}")], 1.0)
    assert len(history) == MAX_ENTRIES
    assert kinds(history, "n0") == ["suspected"]
    history.observe([suspected("n0")], 2.0)  # not the oldest any more, but one entry too many
    assert kinds(history, "n0") == ["suspected"] * 2
    assert history.case("n1") is None
    assert len(history) == MAX_ENTRIES
