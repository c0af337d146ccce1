"""The rules of graceful leaves are noticed when they are broken, and only then."""

import pytest

from gossip.serf.effects import MemberFailed, PushPullReceived
from gossip.serf.members import MemberStatus
from gossip.sim.acts import Leave
from gossip.sim.cluster import Cluster
from gossip.sim.host import Absence, Stall
from gossip.sim.leaves import Leaves
from gossip.sim.network import Conditions, Imposed
from gossip.sim.performer import Performer
from gossip.sim.scenario import Scenario
from gossip.swim.evidence import Evidence
from tests.sim.rig import breaks

NAMES = ("n0", "n1", "n2")
LEAVER = "n1"


def watched_cluster() -> tuple[Cluster, Leaves]:
    cluster = Cluster(1, Scenario(profile="local").config())
    leaves = Leaves(cluster)
    cluster.observers.append(leaves)
    hosts = [cluster.add(name) for name in NAMES]
    for host in hosts:
        cluster.boot(host)
    cluster.acquaint(hosts)
    cluster.run(10.0)
    return cluster, leaves


def leave(cluster: Cluster, drain: float) -> None:
    Performer(cluster, Scenario(nodes=3)).perform(Leave(node=LEAVER, drain=drain))


def status(cluster: Cluster, observer: str) -> MemberStatus:
    return cluster.hosts[observer].node.member(LEAVER).status


def accuse(cluster: Cluster, leaves: Leaves, reporter: str = "n0", suspected_at: float | None = None) -> None:
    """Let n0 say that the leaver has failed."""
    host = cluster.hosts["n0"]
    since = cluster.now if suspected_at is None else suspected_at
    evidence = Evidence(reporter, reporter, (), since)
    leaves.told(host, [MemberFailed(host.node.member(LEAVER), evidence)], cluster.now)


def test_a_leaver_drains_before_its_leave_broadcast():
    cluster, _ = watched_cluster()
    leave(cluster, 30.0)
    cluster.run(39.0)
    assert cluster.hosts[LEAVER].node.status is MemberStatus.LEAVING
    cluster.run(50.0)
    assert cluster.hosts[LEAVER].absence is Absence.LEFT
    assert {status(cluster, name) for name in ("n0", "n2")} == {MemberStatus.LEFT}


def test_a_second_leave_does_not_change_the_drain():
    cluster, _ = watched_cluster()
    leave(cluster, 30.0)
    leave(cluster, 0.0)
    cluster.run(39.0)
    assert cluster.hosts[LEAVER].node is not None


def test_a_leaver_that_stands_still_at_the_end_of_its_drain_finishes_afterwards():
    cluster, _ = watched_cluster()
    leave(cluster, 5.0)
    cluster.run(14.0)
    cluster.stall(cluster.hosts[LEAVER], Stall.IO)
    cluster.run(17.0)
    assert cluster.hosts[LEAVER].node.status is MemberStatus.LEAVING
    cluster.resume(cluster.hosts[LEAVER])
    cluster.run(30.0)
    assert cluster.hosts[LEAVER].absence is Absence.LEFT


def test_a_leaver_that_crashes_while_it_drains_sends_no_leave_broadcast_in_its_next_life():
    cluster, _ = watched_cluster()
    leave(cluster, 5.0)
    cluster.run(13.0)
    cluster.restart(cluster.hosts[LEAVER], rejoin=False)
    cluster.run(30.0)
    assert cluster.hosts[LEAVER].node.status is MemberStatus.ALIVE


def test_a_newcomer_is_judged_and_right():
    cluster, leaves = watched_cluster()
    leave(cluster, 120.0)
    cluster.run(60.0)
    newcomer = cluster.add("n3")
    cluster.set_seeds(newcomer, ["n0"])
    cluster.boot(newcomer)
    cluster.rejoin(newcomer)
    cluster.run(61.0)
    assert status(cluster, "n3") is MemberStatus.LEAVING
    assert leaves.newcomers_judged == 1


@pytest.mark.parametrize("held", [MemberStatus.ALIVE, MemberStatus.LEAVING])
def test_a_newcomer_that_takes_a_leaver_for_alive_is_noticed(held):
    cluster, leaves = watched_cluster()
    leave(cluster, 120.0)
    cluster.run(60.0)
    host = cluster.hosts["n0"]
    rows = cluster.hosts["n2"].node.local_state(join=True).nodes
    host.node.member(LEAVER).status = held
    if held is MemberStatus.LEAVING:
        leaves.told(host, [PushPullReceived(rows, (), initiated=True)], cluster.now)
        return
    leaves.told(host, [PushPullReceived((), (), initiated=True)], cluster.now)
    with breaks("a newcomer sees who is leaving"):
        leaves.told(host, [PushPullReceived(rows, (), initiated=True)], cluster.now)


def test_while_somebody_does_not_know_of_a_drain_nobody_is_judged():
    cluster, leaves = watched_cluster()
    leave(cluster, 120.0)
    cluster.run(60.0)
    host = cluster.hosts["n0"]
    host.node.member(LEAVER).status = MemberStatus.ALIVE
    leaves.ticked(cluster.now)
    rows = cluster.hosts["n2"].node.local_state(join=True).nodes
    leaves.told(host, [PushPullReceived(rows, (), initiated=True)], cluster.now)


def test_a_failure_after_the_leave_broadcast_is_noticed():
    cluster, leaves = watched_cluster()
    leave(cluster, 0.0)
    cluster.run(20.0)
    with breaks("a member that leaves in order has not failed"):
        accuse(cluster, leaves)


@pytest.mark.parametrize(
    ("reporter", "suspected_at"),
    [("n2", None), ("n0", 5.0)],
)
def test_what_others_say_and_what_was_suspected_before_is_no_mistake_of_the_host(reporter, suspected_at):
    cluster, leaves = watched_cluster()
    leave(cluster, 0.0)
    cluster.run(20.0)
    accuse(cluster, leaves, reporter, suspected_at)


def test_a_leave_broadcast_that_is_taken_for_a_failure_is_noticed():
    cluster, leaves = watched_cluster()
    with breaks("a member that leaves in order has not failed"):
        accuse(cluster, leaves, LEAVER)


def test_a_failure_without_a_leave_broadcast_is_nobodys_mistake():
    cluster, leaves = watched_cluster()
    accuse(cluster, leaves)


def test_a_failure_that_nobody_could_have_prevented_is_nobodys_mistake():
    cluster, leaves = watched_cluster()
    leave(cluster, 0.0)
    cluster.run(20.0)
    cluster.crash(cluster.hosts["n2"])
    cluster.hosts["n0"].node.member(LEAVER).status = MemberStatus.FAILED
    accuse(cluster, leaves)


@pytest.mark.parametrize("trouble", ["pause", "slow", "links"])
def test_a_host_in_trouble_may_be_wrong(trouble):
    cluster, leaves = watched_cluster()
    leave(cluster, 3.0)
    host = cluster.hosts["n0"]
    if trouble == "pause":
        cluster.stall(host, Stall.IO)
    elif trouble == "slow":
        cluster.slow_down(host, 0.01)
    else:
        cluster.network.impose(Imposed(Conditions(loss=0.5), ["n2"], ["n0"], both_ways=False))
    cluster.run(18.0)
    cluster.resume(host)
    cluster.run(22.0)
    accuse(cluster, leaves)
