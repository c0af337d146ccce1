"""Checks of the paths to a member: three pings, one result, and no change of the view."""

import pytest

from gossip.swim.config import SwimConfig
from gossip.swim.effects import OpenStreamPing, PathsChecked, PingFromElsewhere
from gossip.swim.path_check import MAX_PATH_CHECKS
from gossip.wire.codec import decode
from gossip.wire.messages import Ack, MemberState, Ping
from tests.swim.rig import STRANGER, Rig, home


def checking(*, config: SwimConfig | None = None) -> tuple[Rig, Ping, Ping, Ping]:
    """Return a rig that checks the paths to n1, and its pings: small, full, by stream."""
    rig = Rig(config, members=("n1", "n2"))
    rig.stop_probing()
    rig.node.queue.discard("me")
    rig.forget()
    assert rig.node.check_paths("n1", rig.now)
    (small, _), (full, _) = rig.sent(Ping)
    (stream,) = rig.emitted(OpenStreamPing)
    return rig, small, full, decode(stream.ping)


def test_all_ways_are_tried_at_once():
    rig, *pings = checking()
    assert {to for _, to in rig.sent(Ping)} == {home("n1")} == {rig.emitted(OpenStreamPing)[0].to}
    assert {ping.node for ping in pings} == {"n1"}
    assert len({ping.seq for ping in pings}) == 3


@pytest.mark.parametrize("overhead", [0, 29])
def test_the_full_datagram_is_as_long_as_gossip_may_send(overhead):
    rig, *_ = checking(config=SwimConfig(packet_overhead=overhead))
    small, full = (packet.parts for packet in rig.packets())
    assert len(small) == len(full) == 1
    assert len(full[0]) == rig.config.packet_budget - overhead
    assert len(small[0]) < 100


def test_an_answer_to_every_ping_ends_the_check_at_once():
    rig, small, full, stream = checking()
    rig.ack(small)
    rig.ack(full)
    assert rig.emitted(PathsChecked) == []
    rig.node.stream_ping_answered(stream.seq)
    assert rig.emitted(PathsChecked) == [PathsChecked("n1", True, True, True)]
    rig.advance(10.0)
    assert len(rig.emitted(PathsChecked)) == 1


@pytest.mark.parametrize(
    ("answered", "outcome"),
    [((), (False, False, False)), ((0,), (True, False, False)), ((0, 1), (True, True, False))],
)
def test_pings_unanswered_within_a_probe_interval_are_reported(answered, outcome):
    rig, *pings = checking()
    for index in answered:
        rig.ack(pings[index])
    rig.advance(rig.config.probe_interval - 0.01)
    assert rig.emitted(PathsChecked) == []
    rig.advance(0.02)
    assert rig.emitted(PathsChecked) == [PathsChecked("n1", *outcome)]


def test_a_check_that_fails_changes_no_belief():
    rig, *_ = checking()
    before = rig.node.health.score
    rig.advance(2.0)
    assert rig.state("n1") is MemberState.ALIVE
    assert rig.node.health.score == before
    assert rig.layer.heard == []


def test_a_member_is_checked_once_at_a_time_and_strangers_never():
    rig, *_ = checking()
    assert not rig.node.check_paths("n1", rig.now)
    assert not rig.node.check_paths("nobody", rig.now)
    rig.advance(2.0)
    assert rig.node.check_paths("n1", rig.now)


def test_checks_are_bounded():
    rig = Rig(members=[f"n{i}" for i in range(MAX_PATH_CHECKS + 1)])
    begun = [rig.node.check_paths(f"n{i}", rig.now) for i in range(MAX_PATH_CHECKS + 1)]
    assert begun == [True] * MAX_PATH_CHECKS + [False]


def test_a_ping_in_the_name_of_a_member_from_another_host_is_reported():
    rig = Rig(members=("n1",))
    rig.hear(Ping(7, "me", source_node="n1"), source=home("n1"))
    assert rig.emitted(PingFromElsewhere) == []
    rig.hear(Ping(8, "me", source_node="n1"), source=STRANGER)
    rig.hear(Ping(9, "me", source_node="nobody"), source=STRANGER)
    assert rig.emitted(PingFromElsewhere) == [PingFromElsewhere("n1", STRANGER)]


def test_an_answer_counts_for_the_member_that_was_asked():
    rig, *_ = checking()
    rig.forget()
    assert rig.node.check_paths("n2", rig.now)
    (small, _), _ = rig.sent(Ping)
    rig.hear(Ack(small.seq), source=home("n2"))
    rig.advance(2.0)
    assert set(rig.emitted(PathsChecked)) == {
        PathsChecked("n1", False, False, False),
        PathsChecked("n2", True, False, False),
    }


def test_a_stream_that_fails_while_no_probe_runs_changes_nothing():
    rig = Rig()
    rig.forget()
    rig.node.stream_ping_failed(7, "connection refused")
    assert rig.emitted(PathsChecked) == []
    assert rig.node.health.score == 0
