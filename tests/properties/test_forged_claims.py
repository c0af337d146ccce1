"""What one datagram of a stranger can do to a cluster that is not encrypted: time to be right again."""

from random import Random

import pytest

from gossip.serf.config import SerfConfig
from gossip.serf.lamport import MAX_TIME_AHEAD
from gossip.serf.members import MemberStatus
from gossip.sim.cluster import Cluster
from gossip.swim.incarnation import MAX_INCARNATION_RISE
from gossip.wire.address import Address, pack_address
from gossip.wire.codec import encode
from gossip.wire.messages import MAX_U32, PROTOCOL_VERSIONS, Ack, Alive, Dead, Suspect, UserMessage
from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import MAX_U64, JoinIntent, LeaveIntent, UserEvent
from tests.sim.rig import advance, all_agree, cluster_of, until

STRANGER = Address("192.0.2.1", 4444)
NAMES = ("n0", "n1", "n2", "n3", "n4")
HEARER, VICTIM = NAMES[0], NAMES[-1]
PEACE = 5
"""Seconds from the start of all members until the first forged claim."""
LAST_ALLOWED = 1 + PEACE + MAX_INCARNATION_RISE
"""The highest incarnation that a claim may have then: a life begun now would be at 1 + `PEACE`."""
LEFT = MemberStatus.LEFT


def formed(seed: int) -> Cluster:
    cluster = cluster_of(len(NAMES), SerfConfig(), seed=seed)
    advance(cluster, PEACE)
    return cluster


def nodes(cluster):
    return [host.node for host in cluster.up()]


def forge(cluster: Cluster, *messages, to: str = HEARER) -> None:
    parts = [encode(message) for message in messages]
    cluster.command(
        cluster.hosts[to], lambda node, now: node.receive_packet(parts, STRANGER, now), "hears a stranger"
    )


def is_whole(cluster: Cluster) -> bool:
    return all_agree(cluster, dict.fromkeys(NAMES, MemberStatus.ALIVE))


@pytest.mark.parametrize("seed", range(5))
def test_a_member_takes_back_a_leave_that_is_not_its_own_within_two_seconds(seed):
    cluster = formed(seed)
    forge(cluster, UserMessage(encode_serf(LeaveIntent(9, VICTIM))), Dead(7, VICTIM, VICTIM))
    assert not is_whole(cluster)
    until(cluster, lambda: is_whole(cluster), within=2.0, step=0.01)


def claims_about_the_victim(incarnation):
    """Return a leave, a death, and an announcement with metadata that is no tags."""
    addr = pack_address("10.0.0.5")
    return (
        Dead(incarnation, VICTIM, VICTIM),
        Dead(incarnation, VICTIM, "n2"),
        Alive(incarnation, VICTIM, addr, 7946, b"web", PROTOCOL_VERSIONS),
    )


def rows_about_the_victim(cluster):
    rows = [node.swim.table.by_name[VICTIM] for node in nodes(cluster)]
    return {(row.state, row.incarnation, row.alive) for row in rows}


@pytest.mark.parametrize("incarnation", [LAST_ALLOWED + 1, MAX_U32])
def test_claims_at_incarnations_that_nobody_can_be_at_change_nothing(incarnation):
    cluster = formed(1)
    before = rows_about_the_victim(cluster)
    forge(cluster, *claims_about_the_victim(incarnation))
    assert rows_about_the_victim(cluster) == before
    advance(cluster, 5.0)
    assert is_whole(cluster)
    assert rows_about_the_victim(cluster) == before


def test_claims_at_the_last_incarnation_that_a_member_can_surpass_are_refuted():
    cluster = formed(1)
    before = rows_about_the_victim(cluster)
    forge(cluster, *claims_about_the_victim(LAST_ALLOWED - 1))
    assert rows_about_the_victim(cluster) != before
    advance(cluster, 5.0)
    assert is_whole(cluster)
    assert {alive.meta for _, _, alive in rows_about_the_victim(cluster)} == {b"\xff\x80"}


@pytest.mark.parametrize("to", [HEARER, VICTIM])
@pytest.mark.parametrize("claim", [slice(0, 1), slice(1, 2), slice(2, 3), slice(None), slice(None, None, -1)])
def test_claims_at_the_last_incarnation_that_anybody_accepts_are_refuted_everywhere(to, claim):
    """Others accept an announcement there and no accusation, unless they heard the announcement before."""
    cluster = formed(1)
    before = rows_about_the_victim(cluster)
    forge(cluster, *claims_about_the_victim(LAST_ALLOWED)[claim], to=to)
    advance(cluster, 2.0)
    assert is_whole(cluster)
    (row,) = rows_about_the_victim(cluster)
    assert row[2].meta == b"\xff\x80"
    assert row in before or row[1] == LAST_ALLOWED + 1


@pytest.mark.parametrize("to", [HEARER, VICTIM])
def test_members_keep_a_common_clock_after_a_leave_at_the_latest_time_that_they_accept(to):
    cluster = formed(1)
    latest = 1 + MAX_TIME_AHEAD
    forge(cluster, UserMessage(encode_serf(LeaveIntent(latest, VICTIM))), to=to)
    advance(cluster, 2.0)
    assert is_whole(cluster)
    assert {int(node.stats()["member_time"]) for node in nodes(cluster)} == {latest + 2}


def test_a_member_of_foreign_versions_does_not_keep_newcomers_out():
    cluster = formed(1)
    forge(cluster, Alive(1, "ghost", pack_address("10.9.9.9"), 7946, b"", bytes((1, 1, 1, 2, 5, 5))))
    newcomer = cluster.add("n5")
    cluster.boot(newcomer)
    cluster.join(newcomer, [HEARER])
    until(cluster, lambda: len(cluster.hosts[VICTIM].node.members()) == 6, within=5.0)
    assert all(node.member("ghost") is None for node in nodes(cluster))


@pytest.mark.parametrize("time", [2**63, MAX_U64 - 1, MAX_U64])
def test_leaves_are_understood_after_messages_from_the_end_of_time(time):
    cluster = formed(1)
    forged = [JoinIntent(time, "nobody"), UserEvent(time, "boo"), LeaveIntent(time, VICTIM)]
    forge(cluster, *(UserMessage(encode_serf(message)) for message in forged))
    advance(cluster, 5.0)
    assert {int(node.stats()["member_time"]) < 100 for node in nodes(cluster)} == {True}
    cluster.leave(cluster.hosts[VICTIM])
    until(cluster, lambda: {node.member(VICTIM).status for node in nodes(cluster)} == {LEFT}, within=10.0)


@pytest.mark.parametrize("seed", range(5))
def test_accusations_cannot_hold_up_a_members_health(seed):
    """A balancer decides nothing while its health is above 3; it waits for 30 s at most."""
    cluster = formed(seed)
    cluster.crash(cluster.hosts[VICTIM])
    accused = cluster.hosts[HEARER].node
    scores = []
    for _ in range(4 * 60):
        forge(cluster, Suspect(accused.swim.table.me.incarnation, HEARER, "n2"))
        advance(cluster, 0.25)
        scores.append(accused.local_health)
    assert max(scores) > 3
    assert max(scores[4 * 25 :]) <= 3


@pytest.mark.parametrize("seed", range(3))
def test_acks_by_the_thousand_do_not_hide_a_death(seed):
    cluster = formed(seed)
    cluster.crash(cluster.hosts[VICTIM])
    rng = Random(seed)

    def guess() -> bool:
        for host in cluster.up():
            forge(cluster, *(Ack(number) for number in range(100)), to=host.name)
            forge(cluster, *(Ack(rng.randrange(2**32)) for _ in range(100)), to=host.name)
        return all(node.member(VICTIM).status is not MemberStatus.ALIVE for node in nodes(cluster))

    until(cluster, guess, within=30.0, step=0.05)
