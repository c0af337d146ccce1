"""Rules that a cluster obeys only as a whole, each where nothing else would make up for its absence.

The swarm does not see most of them broken: what gossip leaves undone, push/pull does later, and whoever is
suspected for nothing refutes.
"""

from gossip.serf.config import SerfConfig
from gossip.serf.effects import MemberSuspected
from gossip.serf.members import MemberStatus
from gossip.sim.checkers import all_checkers
from gossip.sim.observer import Observer
from gossip.swim.config import SwimConfig
from gossip.wire.codec import encode
from gossip.wire.messages import Dead, Suspect
from tests.sim.rig import block, cluster_of

NEVER = 1e6
GOSSIP_ALONE = SerfConfig(swim=SwimConfig(push_pull_interval=NEVER, probe_interval=NEVER))
"""Without probes and push/pull: what spreads is spread by gossip."""


class Suspected(Observer):
    """Notes who is suspected."""

    def __init__(self):
        self.names = []

    def told(self, host, effects, now):
        self.names += [e.member.name for e in effects if isinstance(e, MemberSuspected)]


def checked_cluster(n, config):
    return cluster_of(n, config, watched_by=all_checkers)


def hear(cluster, name, message):
    """Let a packet from nobody in particular reach `name`."""
    host = cluster.hosts[name]
    host.node.receive_packet((encode(message),), host.address, host.local_time(cluster.now))
    cluster.driver.flush(host)


def rows(cluster, about):
    """Return what everybody else holds of `about`."""
    return [h.node.swim.table.by_name[about] for h in cluster.up() if h.name != about]


def test_two_who_cannot_reach_each_other_are_kept_alive_by_what_others_relay():
    cluster = checked_cluster(6, SerfConfig())
    watcher = Suspected()
    cluster.observers.append(watcher)
    block(cluster, ["n0"], ["n1"], both_ways=True)
    cluster.run(120.0)
    assert cluster.hosts["n0"].node.swim.detector.failed_probes == 0
    assert watcher.names == []


def test_a_refutation_is_gossiped_to_everybody():
    cluster = checked_cluster(20, GOSSIP_ALONE)
    hear(cluster, "n0", Suspect(1, "n1", "n2"))
    cluster.run(5.0)
    assert {row.incarnation for row in rows(cluster, "n1")} == {2}
    assert not any(host.node.is_suspect("n1") for host in cluster.up())


def test_a_death_is_gossiped_to_everybody():
    cluster = checked_cluster(20, GOSSIP_ALONE)
    cluster.crash(cluster.hosts["n1"])
    hear(cluster, "n0", Dead(1, "n1", "n2"))
    cluster.run(5.0)
    assert {host.node.member("n1").status for host in cluster.up()} == {MemberStatus.FAILED}


def test_every_witness_that_counts_is_heard_by_everybody():
    cluster = checked_cluster(20, GOSSIP_ALONE)
    cluster.crash(cluster.hosts["n1"])
    for witness in ("n2", "n3", "n4"):
        hear(cluster, "n0", Suspect(1, "n1", witness))
        cluster.run(cluster.now + 5.0)
    suspicions = [host.node.swim.view.suspicions["n1"] for host in cluster.up()]
    assert {(s.reporter, *s.confirmers) for s in suspicions} == {("n2", "n3", "n4")}


def test_a_new_life_with_other_tags_is_believed_from_its_next_incarnation_on():
    cluster = checked_cluster(5, SerfConfig())
    host = cluster.hosts["n1"]
    host.tags = {"new": "life"}
    cluster.restart(host, rejoin=False)
    # It meets others before it learns what they hold of its former life, and announces itself to them.
    for other in ("n0", "n2"):
        hear(cluster, "n1", cluster.hosts[other].node.swim.table.me.alive)
    cluster.run(cluster.now + 2.0)
    assert {row.incarnation for row in rows(cluster, "n1")} == {1}
    assert all(other.node.member("n1").tags == {} for other in cluster.up() if other is not host)
    cluster.run(cluster.now + 90.0)
    assert {row.incarnation for row in rows(cluster, "n1")} == {2}
    assert all(other.node.member("n1").tags == {"new": "life"} for other in cluster.up())
