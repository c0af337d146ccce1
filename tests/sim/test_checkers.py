"""Each checker notices what it is there for: nodes are tampered with until they break its rule."""

import pytest
from msgspec.structs import replace

from gossip.serf.effects import MemberSuspected, MemberUpdated, UserEventReceived
from gossip.serf.members import MemberStatus
from gossip.sim.checkers import all_checkers
from gossip.sim.cluster import Cluster
from gossip.sim.host import Stall
from gossip.sim.rules import RuleBrokenError
from gossip.sim.scenario import Scenario
from gossip.swim.member import Member
from gossip.swim.suspicion import Suspicion
from gossip.wire.messages import MemberState
from gossip.wire.serf_messages import UserEvent


def checked_cluster(n=3):
    cluster = Cluster(1, Scenario(profile="local").config())
    cluster.observers.extend(all_checkers(cluster))
    hosts = [cluster.add(f"n{number}") for number in range(n)]
    for host in hosts:
        cluster.boot(host)
    cluster.acquaint(hosts)
    cluster.run(2.0)
    return cluster


def tell(cluster, name, *effects):
    for observer in cluster.observers:
        observer.told(cluster.hosts[name], effects, cluster.now)


def row(cluster, observer, name):
    return cluster.hosts[observer].node.swim.table.by_name[name]


def look_around(cluster):
    for observer in cluster.observers:
        observer.ticked(cluster.now)


def update(cluster, observer, name):
    tell(cluster, observer, MemberUpdated(cluster.hosts[observer].node.member(name)))


def breaks(rule):
    return pytest.raises(RuleBrokenError, match=rule)


def test_a_healthy_cluster_breaks_no_rule():
    cluster = checked_cluster()
    cluster.crash(cluster.hosts["n1"])
    cluster.run(40.0)
    cluster.restart(cluster.hosts["n1"])
    cluster.run(60.0)


def test_an_incarnation_that_its_owner_never_announced_is_noticed():
    cluster = checked_cluster()
    row(cluster, "n0", "n1").incarnation = 2
    with breaks("only the owner raises an incarnation: n0 holds n1 at incarnation 2"):
        update(cluster, "n0", "n1")


def test_the_incarnations_of_earlier_lives_count():
    cluster = checked_cluster()
    cluster.hosts["n1"].node.swim.table.me.incarnation = 5
    cluster.crash(cluster.hosts["n1"])
    row(cluster, "n0", "n1").incarnation = 5
    update(cluster, "n0", "n1")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("alive", 3), ("alive", 2)),
        (("suspect", 3), ("alive", 3)),
        (("dead", 3), ("alive", 3)),
        (("dead", 3), ("suspect", 3)),
        (("left", 3), ("dead", 3)),
    ],
)
def test_a_state_that_goes_back_is_noticed(before, after):
    cluster = checked_cluster()
    cluster.hosts["n1"].node.swim.table.me.incarnation = 9
    member = row(cluster, "n0", "n1")
    for state, incarnation in (before, after):
        member.state, member.incarnation = MemberState[state.upper()], incarnation
        if (state, incarnation) == before:
            update(cluster, "n0", "n1")
    with breaks("per incarnation a state only goes alive, suspect, dead: n0 held n1"):
        update(cluster, "n0", "n1")


def test_other_metadata_under_the_same_incarnation_is_noticed_unless_the_member_moved():
    cluster = checked_cluster()
    member = row(cluster, "n0", "n1")
    update(cluster, "n0", "n1")
    member.alive = replace(member.alive, meta=b"elsewhere", port=member.alive.port + 1)
    update(cluster, "n0", "n1")
    member.alive = replace(member.alive, meta=b"other")
    with breaks("per incarnation there is one announcement: n0 held n1"):
        update(cluster, "n0", "n1")


@pytest.mark.parametrize("state", [MemberState.DEAD, MemberState.LEFT])
def test_a_name_of_the_gone_may_pass_on_to_another_address(state):
    cluster = checked_cluster()
    member = row(cluster, "n0", "n1")
    member.state = state
    update(cluster, "n0", "n1")
    member.alive = replace(member.alive, port=member.alive.port + 1)
    member.state = MemberState.ALIVE
    update(cluster, "n0", "n1")


def test_a_forgotten_row_of_the_dead_begins_anew_and_one_of_the_living_does_not():
    for state in (MemberState.DEAD, MemberState.ALIVE):
        cluster = checked_cluster()
        cluster.hosts["n1"].node.swim.table.me.incarnation = 9
        member = row(cluster, "n0", "n1")
        member.state, member.incarnation = state, 5
        update(cluster, "n0", "n1")
        cluster.hosts["n0"].node.swim.table.by_name["n1"] = Member(member.alive, 0.0)
        if state is MemberState.DEAD:
            update(cluster, "n0", "n1")
            continue
        with breaks("per incarnation"):
            update(cluster, "n0", "n1")


def test_a_lamport_clock_that_goes_back_is_noticed():
    cluster = checked_cluster()
    host = cluster.hosts["n0"]
    host.node.announce_join(host.local_time(cluster.now))
    cluster.run(3.0)
    host.node._roster.clock.time = 1
    with breaks("lamport clocks never go back: n0 has"):
        cluster.run(4.0)


def test_a_status_time_that_goes_back_is_noticed():
    cluster = checked_cluster()
    member = cluster.hosts["n0"].node.member("n1")
    member.status_ltime = 5
    update(cluster, "n0", "n1")
    member.status_ltime = 4
    with breaks("the lamport time of a status never goes back: n0 has 4 for n1 after 5"):
        update(cluster, "n0", "n1")


def test_a_second_delivery_is_noticed_but_not_in_another_life():
    cluster = checked_cluster()
    event = UserEventReceived(UserEvent(3, "deploy", b"x"))
    tell(cluster, "n0", event)
    tell(cluster, "n0", UserEventReceived(UserEvent(4, "deploy", b"x")))
    tell(cluster, "n1", event)
    with breaks("a user event is delivered at most once: n0 received 'deploy' of time 3 twice"):
        tell(cluster, "n0", event)
    cluster.restart(cluster.hosts["n0"])
    tell(cluster, "n0", event)


def test_a_table_above_its_bound_is_noticed():
    cluster = checked_cluster()
    swim = cluster.hosts["n0"].node.swim
    for number in range(swim.config.max_relays + 1):
        swim.detector.relays.add(number, None)
    with breaks("everything is bounded: n0 has 1025 relayed pings, at most 1024 allowed"):
        look_around(cluster)


def test_an_overdue_deadline_is_noticed_unless_the_agent_stands_still():
    cluster = checked_cluster()
    host = cluster.hosts["n0"]
    cluster.stall(host, Stall.ALL)
    cluster.run(6.0)
    host.stall = Stall.NONE
    with breaks("no deadline is overdue: n0 should have been woken at"):
        cluster.run(8.0)


def test_a_suspect_without_suspicion_is_noticed():
    cluster = checked_cluster()
    row(cluster, "n0", "n1").state = MemberState.SUSPECT
    with breaks("who is suspected has a suspicion that ends: n0 holds n1 suspect"):
        look_around(cluster)


def suspected_cluster():
    """Return a cluster where n0 suspects n1 on the word of n2, with one more witness."""
    cluster = checked_cluster()
    node = cluster.hosts["n0"].node
    suspicion = Suspicion("n2", 2, 3.0, 18.0, 0.0)
    node.swim.view.suspicions["n1"] = suspicion
    row(cluster, "n0", "n1").state = MemberState.SUSPECT
    suspicion.confirm("n0")
    look_around(cluster)
    return cluster, suspicion


def test_a_witness_that_counts_twice_is_noticed():
    cluster, suspicion = suspected_cluster()
    suspicion.confirmers.append("n2")
    with breaks("a witness counts once: n0 counts"):
        look_around(cluster)


def test_a_witness_too_many_is_noticed():
    cluster, suspicion = suspected_cluster()
    suspicion.confirmers.extend(("n3", "n4"))
    with breaks("a witness counts once: n0 counts .* with room for 2"):
        look_around(cluster)


def test_a_confirmed_suspicion_that_does_not_shrink_is_noticed():
    cluster, suspicion = suspected_cluster()
    suspicion.confirm("n3")
    look_around(cluster)
    suspicion.deadline += 0.1
    with breaks("a confirmed suspicion is short: n0 gives n1 3.1 s, not 3 s"):
        look_around(cluster)


@pytest.mark.parametrize("limit", [4, 6])
def test_a_retransmit_limit_that_does_not_fit_the_size_is_noticed(limit):
    cluster = checked_cluster()
    cluster.hosts["n0"].node.swim._piggyback.limit = limit
    with breaks(f"a broadcast is sent as often as the size asks: n0 sends each {limit} times with 3 rows"):
        look_around(cluster)


def test_tables_that_disagree_on_who_is_gone_are_noticed():
    cluster = checked_cluster()
    cluster.hosts["n0"].node.member("n1").status = MemberStatus.FAILED
    with breaks("swim and serf agree on who is gone: n0 holds n1 alive and failed"):
        look_around(cluster)


def test_a_storm_is_noticed():
    cluster = checked_cluster()
    cluster.hosts["n0"].packets_sent += 1000
    with breaks("no broadcast storms: n0 sent 10.. packets in a second"):
        look_around(cluster)


def test_an_accusation_is_checked_like_any_other_change():
    cluster = checked_cluster()
    row(cluster, "n0", "n1").incarnation = 7
    with breaks("only the owner"):
        tell(cluster, "n0", MemberSuspected(cluster.hosts["n0"].node.member("n1"), "n2"))
