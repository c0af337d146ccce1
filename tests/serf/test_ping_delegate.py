"""How a node sends, learns and forgets coordinates."""

import pytest

from gossip.serf.config import SerfConfig
from gossip.serf.coordinate import MAX_RTT, ORIGIN
from gossip.swim.effects import MessageRejected
from gossip.wire.coordinate_codec import Coordinate, decode_coordinate, encode_coordinate
from gossip.wire.messages import Ack, Ping
from gossip.wire.serf_messages import LeaveIntent
from tests.serf.rig import ME, PORT, Rig, home, host

THERE = Coordinate((0.003, *(0.0,) * 7), 0.5, 0.0, 1e-4)


def probing(*, config: SerfConfig | None = None) -> tuple[Rig, Ping]:
    """Return a rig that has just pinged `n1`."""
    rig = Rig(config, members=["n1"])
    rig.forget()
    while not rig.sent(Ping):
        rig.advance(0.05)
    return rig, rig.sent(Ping)[0]


def answer(rig: Rig, ping: Ping, payload: bytes | None, after: float = 0.02) -> None:
    rig.advance(after)
    rig.hear(Ack(ping.seq, payload), source=home("n1"))


def payload_for(rig: Rig, name: str) -> bytes | None:
    """Return the payload of our ack to a ping of `name`."""
    rig.forget()
    rig.hear(Ping(7, ME, host(name), PORT, name), source=home(name))
    (ack,) = rig.sent(Ack)
    return ack.payload


def test_a_node_begins_at_the_origin_and_tells_members_so():
    rig = Rig(members=["n1"])
    assert rig.node.coordinate(ME) == ORIGIN
    assert decode_coordinate(payload_for(rig, "n1")) == ORIGIN


def test_strangers_are_not_told():
    assert payload_for(Rig(members=["n1"]), "n2") is None


def test_an_ack_with_a_coordinate_places_the_member_and_moves_us():
    rig, ping = probing()
    assert rig.node.coordinate("n1") is None
    answer(rig, ping, encode_coordinate(THERE))
    assert rig.node.coordinate("n1") == THERE
    mine = rig.node.coordinate(ME)
    assert mine != ORIGIN
    assert decode_coordinate(payload_for(rig, "n1")) == mine


def test_an_ack_without_a_coordinate_changes_nothing():
    rig, ping = probing()
    answer(rig, ping, None)
    assert rig.node.coordinate("n1") is None
    assert rig.node.coordinate(ME) == ORIGIN
    assert rig.node.rejected == 0


@pytest.mark.parametrize("payload", [b"\x02x", b"\x01\xc1", encode_coordinate(THERE)[:-8]])
def test_a_broken_coordinate_is_counted_and_the_ack_counts_as_an_answer(payload):
    rig, ping = probing()
    answer(rig, ping, payload)
    assert rig.node.rejected == 1
    assert [effect.source for effect in rig.emitted(MessageRejected)] == [str(home("n1"))]
    assert rig.node.coordinate("n1") is None
    assert rig.node.coordinate(ME) == ORIGIN
    rig.advance(0.9)
    assert not rig.node.suspects()
    assert rig.node.swim.detector.failed_probes == 0


def test_a_round_trip_of_more_than_ten_seconds_is_ignored():
    slow = SerfConfig(swim=SerfConfig().swim.__class__(probe_timeout=20.0, probe_interval=40.0))
    rig, ping = probing(config=slow)
    answer(rig, ping, encode_coordinate(THERE), after=MAX_RTT + 0.1)
    assert rig.node.coordinate("n1") is None
    rig, ping = probing(config=slow)
    answer(rig, ping, encode_coordinate(THERE), after=MAX_RTT - 0.1)
    assert rig.node.coordinate("n1") == THERE


def test_a_member_that_is_erased_takes_its_coordinate_along():
    rig, ping = probing()
    answer(rig, ping, encode_coordinate(THERE))
    rig.leave("n1")
    assert rig.node.coordinate("n1") == THERE
    rig.say(LeaveIntent(9, "n1", prune=True))
    assert rig.node.member("n1") is None
    assert rig.node.coordinate("n1") is None


def test_the_answer_of_a_member_that_was_pruned_meanwhile_changes_nothing():
    rig, ping = probing()
    rig.node._roster.prune_now("n1", rig.now)
    answer(rig, ping, encode_coordinate(THERE))
    assert rig.node.coordinate("n1") is None
    assert rig.node.coordinate(ME) == ORIGIN


def test_resets_are_counted_among_serfs_figures():
    assert Rig().node.stats()["coordinate_resets"] == "0"


def test_without_coordinates_none_are_sent_kept_or_counted():
    rig, ping = probing(config=SerfConfig(disable_coordinates=True))
    answer(rig, ping, encode_coordinate(THERE))
    assert rig.node.coordinate("n1") is None
    assert rig.node.coordinate(ME) is None
    assert payload_for(rig, "n1") is None
    assert "coordinate_resets" not in rig.node.stats()


def test_an_unchanged_coordinate_is_sent_again_with_the_same_bytes():
    rig = Rig(members=["n1"])
    assert payload_for(rig, "n1") == payload_for(rig, "n1")
