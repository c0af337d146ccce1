"""What one finds in the log about servers, waits and odd members."""

from dataclasses import dataclass

import pytest

from lb.event_log import _WAITS, MAX_NAMES, MAX_REMEMBERED_COMPLAINTS, EventLog
from lb.policy.convergence import Condition
from lb.policy.decision import Account, Change, Decision, Reason, State, Topic, Word
from lb.policy.guard import HoldReason
from lb.policy.plan import Claim, MappedName, PlanConfig, Rejection, make_plan
from lb.policy.reconciler import Step
from lb.policy.witness import Health


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def line(caplog: pytest.LogCaptureFixture) -> tuple[str, str, dict[str, object]]:
    (record,) = caplog.records
    return record.levelname, record.getMessage(), vars(record)


def test_member_that_is_no_server_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    events = EventLog()
    for _ in range(3):
        events.complain(Rejection("a", "port tag is not a port"))
    level, text, fields = line(caplog)
    assert (level, text) == ("WARNING", "member ignored")
    assert (fields["member"], fields["reason"]) == ("a", "port tag is not a port")


def test_replaced_name_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    events = EventLog()
    for _ in range(2):
        events.complain(MappedName("a b", "a-b-1"))
    _, text, fields = line(caplog)
    assert (text, fields["member"], fields["server"]) == ("member renamed", "a b", "a-b-1")


@pytest.mark.parametrize(("excess", "logged"), [(0, 0), (1, 1)])
def test_remembered_complaints_are_bounded(
    caplog: pytest.LogCaptureFixture, excess: int, logged: int
) -> None:
    events = EventLog()
    events.complain(Rejection("first", "x"))
    for number in range(MAX_REMEMBERED_COMPLAINTS - 1 + excess):
        events.complain(Rejection(str(number), "x"))
    caplog.clear()
    events.complain(Rejection("first", "x"))
    assert len(caplog.records) == logged


def step(before: list[str], after: list[str], account: Account) -> Step:
    config = PlanConfig()
    plans = [
        make_plan([Claim("web", m, "10.0.0.1", 80 + int(m[1:]), 100) for m in ms], config).plan
        for ms in (before, after)
    ]
    return Step(Decision((), (account.change,), frozenset(), 0.0, (account,)), *plans)


@dataclass
class Case:
    """A change and its line."""

    before: list[str]
    after: list[str]
    account: Account
    level: str
    text: str
    fields: dict[str, object]


CASES = {
    "a failure": Case(
        ["w1", "w2"],
        ["w2"],
        Account(Change("w1", Reason.FAILED), ("w2", "lb"), 1.5, Health.DOWN),
        "WARNING",
        "server removed",
        {
            "server": "web/w1",
            "addr": "10.0.0.1:81",
            "reason": "failed",
            "said_by": "w2,lb",
            "after": 1.5,
            "haproxy": "DOWN",
        },
    ),
    "an arrival": Case(
        [],
        ["w1"],
        Account(Change("w1", Reason.ARRIVED), ("w1",), 0.5, Health.UNKNOWN),
        "INFO",
        "server added",
        {"server": "web/w1", "reason": "arrived", "said_by": "w1"},
    ),
    "a replacement": Case(
        ["w1"],
        [],
        Account(Change("w1", Reason.REPLACED, "w9"), ("w2",), 3.0, Health.DOWN),
        "INFO",
        "server removed",
        {"reason": "replaced", "successor": "w9"},
    ),
    "an absence": Case(
        ["w1"],
        [],
        Account(Change("w1", Reason.ABSENT), (), 20.0, Health.DOWN),
        "WARNING",
        "server removed",
        {"reason": "absent", "said_by": "nobody"},
    ),
    "a move": Case(
        ["w1"],
        ["w1"],
        Account(Change("w1", Reason.CHANGED), ("w1",), 0.0, Health.UP),
        "INFO",
        "server changed",
        {"haproxy": "UP"},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_change_of_a_server_is_one_line_with_its_why_and_who(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    EventLog().tell_changes(step(case.before, case.after, case.account))
    level, text, fields = line(caplog)
    assert (level, text) == (case.level, case.text)
    assert {key: fields[key] for key in case.fields} == case.fields


def test_a_member_that_never_had_a_line_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    EventLog().tell_changes(step([], [], Account(Change("w1", Reason.ARRIVED), (), 0.0, Health.UNKNOWN)))
    assert caplog.records == []


def test_an_unclean_name_is_shown_beside_its_servers(caplog: pytest.LogCaptureFixture) -> None:
    plan = make_plan([Claim("web", "w;1", "10.0.0.1", 80, 100)], PlanConfig()).plan
    account = Account(Change("w;1", Reason.ARRIVED), ("w;1",), 0.0, Health.UNKNOWN)
    empty = make_plan((), PlanConfig()).plan
    EventLog().tell_changes(Step(Decision((), (account.change,), frozenset(), 0.0, (account,)), empty, plan))
    assert line(caplog)[2]["member"] == "w;1"


def test_a_wait_says_what_for_which_servers_are_kept_and_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    EventLog().tell_state(State(Word.HELD, "disputed"), "observing", 2.0, ["web-1", "web-2"])
    level, text, fields = line(caplog)
    assert (level, text) == ("WARNING", "state changed")
    assert (fields["state"], fields["previous"], fields["for"]) == ("held(disputed)", "observing", 2.0)
    assert fields["kept"] == "web-1,web-2"
    assert "DOWN" in str(fields["waits_for"])
    assert "restart the agents" in str(fields["do"])


def test_a_state_that_waits_for_nothing_is_short(caplog: pytest.LogCaptureFixture) -> None:
    EventLog().tell_state(State(Word.OBSERVE), "settling", 0.5, [])
    level, _, fields = line(caplog)
    assert level == "INFO"
    assert not {"waits_for", "kept", "do"} & fields.keys()


def test_a_line_names_some_servers_and_counts_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    EventLog().tell_state(State(Word.WAITING, "quiet"), "", 0.0, [f"w{i}" for i in range(MAX_NAMES + 2)])
    assert str(line(caplog)[2]["kept"]).endswith("w9 and 2 more")


def test_every_wait_of_the_policy_has_its_words() -> None:
    assert {*map(str, Condition), *map(str, HoldReason), str(Topic.MOVING), "join"} == set(_WAITS)


def test_a_full_backend_is_an_error_when_it_begins_and_news_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events = EventLog()
    events.tell_room({"web": 3}, 3)
    events.tell_room({"web": 4}, 4)
    events.tell_room({}, 4)
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("ERROR", "backend is full: new servers wait"),
        ("INFO", "backend has room again"),
    ]
