import logging
import socket

import pytest
import trio

from gossip.agent import driver as driver_module
from gossip.agent.driver import ROWS_A_TURN
from gossip.agent.transport import open_transport
from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.serf import join as join_module
from gossip.serf.effects import MemberFailed, MemberJoined, MemberLeft, MemberSuspected
from gossip.swim.effects import (
    BroadcastFinished,
    MessageRejected,
    NameConflict,
    OpenPushPull,
    OpenStreamPing,
    SendPacket,
)
from gossip.wire.address import Address
from gossip.wire.codec import encode
from gossip.wire.messages import (
    PROTOCOL_VERSIONS,
    Ack,
    Alive,
    Dead,
    MemberState,
    NodeState,
    Ping,
    PushPull,
)
from tests.agent.harness import eventually, join, running, statuses, where

KEY = "AAECAwQFBgcICQoLDA0ODw=="


def kinds(seen):
    return [type(effect) for effect in seen]


async def listen(nursery, serve, host):
    """Serve streams at a free port of `host` and return its address."""
    listeners = await trio.open_tcp_listeners(0, host=host)
    nursery.start_soon(trio.serve_listeners, serve, listeners)
    return Address(*listeners[0].socket.getsockname())


async def outcome(agent, seed):
    """Join one seed; return how many answered, the errors, and how many knew somebody else."""
    ended = await agent.driver.join([str(seed)])
    return ended.contacted, ended.errors, ended.others


async def test_two_agents_join_and_see_each_other():
    async with running("a", "127.1.10.1", tags={"role": "web"}) as a, running("b", "127.1.10.2") as b:
        assert await outcome(b, where(a)) == (1, (), 1)
        for agent in (a, b):
            await eventually(
                lambda agent=agent: statuses(agent) == {"a": "alive", "b": "alive"}, "two members"
            )
        assert b.driver.node.member("a").tags == {"role": "web"}


@pytest.mark.parametrize("settings", [{"encrypt_key": KEY}, {"disable_compression": True}])
async def test_three_agents_find_each_other_through_one(settings):
    async with (
        running("a", "127.1.10.3", **settings) as a,
        running("b", "127.1.10.4", **settings) as b,
        running("c", "127.1.10.5", **settings) as c,
    ):
        await join(b, a)
        await join(c, a)
        for agent in (a, b, c):
            await eventually(lambda agent=agent: len(statuses(agent)) == 3, "three members")
        assert (a.driver.is_encrypted, a.driver.rejected_packets) == ("encrypt_key" in settings, 0)


async def test_new_tags_reach_the_others():
    async with running("a", "127.1.10.6") as a, running("b", "127.1.10.7") as b:
        await join(b, a)
        token = b.driver.apply(lambda node, now: node.set_tags({"v": "2"}, now))
        assert await b.driver.broadcast_done(token, 10)
        await eventually(lambda: a.driver.node.member("b").tags == {"v": "2"}, "the tags of b")


async def test_observers_see_every_batch_and_may_issue_commands():
    seen = []

    def observe(effects, now):
        assert now <= trio.current_time()
        seen.extend(effects)
        for effect in effects:
            if isinstance(effect, MemberJoined) and effect.member.name == "b":
                a.driver.apply(lambda node, _now: node.push_pull_now(["b"]))

    async with running("a", "127.1.10.8", observers=(observe,)) as a, running("b", "127.1.10.9") as b:
        await join(b, a)
        await eventually(lambda: OpenPushPull in kinds(seen), "the observer's own command")
    assert kinds(seen)[0] is MemberJoined


async def test_observers_are_not_told_of_packets():
    batches = []
    async with (
        running("a", "127.1.10.220", observers=(lambda effects, _now: batches.append(effects),)) as a,
        running("b", "127.1.10.221") as b,
    ):
        await join(b, a)
        await eventually(lambda: len(statuses(a)) == 2, "two members")
        sent = a.driver.transport.traffic.packets_sent
        await eventually(lambda: a.driver.transport.traffic.packets_sent > sent, "a packet of a")
    assert all(batches)
    assert not any(isinstance(effect, SendPacket) for batch in batches for effect in batch)


async def test_an_agent_that_leaves_has_left():
    seen = []
    async with (
        running("a", "127.1.10.10", observers=(lambda effects, _now: seen.extend(effects),)) as a,
        running("b", "127.1.10.11") as b,
    ):
        await join(b, a)
        await eventually(lambda: statuses(a) == {"a": "alive", "b": "alive"}, "two members")
        await b.leave()
        await eventually(lambda: statuses(a)["b"] == "left", "b to have left")
    assert MemberLeft in kinds(seen)


async def test_an_agent_that_vanishes_has_failed():
    seen = []
    async with running("a", "127.1.10.12", observers=(lambda effects, _now: seen.extend(effects),)) as a:
        async with running("b", "127.1.10.45") as b:
            await join(b, a)
            await eventually(lambda: statuses(a) == {"a": "alive", "b": "alive"}, "two members")
        await eventually(lambda: statuses(a)["b"] == "failed", "b to have failed")
    assert {OpenStreamPing, MemberSuspected, MemberFailed} <= set(kinds(seen))


async def test_a_failed_command_raises_and_changes_nothing():
    async with running("a", "127.1.10.13") as a:
        with pytest.raises(LocalProtocolError, match="exceeds limit of 512 bytes"):
            a.driver.apply(lambda node, now: node.set_tags({"k": "v" * 600}, now))
        assert a.driver.node.tags == {}


async def test_the_timer_follows_the_nodes_deadline_both_ways():
    async with running("a", "127.1.10.14") as a, running("b", "127.1.10.15") as b:
        timer = a.driver._timer
        assert timer.deadline == a.driver.node.next_deadline()
        await join(b, a)
        await eventually(lambda: len(statuses(a)) == 2, "two members")
        assert a.driver._timer.deadline == a.driver.node.next_deadline()


async def test_a_lone_agent_wakes_only_on_deadlines(monkeypatch):
    async with running("a", "127.1.10.16") as a:
        woken = []
        original = a.driver.node.handle_timeout

        def handle_timeout(now):
            assert a.driver.node.next_deadline() <= now
            woken.append(now)
            original(now)

        monkeypatch.setattr(type(a.driver.node), "handle_timeout", lambda _node, now: handle_timeout(now))
        await trio.sleep(0.3)
        # Nobody to probe or to gossip with: the probe timer of one second at most.
        assert len(woken) <= 2


async def test_joining_nobody_says_what_serf_would_say():
    async with running("a", "127.1.10.17") as a:
        with socket.socket() as closed:
            closed.bind(("127.1.10.18", 0))
            port = closed.getsockname()[1]
            result = await a.driver.join([f"127.1.10.18:{port}", "x/127.1.10.18:1", "a b"])
    assert result.contacted == 0
    assert result.errors == (
        f"Failed to resolve a b: 'a b' is not host[:port] (IPv6 as [::1]:{where(a).port})",
        f"Failed to join 127.1.10.18: dial tcp 127.1.10.18:{port}: connect: connection refused",
        "Failed to join 127.1.10.18: dial tcp 127.1.10.18:1: connect: connection refused",
    )


async def test_joining_oneself_counts_but_is_told_apart():
    async with running("a", "127.1.10.19") as a:
        assert await outcome(a, where(a)) == (1, (), 0)


async def test_one_dead_seed_does_not_spoil_a_join():
    async with running("a", "127.1.10.20") as a, running("b", "127.1.10.21") as b:
        result = await b.driver.join(["127.1.10.22:1", str(where(a))])
    assert (result.contacted, len(result.errors)) == (1, 1)


@pytest.mark.parametrize("extra", [0, 1])
async def test_addresses_of_one_join_are_bounded(monkeypatch, extra):
    monkeypatch.setattr(join_module, "MAX_JOIN_ADDRESSES", 3)
    async with running("a", "127.1.10.46") as a:
        result = await a.driver.join([f"127.1.10.47:{port}" for port in range(1, 4 + extra)])
    assert [error for error in result.errors if "are tried" in error] == (
        ["Failed to join 4 addresses: only 3 are tried"] if extra else []
    )
    assert len(result.errors) == 3 + extra


async def test_a_seed_that_never_answers_times_out():
    async with running("a", "127.1.10.23") as a:
        with socket.socket() as silent:
            silent.bind(("127.1.10.24", 0))
            silent.listen()
            to = Address(*silent.getsockname())
            result = await a.driver.join([str(to)])
            with pytest.raises(trio.TooSlowError):
                await a.driver.push_pull(to, join=False)
    assert result.errors == (f"Failed to join 127.1.10.24: dial tcp {to}: i/o timeout",)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "closed the stream without an answer"),
        (b"\xff", "message type ff"),
        (encode(Ack(1)), "answered a push/pull with Ack"),
        (b"\x0d\x81\xa5Error\xa5no: x", "remote error: no: x"),
    ],
)
async def test_a_seed_that_answers_nonsense_is_an_error(answer, error):
    async def serve(stream):
        await stream.receive_some(1)
        await stream.send_all(answer)
        await stream.send_eof()
        async for _ in stream:  # read the rest: closing now would reset the connection
            pass

    async with running("a", "127.1.10.25") as a, trio.open_nursery() as nursery:
        to = await listen(nursery, serve, "127.1.10.26")
        with pytest.raises(RemoteProtocolError, match=error):
            await a.driver.push_pull(to, join=True)
        nursery.cancel_scope.cancel()


async def test_a_seed_that_resets_the_connection_is_an_error():
    async def serve(stream):
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await stream.receive_some(1)
        await stream.aclose()

    async with running("a", "127.1.10.27") as a, trio.open_nursery() as nursery:
        to = await listen(nursery, serve, "127.1.10.28")
        result = await a.driver.join([str(to)])
        assert result.errors == (
            f"Failed to join {to.host}: dial tcp {to}: connect: connection reset by peer",
        )
        nursery.cancel_scope.cancel()


async def test_a_broadcast_nobody_needs_is_done_at_once():
    async with running("a", "127.1.10.29") as a:
        token = a.driver.apply(lambda node, now: node.force_leave("x", prune=False, now=now))
        assert token == 0
        assert await a.driver.broadcast_done(token, 0)


async def test_waiting_for_a_broadcast_is_bounded_and_may_come_late():
    async with running("a", "127.1.10.30") as a:
        assert not await a.driver.broadcast_done(77, 0.01)
        a.driver._carry_out(BroadcastFinished(78))
        assert await a.driver.broadcast_done(78, 0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.driver.broadcast_done, 79, 10)
            await trio.testing.wait_all_tasks_blocked()
            a.driver._carry_out(BroadcastFinished(79))
        assert not a.driver._waiting


@pytest.mark.parametrize("extra", [0, 1])
async def test_finished_broadcasts_are_remembered_up_to_a_bound(extra):
    async with running("a", "127.1.10.31") as a:
        for token in range(1, driver_module.MAX_FINISHED_TOKENS + 1 + extra):
            a.driver._carry_out(BroadcastFinished(token))
        assert len(a.driver._finished) == driver_module.MAX_FINISHED_TOKENS
        assert await a.driver.broadcast_done(1, 0) is (extra == 0)


async def test_a_stream_ping_is_answered_and_counted(monkeypatch):
    async with running("a", "127.1.10.32") as a, running("b", "127.1.10.33") as b:
        answered = []
        monkeypatch.setattr(
            type(a.driver.node), "stream_ping_answered", lambda _node, seq, _now: answered.append(seq)
        )
        for seq, name in ((1, "b"), (2, "somebody else")):
            ping = encode(Ping(seq, name))
            a.driver._carry_out(OpenStreamPing(where(b), "b", seq, ping, trio.current_time() + 5))
        a.driver._carry_out(OpenStreamPing(Address("127.1.10.34", 1), "c", 3, b"", trio.current_time() + 5))
        await eventually(lambda: a.driver._outgoing == 0, "all pings to end")
    assert answered == [1]


async def test_streams_that_the_node_opens_are_bounded(monkeypatch):
    monkeypatch.setattr(driver_module, "MAX_OUTGOING_STREAMS", 1)
    async with running("a", "127.1.10.35") as a:
        with socket.socket() as silent:
            silent.bind(("127.1.10.36", 0))
            silent.listen()
            wanted = OpenPushPull(Address(*silent.getsockname()), "x", join=False)
            a.driver._carry_out(wanted)
            a.driver._carry_out(wanted)
            assert a.driver.streams_skipped == 1
            await eventually(lambda: a.driver._outgoing == 0, "the push/pull to time out")


async def test_anti_entropy_with_a_confused_peer_is_a_complaint(caplog):
    async def serve(stream):
        await stream.receive_some(65536)
        await stream.send_all(b"\xff")

    async with running("a", "127.1.10.37") as a, trio.open_nursery() as nursery:
        to = await listen(nursery, serve, "127.1.10.38")
        a.driver._carry_out(OpenPushPull(to, "x", join=False))
        await eventually(lambda: a.driver._outgoing == 0, "the push/pull to end")
        nursery.cancel_scope.cancel()
    assert [record.reason for record in caplog.records if record.getMessage() == "peer violated the protocol"]


async def test_a_member_that_comes_and_goes_is_logged_a_few_times_and_summed_up(caplog, monkeypatch):
    monkeypatch.setattr("gossip.agent.line_budget.PERIOD", 0.5)
    caplog.set_level(logging.INFO)
    async with running("a", "127.1.20.90") as a:
        for round_ in range(100):
            alive = Alive(2 * round_, "ghost", bytes((127, 1, 20, 91)), 7946, b"", bytes((1, 5, 2, 2, 5, 5)))
            for message in (alive, Dead(2 * round_, "ghost", "accuser")):
                a.driver._receive(a.driver._envelope.packet([encode(message)], crc=False), where(a))
        said = [record.getMessage() for record in caplog.records if getattr(record, "member", "") == "ghost"]
        assert 5 <= said.count("member joined") < 100
        assert 5 <= said.count("member failed") < 100
        await eventually(lambda: "log lines withheld" in caplog.text, "the sum")
        assert a.driver.withheld_lines > 0
    sums = [record for record in caplog.records if record.getMessage() == "log lines withheld"]
    assert {(line.of, line.member) for line in sums} >= {
        ("member joined", "ghost"),
        ("member failed", "ghost"),
    }
    assert sum(line.lines for line in sums) <= a.driver.withheld_lines


async def test_a_datagram_that_shows_a_bug_is_dropped_and_the_agent_goes_on(caplog, monkeypatch):
    async with running("a", "127.1.20.94") as a, running("b", "127.1.20.95") as b:
        bugs = []
        a.driver.on_bug = lambda: bugs.append(1)
        packet = a.driver._envelope.packet([encode(Ping(1, "a"))], crc=False)
        with monkeypatch.context() as patch:
            patch.setattr("gossip.serf.node.SerfNode.receive_packet", lambda *_: 1 // 0)
            a.driver._receive(packet, where(b))
            patch.setattr(type(a.driver._envelope), "open_packet", lambda *_: {}["x"])
            a.driver._receive(packet, where(b))
        assert len(bugs) == 2
        await join(b, a)
        await eventually(lambda: len(statuses(a)) == 2, "two members")
    kinds = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert kinds[:2] == [ZeroDivisionError, KeyError]


OTHER_KEY = "EBESExQVFhcYGRobHB0eHw=="


async def test_a_peer_with_another_key_is_named_with_the_keys(caplog):
    caplog.set_level(logging.INFO)
    async with (
        running("a", "127.1.20.92", encrypt_key=KEY) as a,
        running("b", "127.1.20.93", encrypt_key=OTHER_KEY) as b,
    ):
        name_a, name_b = a.driver.key_name, b.driver.key_name
        packet = b.driver._envelope.packet([encode(Ping(1, "a"))], crc=False)
        for _ in range(3):
            a.driver._receive(packet, where(b))
        (line,) = [record for record in caplog.records if record.getMessage() == "peer violated the protocol"]
        assert line.reason.endswith(f"(installed: {name_a})")
        a.driver._envelope.keyring.add(b.driver._envelope.keyring.keys[0])
        for _ in range(3):
            a.driver._receive(packet, where(b))
    (line,) = [record for record in caplog.records if "encrypts with a different key" in record.getMessage()]
    assert (line.peer, line.key, line.ours) == (str(where(b)), name_b, name_a)
    started = [record.key for record in caplog.records if record.getMessage() == "agent running"]
    assert started == [name_a, name_b]


async def test_complaints_are_logged_once_per_host(caplog):
    async with running("a", "127.1.10.39") as a:
        for port in (1, 2):
            a.driver._carry_out(MessageRejected(f"127.9.9.9:{port}", "nonsense"))
        conflict = NameConflict("n", Address("127.9.9.1", 1), Address("127.9.9.2", 1))
        a.driver._carry_out(conflict)
        a.driver._carry_out(conflict)
    texts = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert texts == ["peer violated the protocol", "two agents use the same name"]


async def test_members_events_are_logged_in_words(caplog):
    with caplog.at_level(logging.DEBUG):
        async with (
            running("a", "127.1.10.40", log_level="DEBUG") as a,
            running("b", "127.1.10.41", log_level="DEBUG") as b,
        ):
            await join(b, a)
            a.driver.apply(lambda node, now: node.user_event("deploy", b"", coalesce=False, now=now))
            b.driver.apply(lambda node, now: node.set_tags({"x": "y"}, now))
            await eventually(lambda: a.driver.node.member("b").tags == {"x": "y"}, "tags")
            a.driver.apply(lambda node, now: node.force_leave("b", prune=True, now=now))
            await b.leave()
    texts = {record.getMessage() for record in caplog.records}
    assert {
        "member joined",
        "member updated",
        "member leaving",
        "member left",
        "user event",
        "push/pull",
    } <= texts


async def test_packets_of_strangers_without_the_key_change_nothing():
    async with running("a", "127.1.10.42", encrypt_key=KEY) as a, running("b", "127.1.10.43") as b:
        result = await b.driver.join([str(where(a))])
        assert result.contacted == 0
        assert (
            "Encryption is configured but remote state is not encrypted" in result.errors[0] or result.errors
        )
        stranger = open_transport("127.1.10.44", 0)
        stranger.send(encode(Ping(1, "a")), where(a))
        await eventually(lambda: a.driver.rejected_packets == 1, "the packet to be rejected")
        stranger.close()
        assert statuses(a) == {"a": "alive"}


@pytest.mark.parametrize("rows", [ROWS_A_TURN, ROWS_A_TURN + 1, 3 * ROWS_A_TURN])
async def test_a_large_state_is_merged_in_several_turns(rows):
    def row(number):
        addr = bytes((127, 1, 200 + number // 250, number % 250))
        return NodeState(f"m{number}", addr, 7946, b"", 1, MemberState.ALIVE, PROTOCOL_VERSIONS)

    async with running("a", "127.1.10.60") as a:
        merged_before_a_turn = []
        remote = PushPull(False, tuple(map(row, range(rows))), b"")
        done = trio.Event()

        async def merge():
            await a.driver.merge(remote, initiated=False)
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(merge)
            while not done.is_set():
                merged_before_a_turn.append(len(a.driver.node.members()))
                await trio.lowlevel.checkpoint()
        assert len(a.driver.node.members()) == rows + 1
        # Trio runs ready tasks in any order: other tasks may see every second turn only.
        assert len(set(merged_before_a_turn)) >= (2 if rows == 3 * ROWS_A_TURN else 1)
