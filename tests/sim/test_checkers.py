"""Each checker notices what it is there for: nodes are tampered with until they break its rule."""

import pytest
from msgspec.structs import replace

from gossip.serf.effects import MemberSuspected, MemberUpdated, UserEventReceived
from gossip.serf.members import MemberStatus
from gossip.sim.checkers import all_checkers
from gossip.sim.cluster import Cluster
from gossip.sim.host import Stall
from gossip.sim.scenario import Scenario
from gossip.swim.member import Member
from gossip.swim.suspicion import Suspicion
from gossip.wire.address import pack_address
from gossip.wire.messages import MemberState
from gossip.wire.serf_messages import UserEvent
from tests.sim.rig import breaks


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
    cluster = moved_cluster(5.0)
    member = row(cluster, "n0", "n1")
    update(cluster, "n0", "n1")
    pass_on(cluster, meta=b"elsewhere")
    member.alive = replace(member.alive, meta=b"other")
    with breaks("per incarnation there is one announcement: n0 held n1"):
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


def moved_cluster(after: float = 0.0) -> Cluster:
    """Return a cluster in which n1 starts again on another machine, `after` seconds ago."""
    cluster = checked_cluster()
    for name in ("n1", "n2"):
        update(cluster, "n0", name)
    cluster.move(cluster.hosts["n1"])
    cluster.run(cluster.now + after)
    return cluster


def pass_on(
    cluster: Cluster, *, to: str = "n1", state: MemberState = MemberState.ALIVE, meta: bytes = b""
) -> None:
    """Let n0 take the address of machine `to` for n1's, which it believed to be in `state`."""
    member = row(cluster, "n0", "n1")
    if state is not MemberState.ALIVE:
        member.state = state
        update(cluster, "n0", "n1")
    port, addr = cluster.hosts[to].address.port, pack_address(cluster.hosts[to].address.host)
    swim = cluster.hosts["n0"].node.swim
    swim.table.unlist_address(member)
    member.alive = replace(member.alive, addr=addr, port=port, meta=meta or member.alive.meta)
    member.state = MemberState.ALIVE
    update(cluster, "n0", "n1")


@pytest.mark.parametrize(
    ("state", "timeouts"), [(MemberState.ALIVE, 3.0), (MemberState.DEAD, 1.5), (MemberState.LEFT, 1.5)]
)
def test_a_name_that_passes_on_before_its_old_address_could_be_silent_is_noticed(state, timeouts):
    least = timeouts * checked_cluster().config.swim.probe_timeout
    pass_on(moved_cluster(least), state=state)
    early = moved_cluster(least - 0.01)
    with breaks("a name passes on when its old address is silent: n0 moved n1 from .* at the earliest after"):
        pass_on(early, state=state)


def test_a_name_that_passes_on_to_an_address_without_an_agent_of_that_name_is_noticed():
    with breaks("a name passes on to an agent of that name: n0 moved n1"):
        pass_on(moved_cluster(), to="n2")


def test_a_name_that_goes_back_to_an_earlier_machine_is_noticed():
    cluster = checked_cluster()
    member = row(cluster, "n0", "n1")
    first = member.alive
    update(cluster, "n0", "n1")
    cluster.join(cluster.move(cluster.hosts["n1"]), ["n0"])
    cluster.run(10.0)
    assert row(cluster, "n0", "n1").alive.addr != first.addr
    update(cluster, "n0", "n1")
    member.alive = first
    with breaks("a name passes on to a later agent: n0 moved n1"):
        update(cluster, "n0", "n1")


def test_a_clock_that_leaps_may_hasten_a_change_of_address():
    cluster = moved_cluster()
    cluster.jump(cluster.hosts["n0"], 5.0)
    pass_on(cluster)


def test_a_member_that_comes_back_to_a_former_machine_may_be_held_there():
    cluster = checked_cluster()
    first = cluster.hosts["n1"].address
    for address in (None, first):
        cluster.join(cluster.move(cluster.hosts["n1"], address=address), ["n0"])
        cluster.run(cluster.now + 20.0)
    assert row(cluster, "n0", "n1").address == first
