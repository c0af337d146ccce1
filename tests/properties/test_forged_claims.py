"""What one datagram of a stranger can do to a cluster that is not encrypted: time to be right again."""

from random import Random

import pytest

from gossip.serf.members import MemberStatus
from gossip.swim.incarnation import MAX_INCARNATION_RISE
from gossip.wire.address import Address, pack_address
from gossip.wire.codec import encode
from gossip.wire.messages import MAX_U32, PROTOCOL_VERSIONS, Ack, Alive, Dead, Suspect, UserMessage
from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import MAX_U64, JoinIntent, LeaveIntent, UserEvent
from tests.cluster import Cluster

STRANGER = Address("192.0.2.1", 4444)
NAMES = ("n1", "n2", "n3", "n4", "n5")
VICTIM = "n5"
LEFT = MemberStatus.LEFT


def formed(seed: int) -> Cluster:
    cluster = Cluster(seed)
    cluster.form(*NAMES)
    cluster.advance(5.0)
    return cluster


def forge(cluster: Cluster, *messages, to: str = "n1") -> None:
    parts = [encode(message) for message in messages]
    cluster.do(to, lambda node, now: node.receive_packet(parts, STRANGER, now))


def is_whole(cluster: Cluster) -> bool:
    """Tell whether everybody holds everybody alive."""
    return all(
        member.status is MemberStatus.ALIVE
        for node in cluster.nodes.values()
        for member in (node.member(name) for name in NAMES)
        if member is not None
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_member_takes_back_a_leave_that_is_not_its_own_within_two_seconds(seed):
    cluster = formed(seed)
    forge(cluster, UserMessage(encode_serf(LeaveIntent(9, VICTIM))), Dead(7, VICTIM, VICTIM))
    assert not is_whole(cluster)
    assert cluster.until(lambda: is_whole(cluster), 2.0) < 2.0


@pytest.mark.parametrize("incarnation", [2 + MAX_INCARNATION_RISE, MAX_U32])
def test_claims_at_incarnations_that_nobody_can_be_at_change_nothing(incarnation):
    cluster = formed(1)
    addr = pack_address("10.0.0.5")
    forge(
        cluster,
        Dead(incarnation, VICTIM, VICTIM),
        Dead(incarnation, VICTIM, "n2"),
        Alive(incarnation, VICTIM, addr, 7946, b"web", PROTOCOL_VERSIONS),
    )
    cluster.advance(5.0)
    assert is_whole(cluster)
    assert {node.member(VICTIM).alive.meta for node in cluster.nodes.values()} == {b"\xff\x80"}


def test_a_member_of_foreign_versions_does_not_keep_newcomers_out():
    cluster = formed(1)
    forge(cluster, Alive(1, "ghost", pack_address("10.9.9.9"), 7946, b"", bytes((1, 1, 1, 2, 5, 5))))
    cluster.add("n6")
    cluster.join("n6", "n1")
    cluster.until(lambda: len(cluster.nodes["n5"].members()) == 6, 5.0)
    assert all(node.member("ghost") is None for node in cluster.nodes.values())


@pytest.mark.parametrize("time", [2**63, MAX_U64 - 1, MAX_U64])
def test_leaves_are_understood_after_messages_from_the_end_of_time(time):
    cluster = formed(1)
    forged = [JoinIntent(time, "nobody"), UserEvent(time, "boo"), LeaveIntent(time, VICTIM)]
    forge(cluster, *(UserMessage(encode_serf(message)) for message in forged))
    cluster.advance(5.0)
    assert {int(node.stats()["member_time"]) < 100 for node in cluster.nodes.values()} == {True}
    cluster.do(VICTIM, lambda node, now: node.begin_leave(now))
    cluster.do(VICTIM, lambda node, now: node.finish_leave(now))
    cluster.until(lambda: {node.member(VICTIM).status for node in cluster.nodes.values()} == {LEFT}, 10.0)


@pytest.mark.parametrize("seed", range(5))
def test_accusations_cannot_hold_up_a_members_health(seed):
    """A balancer decides nothing while its health is above 3; it waits for 30 s at most."""
    cluster = formed(seed)
    cluster.crash(VICTIM)
    accused = cluster.nodes["n1"]
    scores = []
    for _ in range(4 * 60):
        forge(cluster, Suspect(accused.swim.table.me.incarnation, "n1", "n2"))
        cluster.advance(0.25)
        scores.append(accused.local_health)
    assert max(scores) > 3
    assert max(scores[4 * 25 :]) <= 3


@pytest.mark.parametrize("seed", range(3))
def test_acks_by_the_thousand_do_not_hide_a_death(seed):
    cluster = formed(seed)
    cluster.crash(VICTIM)
    rng = Random(seed)

    def guess() -> bool:
        for name in cluster.nodes:
            forge(cluster, *(Ack(number) for number in range(100)), to=name)
            forge(cluster, *(Ack(rng.randrange(2**32)) for _ in range(100)), to=name)
        return all(node.member(VICTIM).status is not MemberStatus.ALIVE for node in cluster.nodes.values())

    assert cluster.until(guess, 30.0, 0.05) < 30.0
