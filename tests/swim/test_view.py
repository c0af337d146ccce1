import pytest

from gossip.errors import LocalProtocolError
from gossip.swim.config import SwimConfig
from gossip.swim.detector import VerdictDue
from gossip.swim.effects import MessageRejected, OpenPushPull
from gossip.swim.eviction import EVICTION_INTERVAL
from gossip.swim.evidence import Channel, Evidence, ProbeRecord
from gossip.swim.incarnation import LAST_INCARNATION, MAX_FIRST_INCARNATION, MAX_INCARNATION_RISE
from gossip.swim.member import Member
from gossip.swim.suspicion import HEARSAY
from gossip.swim.view import MAX_FORMER_ADDRESSES, SuspicionEnds
from gossip.wire.address import Address, pack_address, unpack_address
from gossip.wire.codec import encode
from gossip.wire.messages import (
    MAX_META_BYTES,
    MAX_NAME_BYTES,
    MAX_U32,
    PROTOCOL_VERSIONS,
    Ack,
    Alive,
    Dead,
    MemberState,
    Ping,
    Suspect,
)
from tests.swim.rig import ME, PORT, STRANGER, Layer, Rig, alive, home, host, row

ALIVE, SUSPECT, DEAD, LEFT = MemberState
ELSEWHERE = pack_address("10.9.9.9")
MOVES = [{"addr": ELSEWHERE}, {"addr": pack_address("9.9.9.9")}, {"port": 1}, {"port": 65535}]
PROBE = ProbeRecord(1000.0, ("n2", "n3"), ("n3",))
OTHERS = ("n1", "n2", "n3", "n4", "n5")  # with them k is 2 and the minimum 4 s, in the LAN profile


def rig_of(*members: str, config: SwimConfig | None = None) -> Rig:
    rig = Rig(config, members=members)
    rig.stop_probing()
    rig.drain_queue()
    return rig


def refutations(rig: Rig) -> list[int]:
    """Return the incarnations under which the node announces itself in its queue."""
    return [m.incarnation for m in rig.queued() if isinstance(m, Alive) and m.node == ME]


# --- alive ------------------------------------------------------------------------------------------------


def test_an_unknown_member_is_admitted_alive_and_gossiped():
    rig = rig_of()
    rig.hear(alive("n1", 3, meta=b"x"))
    assert rig.state("n1") is ALIVE
    assert rig.member("n1").incarnation == 3
    assert rig.layer.heard == [("joined", "n1")]
    assert rig.queued() == [alive("n1", 3, meta=b"x")]


def test_messages_are_gossiped_with_the_bytes_received():
    rig = rig_of()
    odd = encode(alive("n1")) + b"\xc0"  # bytes after the map are ignored, in Go as well
    rig.hear_bytes(odd)
    assert rig.node.queue.take(1400, 9) == [odd]


def test_a_raw_address_of_sixteen_bytes_stays_as_it_is():
    rig = rig_of()
    mapped = bytes(10) + b"\xff\xff" + host("n1")
    rig.hear(alive("n1", addr=mapped))
    assert rig.member("n1").alive.addr == mapped
    assert rig.member("n1").address == home("n1")


def test_an_announcement_that_is_known_already_is_not_gossiped_again():
    rig = rig_of("n1")
    rig.hear(alive("n1"))
    assert rig.queued() == []
    assert rig.layer.heard == []


def test_a_greater_incarnation_replaces_an_announcement():
    rig = rig_of("n1")
    rig.hear(alive("n1", 2, meta=b"new"))
    assert rig.member("n1").alive.meta == b"new"
    assert rig.layer.heard == [("updated", "n1")]
    assert rig.queued() == [alive("n1", 2, meta=b"new")]


def test_a_greater_incarnation_with_the_same_metadata_is_no_update():
    rig = rig_of("n1")
    rig.hear(alive("n1", 2))
    assert rig.member("n1").incarnation == 2
    assert rig.layer.heard == []


def test_an_older_announcement_changes_nothing():
    rig = rig_of("n1")
    rig.hear(alive("n1", 2), alive("n1", 1, meta=b"old"))
    assert rig.member("n1").alive == alive("n1", 2)


def test_alive_with_the_same_incarnation_does_not_clear_suspicion():
    rig = rig_of("n1")
    rig.suspect("n1")
    rig.hear(alive("n1", 1, meta=b"other"))
    assert rig.state("n1") is SUSPECT


def test_a_refutation_clears_suspicion_and_stops_its_clock():
    rig = rig_of("n1")
    rig.suspect("n1")
    rig.forget()
    rig.hear(alive("n1", 2))
    assert rig.state("n1") is ALIVE
    assert rig.layer.heard == [("refuted", "n1")]
    assert SuspicionEnds("n1") not in rig.node.deadlines


@pytest.mark.parametrize("reporter", ["n2", "n1"])
def test_a_member_comes_back_from_dead_and_from_left_with_a_greater_incarnation(reporter):
    rig = rig_of("n1", "n2")
    rig.bury("n1", reporter)
    rig.forget()
    rig.hear(alive("n1", 1))
    assert rig.state("n1") is not ALIVE
    rig.hear(alive("n1", 2, meta=b"new"))
    assert rig.state("n1") is ALIVE
    assert rig.layer.heard == [("joined", "n1")]


@pytest.mark.parametrize(
    "claim",
    [
        alive(""),
        alive("n1", 0),
        alive("n1", port=0),
        alive("n1", addr=b"\1\2\3\4\5"),
        alive("n1", versions=bytes((0, 5, 2, 2, 5, 5))),
        alive("n1", versions=bytes((0, 0, 2, 2, 5, 5))),
        alive("n1", versions=bytes((6, 5, 2, 2, 5, 5))),
        alive("n1", versions=b""),
    ],
    ids=["name", "incarnation", "port", "address", "minimum", "maximum", "range", "versions"],
)
def test_an_announcement_that_no_member_can_make_is_ignored(claim):
    rig = rig_of()
    rig.hear(claim)
    assert list(rig.node.table.by_name) == [ME]
    assert rig.queued() == []


@pytest.mark.parametrize("numbers", [(2, 2, 2, 5, 5, 5), (1, 5, 3, 2, 5, 5)])
def test_any_range_of_versions_that_all_members_speak_is_admitted(numbers):
    rig = rig_of()
    rig.hear(alive("n1", versions=bytes(numbers)))
    assert rig.state("n1") is ALIVE


def test_a_renewal_without_versions_does_not_take_them_away():
    rig = rig_of("n1")
    rig.hear(alive("n1", 2, versions=b""))
    assert rig.member("n1").row().versions == PROTOCOL_VERSIONS


FOREIGN = bytes((1, 1, 1, 2, 5, 5))


def test_a_member_that_nobody_could_talk_to_is_not_admitted():
    rig = rig_of()
    rig.hear(alive("n1", versions=FOREIGN), alive("n2"))
    assert list(rig.node.table.by_name) == [ME, "n2"]
    assert "'n1' understands protocol versions [1, 1]" in rig.emitted(MessageRejected)[0].reason


def test_a_member_cannot_change_to_versions_that_nobody_could_talk_to():
    rig = rig_of("n1")
    rig.hear(alive("n1", 2, versions=FOREIGN))
    assert rig.member("n1").row() == row("n1")
    rig.hear(
        alive("n1", 2, versions=bytes((1, 5, 2, 2, 5, 4))), alive("n2", versions=bytes((1, 5, 2, 5, 5, 5)))
    )
    assert list(rig.node.table.by_name) == [ME, "n1"]
    assert rig.node.rejected == 2


def test_a_push_pull_with_a_row_of_foreign_versions_is_merged_without_it():
    rig = rig_of()
    rig.merge(row("n1", versions=FOREIGN), row("n2"))
    assert list(rig.node.table.by_name) == [ME, "n2"]


def test_versions_of_members_that_were_forgotten_do_not_count():
    rig = rig_of()
    rig.hear(alive("n1", versions=bytes((1, 5, 2, 5, 5, 5))))
    rig.bury("n1")
    rig.hear(alive("n2", versions=bytes((1, 5, 2, 2, 5, 4))))
    assert list(rig.node.table.by_name) == [ME, "n1"]
    rig.node.view.forget(rig.node.table.start_round(rig.now + 1))
    rig.hear(alive("n2", versions=bytes((1, 5, 2, 2, 5, 4))))
    assert list(rig.node.table.by_name) == [ME, "n2"]


@pytest.mark.parametrize("letter", ["n", "\N{LATIN SMALL LETTER E WITH ACUTE}", "\udcff"])
def test_names_are_taken_at_the_limit_and_not_one_byte_above(letter):
    rig = rig_of()
    size = len(letter.encode("utf-8", "surrogateescape"))
    name = letter * (MAX_NAME_BYTES // size)
    rig.hear(alive(name), alive(name + "n"))
    rig.merge(row(name + "n"))
    assert list(rig.node.table.by_name) == [ME, name]
    assert rig.node.rejected == 2
    assert "member name of 129 bytes: expected at most 128" in rig.emitted(MessageRejected)[0].reason


def test_metadata_is_taken_at_the_limit_and_not_one_byte_above():
    rig = rig_of()
    rig.hear(alive("n1", meta=bytes(MAX_META_BYTES)), alive("n2", meta=bytes(MAX_META_BYTES + 1)))
    assert list(rig.node.table.by_name) == [ME, "n1"]
    assert "'n2' with 513 bytes of metadata: expected at most 512" in rig.emitted(MessageRejected)[0].reason


def full_rig(*heard: str, silent: tuple[str, ...] = ()) -> Rig:
    """Return a rig with a full table: members that were heard, after others that never were."""
    rig = Rig(SwimConfig(max_members=1 + len(heard) + len(silent)))
    rig.stop_probing()
    rig.hear(*map(alive, silent))
    rig.meet(*heard)
    for name in heard:
        rig.hear(Ack(1), source=home(name))
    rig.drain_queue()
    rig.forget()
    return rig


def test_members_are_admitted_up_to_the_limit_and_not_one_more():
    rig = full_rig("n1", "n2")
    rig.hear(alive("n3"), alive("n4"))
    assert list(rig.node.table.by_name) == [ME, "n1", "n2"]
    assert rig.node.view.refused_members == rig.node.rejected == 2
    assert rig.emitted(MessageRejected)[1].reason == "no room for member 'n4': 3 members, 2 refused so far"


def test_the_longest_known_of_those_never_heard_makes_room_for_a_newcomer():
    rig = full_rig("n1", silent=("n2", "n3"))
    rig.suspect("n2")
    rig.forget()
    rig.hear(alive("n4"))
    assert list(rig.node.table.by_name) == [ME, "n3", "n1", "n4"]
    assert rig.layer.heard == [("gone", "n2"), ("joined", "n4")]
    assert rig.queued() == [alive("n4")]
    assert home("n2") not in rig.node.table.name_at
    assert rig.node.view.suspicions == {}
    assert rig.node.view.evicted_members == 1
    assert rig.node.rejected == 0


def test_members_make_room_at_a_bounded_rate():
    rig = full_rig(silent=("n1", "n2", "n3"))
    rig.now = 0.0  # so that the sums are exact
    rig.hear(alive("n4"), alive("n5"))
    rig.now = EVICTION_INTERVAL - 1e-9
    rig.hear(alive("n6"))
    assert list(rig.node.table.by_name) == [ME, "n2", "n3", "n4"]
    rig.now = EVICTION_INTERVAL
    rig.hear(alive("n6"))
    assert list(rig.node.table.by_name) == [ME, "n3", "n4", "n6"]


def test_a_member_that_answered_a_probe_stays():
    rig = full_rig(silent=("n1", "n2"))
    rig.node.detector.start(rig.now)
    ping, to = rig.begin_probe()
    rig.ack(ping)  # from another of its addresses
    rig.hear(alive("n3"))
    assert ping.node in rig.node.table.by_name
    assert to in rig.node.table.name_at


@pytest.mark.parametrize(("ago", "stays"), [(30.0, True), (30.1, False)])
def test_a_member_gone_for_long_makes_room_without_a_word(ago, stays):
    rig = full_rig("n1", "n2")
    rig.bury("n2")
    rig.drain_queue()
    rig.forget()
    rig.now += ago
    rig.hear(alive("n3"))
    assert ("n2" in rig.node.table.by_name) is stays
    assert rig.layer.heard == ([] if stays else [("joined", "n3")])


def test_a_member_that_makes_room_may_be_the_target_of_a_probe():
    rig = full_rig(silent=("n1",))
    rig.node.detector.start(rig.now)
    rig.begin_probe()
    rig.hear(alive("n2"))
    rig.fire_until(VerdictDue)
    assert list(rig.node.table.by_name) == [ME, "n2"]
    assert rig.state("n2") is ALIVE


# --- addresses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", MOVES)
@pytest.mark.parametrize("prepare", [lambda _: None, lambda r: r.suspect("n1")])
def test_a_claim_from_another_address_is_asked_about_and_not_accepted(moved, prepare):
    rig = rig_of("n1")
    prepare(rig)
    rig.forget()
    rig.hear(alive("n1", 9, **moved))
    theirs = alive("n1", **moved)
    address = unpack_address(theirs.addr, theirs.port)
    assert [to for ping, to in rig.sent(Ping) if ping.node == "n1"] == [home("n1"), address]
    assert rig.member("n1").incarnation == 1


def move(rig: Rig, claim: Alive) -> None:
    """Let a member that is gone announce itself elsewhere, and answer there."""
    rig.hear(claim)
    to = unpack_address(claim.addr, claim.port)
    (ping,) = (ping for ping, address in rig.sent(Ping) if address == to)
    rig.ack(ping)
    rig.advance(1.0)


def test_a_member_that_left_may_come_back_at_another_address_with_any_incarnation():
    rig = rig_of("n1")
    rig.hear(Dead(7, "n1", "n1"))
    rig.forget()
    move(rig, alive("n1", 1, addr=ELSEWHERE))
    assert rig.state("n1") is ALIVE
    assert rig.member("n1").incarnation == 1
    assert rig.member("n1").address == Address("10.9.9.9", PORT)
    assert rig.layer.heard == [("joined", "n1")]


def test_the_addresses_in_the_table_follow_the_members():
    rig = rig_of("n1")
    rig.bury("n1", "n1")
    move(rig, alive("n1", addr=ELSEWHERE))
    assert rig.node.table.name_at == {Address("10.9.9.9", PORT): "n1"}


def test_an_address_that_passed_on_stays_with_its_new_owner():
    rig = rig_of("n1")
    rig.hear(alive("n2", addr=host("n1")))  # containers reuse addresses
    rig.bury("n1", "n1")
    move(rig, alive("n1", addr=ELSEWHERE))
    assert rig.node.table.name_at[home("n1")] == "n2"


# --- suspect ----------------------------------------------------------------------------------------------


def test_a_suspicion_is_recorded_gossiped_and_told():
    rig = rig_of("n1")
    rig.suspect("n1", "n2", incarnation=4)
    assert rig.state("n1") is SUSPECT
    assert rig.member("n1").incarnation == 4
    assert rig.queued() == [Suspect(4, "n1", "n2")]
    assert rig.layer.heard == [("suspected", "n1", "n2")]


def test_an_unknown_member_cannot_be_suspected():
    rig = rig_of()
    rig.suspect("n1")
    assert rig.queued() == []


def test_a_suspicion_of_an_older_incarnation_is_stale():
    rig = rig_of()
    rig.hear(alive("n1", 5))
    rig.suspect("n1", incarnation=4)
    assert rig.state("n1") is ALIVE


@pytest.mark.parametrize("reporter", ["n2", "n1"])
def test_the_gone_cannot_be_suspected(reporter):
    rig = rig_of("n1", "n2")
    rig.bury("n1", reporter)
    state = rig.state("n1")
    rig.suspect("n1", incarnation=9)
    assert rig.state("n1") is state


def test_an_unconfirmed_suspicion_kills_at_six_times_the_minimum():
    rig = rig_of(*OTHERS)
    rig.suspect("n1", "n2")
    rig.advance(24.0 - 1e-6)
    assert rig.state("n1") is SUSPECT
    rig.advance(1e-6)
    assert rig.state("n1") is DEAD
    assert ("gone", "n1") in rig.layer.heard


def test_the_second_of_two_confirmations_kills_at_the_minimum():
    rig = rig_of(*OTHERS)
    rig.suspect("n1", "n2")
    rig.suspect("n1", "n3")
    rig.suspect("n1", "n4")
    rig.advance(4.0 - 1e-6)
    assert rig.state("n1") is SUSPECT
    rig.advance(1e-6)
    assert rig.state("n1") is DEAD


def test_a_late_confirmation_counts_from_the_start_of_the_suspicion():
    rig = rig_of(*OTHERS)
    rig.suspect("n1", "n2")
    rig.advance(10.0)
    rig.suspect("n1", "n3")
    assert rig.state("n1") is SUSPECT
    rig.suspect("n1", "n4")
    rig.advance(0.0)
    assert rig.state("n1") is DEAD


def test_every_new_confirmation_is_gossiped_and_a_repeated_one_is_not():
    rig = rig_of(*OTHERS)
    rig.suspect("n1", "n2")
    rig.suspect("n1", "n3")
    assert rig.queued() == [Suspect(1, "n1", "n3")]
    rig.drain_queue()
    rig.suspect("n1", "n3")
    rig.suspect("n1", "n2")
    assert rig.queued() == []


def test_in_a_small_cluster_without_confirmers_a_suspicion_lasts_the_minimum():
    rig = rig_of("n1", "n2")  # three rows: k would be 2, and only one other could confirm
    rig.suspect("n1", "n2")
    assert rig.node.view.suspicions["n1"].k == 0
    rig.advance(4.0)
    assert rig.state("n1") is DEAD


@pytest.mark.parametrize(("others", "k"), [(4, 0), (5, 4)])
def test_four_confirmations_need_six_members(others, k):
    names = [f"n{number}" for number in range(1, others + 1)]
    rig = rig_of(*names, config=SwimConfig(suspicion_mult=6))
    rig.suspect("n1", "n2")
    assert rig.node.view.suspicions["n1"].k == k


def test_from_four_members_on_confirmations_count():
    rig = rig_of("n1", "n2", "n3")
    rig.suspect("n1", "n2")
    assert rig.node.view.suspicions["n1"].k == 2


def test_without_a_range_to_shrink_confirmations_are_neither_counted_nor_gossiped():
    rig = rig_of(*OTHERS, config=SwimConfig(suspicion_max_mult=1))
    rig.suspect("n1", "n2")
    rig.drain_queue()
    rig.suspect("n1", "n3")
    assert rig.queued() == []
    assert rig.node.view.suspicions["n1"].confirmers == []
    rig.advance(4.0 - 1e-6)
    assert rig.state("n1") is SUSPECT
    rig.advance(1e-6)
    assert rig.state("n1") is DEAD


@pytest.mark.parametrize("k", [0, 1, 3])
def test_the_confirmations_that_end_a_suspicion_can_be_chosen(k):
    rig = rig_of(*OTHERS, config=SwimConfig(confirmations=k))
    for reporter in ("n2", "n3", "n4", "n5")[: k + 1]:
        assert rig.state("n1") is not DEAD
        rig.suspect("n1", reporter)
    assert rig.node.view.suspicions["n1"].deadline == rig.now + 4.0
    assert len(rig.node.view.suspicions["n1"].confirmers) == k


def test_our_own_failed_probe_confirms_a_rumour():
    rig = rig_of(*OTHERS)
    rig.suspect("n1", "n2")
    rig.node.view.accuse("n1", 1, rig.now, PROBE)
    assert rig.node.view.suspicions["n1"].confirmers == [ME]


def test_a_death_after_a_suspicion_is_announced_in_our_name():
    rig = rig_of("n1", "n2")
    rig.suspect("n1", "n2", incarnation=3)
    rig.now += 4.0
    rig.node.view.suspicion_expired("n1", rig.now)
    assert rig.queued() == [Dead(3, "n1", ME)]


# --- dead -------------------------------------------------------------------------------------------------


def test_a_death_is_recorded_gossiped_and_told():
    rig = rig_of("n1")
    rig.bury("n1", "n2", incarnation=4)
    assert rig.state("n1") is DEAD
    assert rig.member("n1").incarnation == 4
    assert rig.queued() == [Dead(4, "n1", "n2")]
    assert rig.layer.heard == [("gone", "n1")]


class Reader(Layer):
    """An upper layer that keeps the evidence."""

    def __init__(self) -> None:
        super().__init__()
        self.evidence: list[Evidence] = []

    def member_gone(self, member: Member, evidence: Evidence, now: float) -> None:
        self.evidence.append(evidence)


def read_evidence() -> tuple[Rig, list[Evidence]]:
    """Return a rig that knows `OTHERS`, and the evidence that its upper layer will get."""
    reader = Reader()
    rig = Rig(members=OTHERS, layer=reader)
    rig.stop_probing()
    return rig, reader.evidence


@pytest.mark.parametrize("reporter", ["n1", "n2"])
def test_a_death_out_of_the_blue_has_only_a_reporter(reporter):
    rig, evidence = read_evidence()
    rig.bury("n1", reporter)
    assert evidence == [Evidence(reporter, incarnation=1)]


def test_the_accuser_and_the_witnesses_of_a_suspicion_are_its_evidence():
    rig, evidence = read_evidence()
    since = rig.now
    for reporter in ("n2", "n3", "n4"):
        rig.suspect("n1", reporter)
    rig.advance(4.0)
    (found,) = evidence
    assert (found.reporter, found.accuser, found.witnesses) == (ME, "n2", ("n3", "n4"))
    assert (found.suspected_at, found.deadline) == (since, since + 4.0)
    assert (found.minimum, found.confirmations) == (4.0, 2)


def test_our_own_failed_probe_is_evidence():
    rig, evidence = read_evidence()
    since = rig.now
    rig.suspect("n1", "n2")
    rig.node.view.accuse("n1", 1, rig.now, PROBE)
    rig.bury("n1", "n5")
    (found,) = evidence
    assert (found.reporter, found.accuser, found.witnesses) == ("n5", "n2", (ME,))
    assert (found.suspected_at, found.probe) == (since, PROBE)


def test_a_probe_of_a_member_that_is_gone_is_no_evidence():
    rig, evidence = read_evidence()
    rig.bury("n1")
    rig.node.view.accuse("n1", 1, rig.now, PROBE)
    assert len(evidence) == 1
    assert "n1" not in rig.node.view.suspicions


def test_a_member_that_declares_itself_dead_has_left():
    rig = rig_of("n1")
    rig.bury("n1", "n1")
    assert rig.state("n1") is LEFT


def test_an_unknown_member_cannot_die():
    rig = rig_of()
    rig.bury("n1")
    assert rig.queued() == []


def test_a_death_at_an_older_incarnation_is_stale():
    rig = rig_of()
    rig.hear(alive("n1", 5))
    rig.bury("n1", incarnation=4)
    assert rig.state("n1") is ALIVE


def test_nobody_dies_twice():
    rig = rig_of("n1")
    rig.bury("n1")
    rig.bury("n1", "n2", incarnation=9)
    assert rig.state("n1") is DEAD
    assert rig.layer.heard == [("gone", "n1")]


def test_a_leave_broadcast_of_a_member_declared_dead_means_it_left():
    rig = rig_of("n1")
    rig.bury("n1")
    rig.bury("n1", "n1")
    assert rig.state("n1") is LEFT
    assert rig.layer.heard == [("gone", "n1"), ("gone", "n1")]
    assert rig.queued() == [Dead(1, "n1", "n1")]


def test_nobody_leaves_twice():
    rig = rig_of("n1")
    rig.bury("n1", "n1")
    rig.drain_queue()
    rig.bury("n1", "n1", incarnation=9)
    assert rig.queued() == []


def test_the_end_of_a_broadcast_about_another_members_death_is_not_reported():
    rig = rig_of("n1", "n2")
    rig.bury("n1")
    rig.advance(10.0)
    assert rig.queued() == []
    assert rig.layer.finished == []


def test_a_death_ends_the_suspicion():
    rig = rig_of("n1")
    rig.suspect("n1")
    rig.bury("n1")
    assert rig.node.view.suspicions == {}
    assert SuspicionEnds("n1") not in rig.node.deadlines


# --- claims about this node -------------------------------------------------------------------------------


def test_the_node_announces_itself_from_the_start():
    assert Rig().queued() == [alive(ME)]


@pytest.mark.parametrize("accusation", [Suspect, Dead])
def test_a_refutation_jumps_past_the_accuser(accusation):
    rig = rig_of("n1")
    rig.hear(accusation(30, ME, "n1"))
    assert refutations(rig) == [31]
    assert rig.state(ME) is ALIVE


def test_a_refutation_at_the_present_incarnation_takes_the_next():
    rig = rig_of("n1")
    rig.suspect(ME)
    assert refutations(rig) == [2]


def test_a_stale_accusation_needs_no_refutation():
    rig = rig_of("n1")
    rig.suspect(ME, incarnation=5)
    rig.drain_queue()
    rig.suspect(ME, incarnation=5)
    assert rig.queued() == []


def test_a_refutation_costs_a_point_of_health():
    rig = rig_of("n1")
    rig.suspect(ME)
    assert rig.node.health.score == 1
    assert rig.node.view.refutations == 1


def test_a_refutation_is_keyed_by_address_and_replaces_only_refutations():
    rig = rig_of("n1")
    rig.node.announce(b"new", rig.now, token=0)
    rig.suspect(ME, incarnation=2)
    assert sorted(refutations(rig)) == [2, 3]
    rig.suspect(ME, incarnation=3)
    assert sorted(refutations(rig)) == [2, 4]


def test_a_member_named_like_our_address_does_not_replace_a_refutation():
    rig = rig_of("n1")
    rig.suspect(ME)
    rig.hear(alive(str(home(ME)), addr=ELSEWHERE))
    assert refutations(rig) == [2]


@pytest.mark.parametrize(
    "claim", [alive(ME, 1, meta=b"old life"), alive(ME, 7, meta=b"old life"), alive(ME, 7)]
)
def test_an_announcement_of_ours_that_we_did_not_make_is_refuted(claim):
    rig = rig_of("n1")
    rig.hear(claim)
    assert refutations(rig) == [claim.incarnation + 1]
    assert rig.me.alive.meta == b""


def test_an_announcement_of_ours_that_we_did_not_make_is_refuted_at_large_incarnations_too():
    rig = rig_of("n1")
    rig.suspect(ME, incarnation=60_000)
    rig.drain_queue()
    rig.hear(alive(ME, 60_001, meta=b"old life"))
    assert refutations(rig) == [60_002]


@pytest.mark.parametrize("claim", [alive(ME), alive(ME, 0, meta=b"old life")])
def test_our_own_and_older_announcements_need_no_refutation(claim):
    rig = rig_of("n1")
    rig.hear(claim)
    assert rig.queued() == []


@pytest.mark.parametrize("incarnation", [0, 1, 9])
def test_another_that_claims_our_name_is_asked_at_any_incarnation(incarnation):
    rig = rig_of("n1")
    rig.node.announce(b"new", rig.now, token=0)
    rig.drain_queue()
    rig.hear(Alive(incarnation, ME, ELSEWHERE, PORT, b"", PROTOCOL_VERSIONS))
    asked = [to for ping, to in rig.sent(Ping) if ping.node == ME]
    assert asked == ([Address("10.9.9.9", PORT)] if incarnation else [])
    assert rig.queued() == []


@pytest.mark.parametrize("moved", MOVES)
def test_our_name_at_any_other_address_or_port_is_asked_about(moved):
    rig = rig_of("n1")
    rig.hear(alive(ME, 3, **moved))
    assert [ping.node for ping, _ in rig.sent(Ping)] == [ME]
    assert rig.me.incarnation == 1


ABOUT = [Suspect, Dead, lambda incarnation, name, _: alive(name, incarnation, meta=b"forged")]


@pytest.mark.parametrize("name", [ME, "n1"])
@pytest.mark.parametrize("claim", ABOUT)
def test_a_claim_far_above_the_known_incarnation_is_refused(claim, name):
    rig = rig_of("n1", "n2")
    rig.hear(claim(MAX_U32, name, "n2"), claim(2 + MAX_INCARNATION_RISE, name, "n2"))
    assert rig.member(name).incarnation == 1
    assert rig.state(name) is ALIVE
    assert rig.queued() == []
    assert [effect.source for effect in rig.emitted(MessageRejected)] == [str(STRANGER)] * 2
    assert rig.node.rejected == 2


@pytest.mark.parametrize("claim", ABOUT)
def test_a_claim_about_us_at_the_limit_is_refuted(claim):
    rig = rig_of("n1")
    rig.hear(claim(MAX_INCARNATION_RISE, ME, "n1"))
    assert refutations(rig) == [MAX_INCARNATION_RISE + 1]


@pytest.mark.parametrize("claim", ABOUT)
def test_a_claim_about_us_as_high_as_others_accept_is_answered_in_two_steps(claim):
    highest = 1 + MAX_INCARNATION_RISE
    rig = rig_of("n1")
    rig.hear(claim(highest, ME, "n1"))
    assert refutations(rig) == [highest + 1, highest]
    told = [m for m in rig.queued() if isinstance(m, Alive) and m.node == ME]
    assert {(m.addr, m.port, m.meta) for m in told} == {(host(ME), PORT, b"")}


@pytest.mark.parametrize("claim", ABOUT)
def test_the_refutation_of_a_claim_at_the_limit_is_accepted(claim):
    rig = rig_of("n1", "n2")
    rig.hear(claim(MAX_INCARNATION_RISE, "n1", "n2"), alive("n1", MAX_INCARNATION_RISE + 1))
    assert rig.member("n1").row() == row("n1", MAX_INCARNATION_RISE + 1)


def test_a_confirmation_far_above_the_known_incarnation_is_not_passed_on():
    rig = rig_of(*OTHERS)
    rig.suspect("n1", "n2")
    rig.drain_queue()
    rig.suspect("n1", "n3", incarnation=MAX_U32)
    assert rig.queued() == []
    assert rig.node.view.suspicions["n1"].confirmers == []


def test_a_newcomer_at_the_limit_is_admitted_and_none_above():
    rig = rig_of()
    rig.hear(alive("n1", MAX_FIRST_INCARNATION), alive("n2", MAX_FIRST_INCARNATION + 1))
    assert list(rig.node.table.by_name) == [ME, "n1"]
    assert rig.node.rejected == 1


def test_a_joining_node_refutes_an_earlier_life_however_long_it_was():
    rig = rig_of()
    rig.merge(row("n1"), row(ME, MAX_FIRST_INCARNATION, SUSPECT), joining=True)
    assert refutations(rig) == [MAX_FIRST_INCARNATION + 1, MAX_FIRST_INCARNATION]


def test_after_the_join_the_limit_holds_again():
    rig = rig_of()
    rig.merge(row("n1"), row(ME, MAX_FIRST_INCARNATION + 1, SUSPECT), joining=True)
    rig.merge(row(ME, MAX_FIRST_INCARNATION, SUSPECT))
    assert refutations(rig) == []
    assert rig.node.rejected == 2


def test_a_claim_about_us_at_the_last_incarnation_is_refused():
    rig = rig_of("n1")
    rig.me.incarnation = LAST_INCARNATION
    rig.suspect(ME, incarnation=LAST_INCARNATION)
    assert rig.me.incarnation == LAST_INCARNATION
    assert "last incarnation (4294967294)" in rig.emitted(MessageRejected)[0].reason


# --- our own doing ----------------------------------------------------------------------------------------


def test_new_metadata_is_announced_under_the_next_incarnation():
    rig = rig_of("n1")
    rig.node.announce(b"new", rig.now, token=3)
    assert rig.queued() == [alive(ME, 2, meta=b"new")]


def test_metadata_cannot_change_while_leaving():
    rig = rig_of("n1")
    rig.node.leave(rig.now, token=0)
    with pytest.raises(LocalProtocolError, match=r"^cannot announce new metadata: the node is leaving$"):
        rig.node.announce(b"new", rig.now, token=0)


def test_metadata_cannot_change_when_the_incarnations_are_used_up():
    rig = rig_of("n1")
    rig.me.incarnation = LAST_INCARNATION
    with pytest.raises(
        LocalProtocolError, match=r"^cannot announce new metadata: no incarnation after 4294967294"
    ):
        rig.node.announce(b"new", rig.now, token=0)


def test_leaving_is_a_death_by_our_own_word_at_the_present_incarnation():
    rig = rig_of("n1")
    rig.suspect(ME)
    rig.drain_queue()
    rig.node.leave(rig.now, token=0)
    assert rig.state(ME) is LEFT
    assert rig.queued() == [Dead(2, ME, ME)]


@pytest.mark.parametrize(
    "claim", [alive(ME, 9), Suspect(9, ME, "n1"), Dead(9, ME, "n1"), alive(ME, 9, port=1)]
)
def test_claims_about_us_are_ignored_once_we_left(claim):
    rig = rig_of("n1")
    rig.node.leave(rig.now, token=0)
    rig.drain_queue()
    rig.forget()
    rig.hear(claim)
    assert rig.state(ME) is LEFT
    assert rig.queued() == []
    assert rig.effects == []


# --- push/pull --------------------------------------------------------------------------------------------


def test_an_alive_row_admits_a_member_and_is_gossiped():
    rig = rig_of()
    rig.merge(row("n1", 3))
    assert rig.state("n1") is ALIVE
    assert rig.queued() == [alive("n1", 3)]


def test_two_who_learn_of_a_member_by_gossip_and_by_push_pull_hold_the_same_object():
    first, second = rig_of(), rig_of()
    first.merge(row("n1", 3))
    second.hear(alive("n1", 3))
    assert first.member("n1").alive is second.member("n1").alive


def test_an_alive_row_that_says_nothing_new_changes_nothing():
    rig = rig_of("n1")
    rig.merge(row("n1", 1, meta=b"other"))
    assert rig.member("n1").alive.meta == b""
    assert rig.queued() == []


@pytest.mark.parametrize("moved", MOVES)
def test_an_alive_row_at_another_address_is_asked_about(moved):
    rig = rig_of("n1")
    rig.merge(row("n1", 1, **moved))
    assert [ping.node for ping, _ in rig.sent(Ping)] == ["n1", "n1"]


def test_a_left_row_is_applied_directly():
    rig = rig_of("n1")
    rig.merge(row("n1", 1, LEFT))
    assert rig.state("n1") is LEFT


@pytest.mark.parametrize("state", [SUSPECT, DEAD])
def test_an_accusing_row_begins_a_suspicion_without_a_reporter(state):
    rig = rig_of(*OTHERS)
    rig.merge(row("n1", 1, state))
    assert rig.state("n1") is SUSPECT
    assert rig.queued() == [Suspect(1, "n1", HEARSAY)]
    assert rig.layer.heard == [("suspected", "n1", HEARSAY)]


@pytest.mark.parametrize("reporter", ["n2", ME, HEARSAY])
def test_no_number_of_push_pulls_confirms_a_suspicion(reporter):
    rig = rig_of(*OTHERS)
    rig.suspect("n1", reporter)
    deadline = rig.node.view.suspicions["n1"].deadline
    rig.drain_queue()
    for state in (DEAD, SUSPECT, DEAD):
        rig.merge(row("n1", 1, state))
    suspicion = rig.node.view.suspicions["n1"]
    assert (suspicion.reporter, suspicion.confirmers, suspicion.deadline) == (reporter, [], deadline)
    assert rig.queued() == []


def test_our_own_failed_probe_gives_a_suspicion_from_hearsay_its_accuser():
    rig, evidence = read_evidence()
    rig.drain_queue()
    since = rig.now
    rig.merge(row("n1", 1, DEAD))
    deadline = rig.node.view.suspicions["n1"].deadline
    rig.node.view.accuse("n1", 1, rig.now, PROBE)
    assert rig.node.view.suspicions["n1"].deadline == deadline
    assert rig.queued() == [Suspect(1, "n1", ME)]
    rig.suspect("n1", "n3")
    assert rig.node.view.suspicions["n1"].deadline < deadline
    rig.bury("n1", "n5")
    (found,) = evidence
    assert (found.reporter, found.accuser, found.witnesses) == ("n5", ME, ("n3",))
    assert (found.suspected_at, found.probe) == (since, PROBE)


def test_a_suspicion_from_hearsay_alone_ends_in_a_death_without_an_accuser():
    rig, evidence = read_evidence()
    since = rig.now
    rig.merge(row("n1", 1, DEAD))
    rig.advance(24.0)
    (found,) = evidence
    assert (found.reporter, found.accuser, found.witnesses) == (ME, "", ())
    assert (found.suspected_at, found.origin.channel) == (since, Channel.PUSH_PULL)


@pytest.mark.parametrize("state", [SUSPECT, DEAD, LEFT])
def test_a_row_that_is_not_alive_admits_no_member(state):
    rig = rig_of()
    rig.merge(row("n1", 1, state))
    assert list(rig.node.table.by_name) == [ME]


@pytest.mark.parametrize("state", [SUSPECT, DEAD, LEFT])
def test_a_row_that_holds_us_gone_is_refuted(state):
    rig = rig_of("n1")
    rig.merge(row(ME, 4, state))
    assert refutations(rig) == [5]


def test_an_alive_row_of_a_former_life_is_refuted():
    rig = rig_of("n1")
    rig.merge(row(ME, 4, meta=b"former"))
    assert refutations(rig) == [5]


def test_an_alive_row_at_our_incarnation_that_we_did_not_write_is_refuted():
    rig = rig_of("n1")
    rig.merge(row(ME, 1, meta=b"former"))
    assert refutations(rig) == [2]


@pytest.mark.parametrize("bad", [row(ME, MAX_U32, SUSPECT), row("n8", meta=bytes(4000))])
def test_a_bad_row_is_rejected_alone(bad):
    rig = rig_of("n1")
    rig.merge(row("n2"), bad, row("n3"))
    assert list(rig.node.table.by_name) == [ME, "n1", "n2", "n3"]
    assert [effect.source for effect in rig.emitted(MessageRejected)] == [bad.name]


def test_a_renewal_that_is_too_long_to_be_gossiped_leaves_the_member_as_it_was():
    rig = rig_of("n1")
    rig.suspect("n1")
    rig.merge(row("n1", 2, meta=bytes(4000)))
    assert rig.state("n1") is SUSPECT
    assert rig.node.table.name_at == {home("n1"): "n1"}
    assert "n1" in rig.node.view.suspicions


# --- another address of our own ---------------------------------------------------------------------------


def test_a_node_that_moves_says_so_under_its_next_incarnation_and_tells_some_members_at_once():
    rig = Rig(members=["n1", "n2"])
    rig.drain_queue()
    rig.node.move(ELSEWHERE, rig.now)
    (told,) = [message for message in rig.queued() if isinstance(message, Alive)]
    assert (told.node, told.addr, told.port, told.incarnation) == (ME, ELSEWHERE, PORT, 2)
    assert {effect.node for effect in rig.emitted(OpenPushPull)} == {"n1", "n2"}
    assert rig.me.address == Address("10.9.9.9", PORT)


@pytest.mark.parametrize(("incarnation", "refuted"), [(1, 2), (2, 3), (7, 8)])
def test_a_message_about_a_nodes_former_address_is_no_conflict(incarnation, refuted):
    rig = Rig(members=["n1"])
    rig.node.move(ELSEWHERE, rig.now)
    rig.forget()
    rig.hear(alive(ME, incarnation))
    assert len(rig.node.reclaims) == 0
    assert rig.me.incarnation == refuted
    assert rig.me.alive.addr == ELSEWHERE


def test_a_node_remembers_its_last_addresses_and_no_more():
    rig = Rig(members=["n1"])
    for number in range(MAX_FORMER_ADDRESSES + 1):
        rig.node.move(bytes((10, 9, 9, number)), rig.now)
    rig.forget()
    rig.hear(alive(ME, 1, addr=bytes((10, 9, 9, 0))))
    assert len(rig.node.reclaims) == 0
    rig.hear(alive(ME, 1))  # its first address
    assert len(rig.node.reclaims) == 1


def test_a_node_that_leaves_does_not_move():
    rig = Rig(members=["n1"])
    rig.node.leave(rig.now, 1)
    before = rig.me.alive
    with pytest.raises(LocalProtocolError, match="leaving"):
        rig.node.move(ELSEWHERE, rig.now)
    assert rig.me.alive == before
