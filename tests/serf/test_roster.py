import pytest

from gossip.serf.config import SerfConfig
from gossip.serf.effects import Effect, MemberEvent, MemberFailed
from gossip.serf.members import MemberStatus
from gossip.serf.roster import REAP, PruneDue, Roster
from gossip.swim.config import SwimConfig
from gossip.swim.deadlines import Deadlines
from gossip.swim.evidence import Evidence
from gossip.wire.serf_messages import JoinIntent, LeaveIntent
from tests.swim.rig import alive, home

ALIVE, LEAVING, LEFT, FAILED = (
    MemberStatus.ALIVE,
    MemberStatus.LEAVING,
    MemberStatus.LEFT,
    MemberStatus.FAILED,
)
PRUNE_DELAY = 6.0
EVIDENCE = Evidence("n2")


class Board:
    """A roster with its timers and its effects."""

    def __init__(self, config: SerfConfig | None = None) -> None:
        self.effects: list[Effect] = []
        self.deadlines = Deadlines()
        self.roster = Roster(config or SerfConfig(), self.deadlines, self.effects.append)

    def put(self, name: str, status: MemberStatus, now: float = 0.0) -> None:
        """Bring `name` into `status` by reports of SWIM and intents."""
        self.roster.joined(alive(name), now)
        if status in (LEAVING, LEFT):
            self.roster.leave_intent(LeaveIntent(5, name), now)
        if status in (LEFT, FAILED):
            self.roster.gone(name, EVIDENCE, now, has_left=False)
        assert self.status(name) is status
        self.effects.clear()

    def status(self, name: str) -> MemberStatus | None:
        member = self.roster.members.get(name)
        return member.status if member else None

    def told(self) -> list[tuple[str, str]]:
        return [(type(e).__name__, e.member.name) for e in self.effects if isinstance(e, MemberEvent)]


# --- what SWIM reports ------------------------------------------------------------------------------------


def test_a_new_member_is_alive_without_any_intent():
    board = Board()
    board.roster.joined(alive("n1"), 3.0)
    assert board.status("n1") is ALIVE
    assert board.roster.members["n1"].status_ltime == 0
    assert board.told() == [("MemberJoined", "n1")]


@pytest.mark.parametrize("status", [LEAVING, LEFT, FAILED])
def test_a_member_that_comes_back_is_alive_with_its_new_announcement(status):
    board = Board()
    board.put("n1", status)
    board.roster.joined(alive("n1", 2, port=99), 1.0)
    assert board.status("n1") is ALIVE
    assert board.roster.members["n1"].address.port == 99
    assert board.told() == [("MemberJoined", "n1")]


def test_an_update_changes_the_announcement():
    board = Board()
    board.put("n1", ALIVE)
    board.roster.updated(alive("n1", 2, meta=b"new"))
    assert board.roster.members["n1"].tags == {"role": "new"}
    assert board.told() == [("MemberUpdated", "n1")]


def test_a_member_that_falls_silent_has_failed():
    board = Board()
    board.put("n1", ALIVE)
    board.roster.gone("n1", EVIDENCE, 1.0, has_left=False)
    assert board.status("n1") is FAILED
    assert board.effects == [MemberFailed(board.roster.members["n1"], EVIDENCE)]


def test_a_member_that_falls_silent_after_a_leave_intent_has_left():
    board = Board()
    board.put("n1", LEAVING)
    board.roster.gone("n1", EVIDENCE, 1.0, has_left=False)
    assert board.status("n1") is LEFT
    assert board.told() == [("MemberLeft", "n1")]


@pytest.mark.parametrize("status", [ALIVE, LEAVING, FAILED])
def test_a_leave_broadcast_means_left_whether_or_not_an_intent_was_heard(status):
    board = Board()
    board.put("n1", status)
    board.roster.gone("n1", EVIDENCE, 1.0, has_left=True)
    assert board.status("n1") is LEFT
    assert board.told() == [("MemberLeft", "n1")]


def test_nobody_leaves_twice():
    board = Board()
    board.put("n1", LEFT)
    board.roster.gone("n1", EVIDENCE, 1.0, has_left=True)
    assert board.told() == []


@pytest.mark.parametrize("status", [LEFT, FAILED])
def test_a_member_that_is_gone_cannot_go_again(status):
    board = Board()
    board.put("n1", status)
    board.roster.gone("n1", EVIDENCE, 1.0, has_left=False)
    assert board.status("n1") is status
    assert board.told() == []


@pytest.mark.parametrize(("back_after", "flaps"), [(0.0, 1), (59.9, 1), (60.0, 0), (61.0, 0)])
def test_a_failed_member_that_is_back_within_a_minute_has_flapped(back_after, flaps):
    board = Board()
    board.put("n1", FAILED, now=100.0)
    board.roster.joined(alive("n1", 2), 100.0 + back_after)
    assert board.roster.flaps == flaps


def test_a_flap_is_counted_once_and_each_further_failure_anew():
    board = Board()
    board.put("n1", FAILED, now=100.0)
    board.roster.joined(alive("n1", 2), 110.0)
    board.roster.joined(alive("n1", 3), 111.0)
    assert board.roster.flaps == 1
    board.roster.gone("n1", EVIDENCE, 200.0, has_left=False)
    board.roster.joined(alive("n1", 4), 259.0)
    assert board.roster.flaps == 2


@pytest.mark.parametrize("status", [ALIVE, LEAVING, LEFT])
def test_only_a_failed_member_can_flap(status):
    board = Board()
    board.put("n1", status)
    board.roster.joined(alive("n1", 2), 1.0)
    assert board.roster.flaps == 0


def test_a_failed_member_that_was_said_to_have_left_does_not_flap():
    board = Board()
    board.put("n1", FAILED)
    board.roster.leave_intent(LeaveIntent(5, "n1"), 1.0)
    board.roster.joined(alive("n1", 2), 2.0)
    assert board.roster.flaps == 0


def test_reports_about_a_pruned_member_are_ignored():
    board = Board()
    board.roster.gone("n1", EVIDENCE, 1.0, has_left=False)
    board.roster.updated(alive("n1"))
    board.roster.suspected("n1", EVIDENCE)
    board.roster.confirmed("n1", EVIDENCE)
    board.roster.refuted("n1", EVIDENCE)
    assert board.effects == []


def test_suspicion_and_refutation_are_told_and_change_no_status():
    board = Board()
    board.put("n1", ALIVE)
    board.roster.suspected("n1", EVIDENCE)
    board.roster.confirmed("n1", EVIDENCE)
    board.roster.refuted("n1", EVIDENCE)
    assert board.told() == [
        ("MemberSuspected", "n1"),
        ("SuspicionConfirmed", "n1"),
        ("SuspicionRefuted", "n1"),
    ]
    assert [effect.evidence for effect in board.effects] == [EVIDENCE] * 3
    assert board.status("n1") is ALIVE


# --- intents ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (ALIVE, LEAVING, [("MemberLeaving", "n1")]),
        (LEAVING, LEAVING, []),
        (LEFT, LEFT, []),
        (FAILED, LEFT, [("MemberLeft", "n1")]),
    ],
)
def test_a_leave_intent_in_every_status(before, after, told):
    board = Board()
    board.put("n1", before)
    assert board.roster.leave_intent(LeaveIntent(9, "n1"), 1.0)
    assert board.status("n1") is after
    assert board.roster.members["n1"].status_ltime == 9
    assert board.told() == told


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (ALIVE, ALIVE, []),
        (LEAVING, ALIVE, [("MemberJoined", "n1")]),
        (LEFT, LEFT, []),
        (FAILED, FAILED, []),
    ],
)
def test_a_join_intent_in_every_status(before, after, told):
    board = Board()
    board.put("n1", before)
    assert board.roster.join_intent(JoinIntent(9, "n1"), 1.0)
    assert board.status("n1") is after
    assert board.roster.members["n1"].status_ltime == 9
    assert board.told() == told


@pytest.mark.parametrize("ltime", [4, 5])
def test_an_intent_that_is_not_newer_than_the_last_is_stale(ltime):
    board = Board()
    board.put("n1", LEAVING)  # at 5
    assert not board.roster.join_intent(JoinIntent(4, "n1"), 1.0)
    assert not board.roster.leave_intent(LeaveIntent(ltime, "n1", prune=True), 1.0)
    assert board.status("n1") is LEAVING
    assert PruneDue("n1") not in board.deadlines


def test_an_intent_at_time_zero_is_stale_for_a_member_without_any_intent():
    board = Board()
    board.put("n1", ALIVE)
    assert not board.roster.leave_intent(LeaveIntent(0, "n1"), 1.0)


def test_a_leave_intent_that_overtakes_its_member_makes_it_leaving():
    board = Board()
    assert board.roster.leave_intent(LeaveIntent(7, "n1"), 0.0)
    board.roster.joined(alive("n1"), 1.0)
    assert board.status("n1") is LEAVING
    assert board.roster.members["n1"].status_ltime == 7
    assert board.told() == [("MemberJoined", "n1"), ("MemberLeaving", "n1")]


def test_a_join_intent_beats_the_leave_intent_of_the_same_time():
    board = Board()
    board.put("n1", ALIVE)
    board.roster.leave_intent(LeaveIntent(7, "n1"), 0.0)
    assert board.status("n1") is LEAVING
    assert board.roster.join_intent(JoinIntent(7, "n1"), 1.0)
    assert board.status("n1") is ALIVE
    assert not board.roster.join_intent(JoinIntent(7, "n1"), 1.0)


def test_a_status_time_of_an_unknown_member_is_remembered_for_it_unless_it_is_old():
    board = Board()
    board.roster.status_time("n1", 7, 0.0)
    board.roster.status_time("n1", 6, 0.0)
    board.roster.joined(alive("n1"), 1.0)
    assert board.roster.members["n1"].status_ltime == 7


def test_a_status_time_does_not_beat_a_leave_of_the_same_time():
    board = Board()
    board.put("n1", ALIVE)
    board.roster.leave_intent(LeaveIntent(7, "n1"), 0.0)
    board.roster.leave_intent(LeaveIntent(7, "n2"), 0.0)
    for name in ("n1", "n2"):
        board.roster.status_time(name, 7, 1.0)
    assert board.status("n1") is LEAVING
    assert board.roster.recent_intents.take("n2") == LeaveIntent(7, "n2")


def test_a_join_intent_that_overtakes_its_member_gives_it_its_time():
    board = Board()
    assert board.roster.join_intent(JoinIntent(7, "n1"), 0.0)
    board.roster.joined(alive("n1"), 1.0)
    assert board.status("n1") is ALIVE
    assert board.roster.members["n1"].status_ltime == 7


def test_an_intent_about_an_unknown_member_is_passed_on_only_if_it_is_news():
    board = Board()
    assert board.roster.leave_intent(LeaveIntent(7, "n1"), 0.0)
    assert not board.roster.leave_intent(LeaveIntent(7, "n1"), 0.0)
    assert not board.roster.join_intent(JoinIntent(6, "n1"), 0.0)


# --- pruning ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [LEFT, FAILED])
def test_pruning_erases_a_gone_member_at_once(status):
    board = Board()
    board.put("n1", status)
    board.roster.leave_intent(LeaveIntent(9, "n1", prune=True), 1.0)
    assert board.status("n1") is None
    assert board.told()[-1] == ("MemberReaped", "n1")


@pytest.mark.parametrize("status", [ALIVE, LEAVING])
def test_pruning_waits_for_a_member_that_still_answers(status):
    board = Board()
    board.put("n1", status)
    board.roster.leave_intent(LeaveIntent(9, "n1", prune=True), 1.0)
    assert board.status("n1") is LEAVING
    assert board.deadlines.pop_due(1.0 + PRUNE_DELAY) == PruneDue("n1")
    board.roster.prune_now("n1", 1.0 + PRUNE_DELAY)
    assert board.status("n1") is LEAVING
    board.roster.gone("n1", EVIDENCE, 8.0, has_left=False)
    assert board.deadlines.pop_due(1.0 + 2 * PRUNE_DELAY) == PruneDue("n1")
    board.roster.prune_now("n1", 1.0 + 2 * PRUNE_DELAY)
    assert board.status("n1") is None


def test_a_comeback_by_intent_cancels_the_prune():
    board = Board()
    board.put("n1", ALIVE)
    board.roster.leave_intent(LeaveIntent(9, "n1", prune=True), 1.0)
    board.roster.join_intent(JoinIntent(10, "n1"), 2.0)
    assert PruneDue("n1") not in board.deadlines


def test_a_comeback_after_a_leave_cancels_the_prune():
    board = Board()
    board.put("n1", ALIVE)
    board.roster.leave_intent(LeaveIntent(9, "n1", prune=True), 1.0)
    board.roster.gone("n1", EVIDENCE, 2.0, has_left=False)
    board.roster.joined(alive("n1", 2), 3.0)
    assert PruneDue("n1") not in board.deadlines


def test_pruning_a_second_time_when_it_left_meanwhile_erases_at_once():
    board = Board()
    board.put("n1", LEAVING)
    board.roster.leave_intent(LeaveIntent(9, "n1", prune=True), 1.0)
    board.roster.gone("n1", EVIDENCE, 2.0, has_left=False)
    board.roster.leave_intent(LeaveIntent(10, "n1", prune=True), 3.0)
    assert board.status("n1") is None
    assert PruneDue("n1") not in board.deadlines


# --- reaping ----------------------------------------------------------------------------------------------


def test_an_idle_roster_needs_no_reaper():
    board = Board()
    board.put("n1", ALIVE)
    assert REAP not in board.deadlines


@pytest.mark.parametrize("status", [LEFT, FAILED])
def test_gone_members_are_checked_every_15_seconds(status):
    board = Board()
    board.put("n1", status, now=100.0)
    assert board.deadlines.next() == 115.0
    board.deadlines.pop_due(115.0)
    board.roster.reap(115.0)
    assert board.deadlines.next() == 130.0


@pytest.mark.parametrize(("status", "timeout"), [(FAILED, 50.0), (LEFT, 70.0)])
def test_a_member_gone_for_longer_than_its_timeout_is_erased(status, timeout):
    board = Board(SerfConfig(reconnect_timeout=50.0, tombstone_timeout=70.0))
    board.put("n1", status, now=100.0)
    board.roster.reap(100.0 + timeout)
    assert board.status("n1") is status
    board.deadlines.pop_due(1e9)
    board.roster.reap(100.1 + timeout)
    assert board.status("n1") is None
    assert board.told() == [("MemberReaped", "n1")]
    assert REAP not in board.deadlines


def test_a_member_that_came_back_is_not_reaped():
    board = Board(SerfConfig(reconnect_timeout=50.0))
    board.put("n1", FAILED, now=100.0)
    board.roster.joined(alive("n1", 2), 120.0)
    board.roster.reap(1000.0)
    assert board.status("n1") is ALIVE


def test_old_intents_about_unknown_members_are_forgotten():
    board = Board()
    board.roster.leave_intent(LeaveIntent(7, "n1"), 100.0)
    assert board.deadlines.next() == 115.0
    board.roster.reap(401.0)
    board.roster.joined(alive("n1"), 402.0)
    assert board.status("n1") is ALIVE


# --- bounds -----------------------------------------------------------------------------------------------


def crowded(members: int) -> Board:
    board = Board(SerfConfig(swim=SwimConfig(max_members=3)))
    for number in range(members):
        board.roster.joined(alive(f"n{number}"), 0.0)
        if number % 2:
            board.roster.gone(f"n{number}", EVIDENCE, 0.0, has_left=False)
    return board


def test_the_roster_holds_twice_as_many_as_swims_table():
    assert len(crowded(6).roster.members) == 6


def test_one_above_that_the_longest_gone_makes_room():
    board = crowded(7)
    assert list(board.roster.members) == ["n0", "n2", "n3", "n4", "n5", "n6"]
    assert board.told()[-2:] == [("MemberReaped", "n1"), ("MemberJoined", "n6")]


def test_intents_about_unknown_members_are_bounded():
    board = Board(SerfConfig(max_recent_intents=3))
    for number in range(5):
        board.roster.join_intent(JoinIntent(1, f"n{number}"), 0.0)
    assert len(board.roster.recent_intents) == 3


def test_members_are_counted_by_status():
    board = Board()
    for number, status in enumerate((ALIVE, LEAVING, LEFT, FAILED, FAILED)):
        board.put(f"n{number}", status)
    assert [m.name for m in board.roster.with_status(FAILED)] == ["n3", "n4"]
    assert [m.name for m in board.roster.gone_members()] == ["n2", "n3", "n4"]
    assert board.roster.members["n3"].address == home("n3")
