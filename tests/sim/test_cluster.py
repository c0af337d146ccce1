"""The cluster as a driver of cores: joins, leaves, crashes, pauses, clocks; determinism."""

import pytest

from gossip.cli.simulator.narration import narrate
from gossip.serf.effects import MemberFailed, UserEventReceived
from gossip.serf.members import MemberStatus
from gossip.sim.byte_path import BytePath
from gossip.sim.cluster import Cluster
from gossip.sim.host import MAX_BACKLOG, MAX_INBOX, Absence, Host, Stall
from gossip.sim.network import Conditions, Imposed
from gossip.sim.observer import Observer
from gossip.wire.address import Address
from tests.sim.rig import LOCAL, Watcher, agree, cluster_of, printed, statuses, until


def test_acquainted_nodes_know_each_other_and_have_nothing_to_say():
    cluster = cluster_of(4)
    assert all(agree(cluster, MemberStatus.ALIVE, f"n{number}") for number in range(4))
    assert all(len(host.node.swim.queue) == 0 for host in cluster.up())


def test_nodes_that_join_through_a_seed_find_each_other():
    cluster = cluster_of(5, agreed=False)
    # Whom gossip misses, which is one of eight seeds, learns the rest by push/pull.
    until(cluster, lambda: all(len(statuses(cluster, f"n{n}")) == 5 for n in range(5)), within=30)


def test_a_join_is_repeated_until_somebody_else_answers():
    cluster = Cluster(1, LOCAL)
    first, second = cluster.add("n0"), cluster.add("n1")
    cluster.set_seeds(second, ["n0"])
    cluster.boot(second)
    cluster.rejoin(second)
    cluster.run(10.0)
    assert len(second.node.members()) == 1
    cluster.boot(first)
    until(cluster, lambda: len(second.node.members()) == 2, within=15)


def test_a_crashed_node_is_seen_failed_and_a_restarted_one_alive():
    cluster = cluster_of(4)
    cluster.crash(cluster.hosts["n2"])
    until(cluster, lambda: agree(cluster, MemberStatus.FAILED, "n2"), within=30)
    cluster.restart(cluster.hosts["n2"])
    until(cluster, lambda: agree(cluster, MemberStatus.ALIVE, "n2"), within=30)
    assert cluster.hosts["n2"].life == 2


def test_a_node_that_leaves_is_seen_left_and_its_process_ends():
    cluster = cluster_of(4)
    cluster.leave(cluster.hosts["n2"])
    until(cluster, lambda: cluster.hosts["n2"].absence is Absence.LEFT, within=10)
    until(cluster, lambda: agree(cluster, MemberStatus.LEFT, "n2"), within=5)


def test_a_restart_with_a_snapshot_needs_no_seed():
    cluster = cluster_of(3)
    cluster.hosts["n2"].seeds = ()
    cluster.run(1.0)
    cluster.restart(cluster.hosts["n2"], snapshot=True)
    until(cluster, lambda: len(cluster.hosts["n2"].node.members()) == 3, within=2)


def test_a_restart_with_a_snapshot_brings_the_events_that_were_missed_and_no_others():
    cluster = cluster_of(3)
    n2 = cluster.hosts["n2"]
    n2.seeds = ()
    heard = []

    class Hears(Observer):
        def told(self, host, effects, now):
            heard.extend(e.event.name for e in effects if host is n2 and isinstance(e, UserEventReceived))

    cluster.observers.append(Hears())

    def say(name):
        send = lambda node, now: node.user_event(name, b"", coalesce=False, now=now)  # noqa: E731
        cluster.command(cluster.hosts["n0"], send, f"sends {name}")

    say("before")
    until(cluster, lambda: heard == ["before"], within=5)
    cluster.crash(n2)
    say("meanwhile")
    until(cluster, lambda: agree(cluster, MemberStatus.FAILED, "n2"), within=30)
    cluster.run(cluster.now + 10.0)
    cluster.restart(n2, snapshot=True)
    until(cluster, lambda: len(heard) == 2, within=10)
    cluster.run(cluster.now + 10.0)
    assert heard == ["before", "meanwhile"]


def test_a_paused_process_keeps_its_messages_and_goes_on_after():
    cluster = cluster_of(4)
    cluster.stall(cluster.hosts["n1"], Stall.ALL)
    cluster.run(1.5)
    waiting = len(cluster.hosts["n1"].inbox)
    cluster.resume(cluster.hosts["n1"])
    cluster.run(3.0)
    assert waiting > 0
    assert not cluster.hosts["n1"].inbox
    assert agree(cluster, MemberStatus.ALIVE, "n1")


@pytest.mark.parametrize("how", [Stall.ALL, Stall.IO])
def test_a_pause_longer_than_the_suspicion_fails_the_node_and_its_end_brings_it_back(how):
    cluster = cluster_of(4)
    cluster.stall(cluster.hosts["n1"], how)
    others = [cluster.hosts[name] for name in ("n0", "n2", "n3")]
    until(cluster, lambda: all(h.node.member("n1").status is MemberStatus.FAILED for h in others), within=40)
    cluster.resume(cluster.hosts["n1"])
    until(cluster, lambda: all(agree(cluster, MemberStatus.ALIVE, f"n{n}") for n in range(4)), within=90)


def test_an_agent_blocked_from_the_network_keeps_time_and_one_that_stands_still_does_not():
    timers = {}
    for how in (Stall.ALL, Stall.IO):
        cluster = cluster_of(4)
        cluster.stall(cluster.hosts["n1"], how)
        cluster.run(3.0)
        timers[how] = cluster.hosts["n1"].node.swim.detector.failed_probes
    assert timers[Stall.ALL] == 0
    assert timers[Stall.IO] > 0


def test_what_waits_for_a_stalled_agent_is_bounded():
    host = Host("x", 0, Address("10.0.0.1", 7946), {})
    for _ in range(MAX_INBOX + 1):
        host.keep(lambda: None)
        host.hold_back(lambda: None)
    assert len(host.inbox) == len(host.outbox) == MAX_INBOX


def test_a_slow_agent_handles_packets_one_after_the_other_and_drops_beyond_its_backlog():
    cluster = cluster_of(4)
    slow = cluster.hosts["n1"]
    cluster.slow_down(slow, 0.3)
    cluster.run(4.0)
    assert 0 < slow.packets_received <= 4.0 / 0.3
    cluster.slow_down(slow, 1000.0)
    cluster.run(8.0)
    slow.waiting = MAX_BACKLOG - 1
    busy_until = slow.busy_until
    cluster.run(12.0)
    assert slow.waiting == MAX_BACKLOG
    assert slow.busy_until == busy_until + 1000.0


def test_a_slow_agents_backlog_takes_its_time_after_a_second_pause_as_well():
    cluster = cluster_of(4)
    slow = cluster.hosts["n1"]
    cluster.slow_down(slow, 0.3)
    cluster.run(1.0)
    for _ in range(3):
        cluster.stall(slow, Stall.IO)
        cluster.run(cluster.now + 5.0)
        assert len(slow.inbox) > 3
        handled = slow.packets_received
        cluster.resume(slow)
        cluster.run(cluster.now + 0.5)
        assert 0 < slow.packets_received - handled <= 2


def test_a_slow_agent_recovers_when_it_is_fast_again():
    cluster = cluster_of(4)
    cluster.slow_down(cluster.hosts["n1"], 0.5)
    cluster.run(20.0)
    cluster.slow_down(cluster.hosts["n1"], 0.0)
    until(cluster, lambda: all(agree(cluster, MemberStatus.ALIVE, f"n{n}") for n in range(4)), within=90)


def test_a_leap_of_one_clock_fails_nobody():
    watcher = Watcher()
    cluster = Cluster(1, LOCAL)
    cluster.observers.append(watcher)
    hosts = [cluster.add(f"n{number}", offset=1000.0 * number) for number in range(4)]
    for host in hosts:
        cluster.boot(host)
    cluster.acquaint(hosts)
    cluster.run(5.3)
    cluster.jump(hosts[1], 3600.0)
    cluster.run(60.0)
    assert not [effect for _, effect in watcher.told_effects if isinstance(effect, MemberFailed)]
    assert hosts[1].last_now == pytest.approx(1000.0 + 3600.0 + 60.0, abs=2.0)


def test_a_moved_node_keeps_its_name_and_has_another_address():
    cluster = cluster_of(3)
    old = cluster.hosts["n2"].address
    moved = cluster.move(cluster.hosts["n2"])
    assert cluster.hosts["n2"] is moved
    assert moved.address != old
    assert moved.life == 2


def test_a_command_to_a_node_that_is_down_or_paused_or_refuses_does_nothing():
    cluster = cluster_of(3)
    host = cluster.hosts["n1"]
    assert cluster.command(host, lambda node, now: node.set_tags({"k": "v" * 600}, now), "tags") is None
    cluster.stall(host, Stall.ALL)
    assert cluster.command(host, lambda node, now: node.name, "name") is None
    cluster.resume(host)
    assert cluster.command(host, lambda node, now: node.name, "name") == "n1"
    cluster.crash(host)
    assert cluster.command(host, lambda node, now: node.name, "name") is None


def test_observers_see_lives_effects_notes_and_seconds():
    watcher = Watcher()
    cluster = Cluster(1, LOCAL)
    cluster.observers.append(watcher)
    hosts = [cluster.add(name) for name in ("a", "b")]
    for host in hosts:
        cluster.boot(host)
    cluster.acquaint(hosts)
    cluster.command(hosts[0], lambda n, now: n.user_event("deploy", b"", coalesce=False, now=now), "event")
    cluster.run(3.5)
    cluster.crash(hosts[1])
    heard = [name for name, effect in watcher.told_effects if isinstance(effect, UserEventReceived)]
    assert heard == ["a", "b"]
    assert watcher.lives == [("up", "a"), ("up", "b"), ("down", "b")]
    assert watcher.ticks == [1.0, 2.0, 3.0]
    assert "b crashes" in watcher.notes


def test_a_command_from_an_observer_is_carried_out_after_what_it_saw():
    class Answering(Observer):
        def told(self, host, effects, now):
            if host.name == "b" and any(
                isinstance(e, UserEventReceived) and e.event.name == "ping" for e in effects
            ):
                cluster.command(
                    host, lambda n, now: n.user_event("pong", b"", coalesce=False, now=now), "pong"
                )

    watcher = Watcher()
    cluster = Cluster(1, LOCAL)
    cluster.observers.extend([Answering(), watcher])
    hosts = [cluster.add(name) for name in ("a", "b")]
    for host in hosts:
        cluster.boot(host)
    cluster.acquaint(hosts)
    cluster.command(hosts[0], lambda n, now: n.user_event("ping", b"", coalesce=False, now=now), "ping")
    cluster.run(3.0)
    at_b = [
        e.event.name for name, e in watcher.told_effects if name == "b" and isinstance(e, UserEventReceived)
    ]
    assert at_b == ["ping", "pong"]


def busy_run(*, wire, encrypt=True):
    """A join storm, loss, a partition, a leave, a crash and a restart."""
    path = BytePath(5, compress=True, encrypt=encrypt) if wire else None
    cluster = cluster_of(6, seed=5, agreed=False, conditions=Conditions(loss=0.05, duplicate=0.1), path=path)
    cluster.run(3.0)
    partition = Imposed(Conditions(loss=1.0), ["n1", "n2"], ["n0", "n3", "n4", "n5"], both_ways=True)
    cluster.network.impose(partition)
    cluster.run(8.0)
    cluster.network.lift(partition)
    cluster.leave(cluster.hosts["n3"])
    cluster.crash(cluster.hosts["n4"])
    cluster.run(20.0)
    cluster.restart(cluster.hosts["n4"])
    cluster.run(40.0)
    return cluster


def test_equal_seeds_give_equal_traces_and_others_do_not():
    assert busy_run(wire=False).trace.digest() == busy_run(wire=False).trace.digest()
    assert cluster_of(3, seed=1).trace.digest() != cluster_of(3, seed=2, agreed=False).trace.digest()


@pytest.mark.parametrize("encrypt", [False, True])
def test_the_byte_path_changes_nothing_that_happens(encrypt):
    by_reference, by_wire = busy_run(wire=False), busy_run(wire=True, encrypt=encrypt)
    assert by_wire.trace.digest() == by_reference.trace.digest(), narrate(by_wire.trace.entries)
    assert by_wire.driver.streams.broken == 0
    assert sum(host.node.rejected for host in by_wire.up()) == 0


def test_the_hash_seed_of_the_interpreter_does_not_matter():
    script = "from tests.sim.test_cluster import busy_run; print(busy_run(wire=False).trace.digest())"
    assert printed(script, hash_seed=0) == printed(script, hash_seed=1)
