import errno
import logging
import os
import re
import sys
from contextlib import AsyncExitStack, suppress

import msgpack
import pytest
import trio

from gossip.agent import ipc_commands, ipc_connection, ipc_server, rpc_listener
from gossip.agent.ipc_connection import MAX_SUBSCRIPTIONS
from gossip.agent.ipc_server import MAX_CONNECTIONS
from gossip.agent.ipc_streams import QUEUED_RECORDS
from tests.agent.harness import eventually, ipc, join, running, statuses, where

log = logging.getLogger("gossip.agent")


# --- handshake and auth -----------------------------------------------------------------------------------


async def test_the_first_command_must_be_a_handshake():
    async with running("a", "127.1.21.1") as a, ipc(a, handshake=False) as client:
        assert await client.ask("members", 1) == "Handshake required"
        assert await client.is_closed()


async def test_a_handshake_may_be_tried_again_but_not_repeated():
    async with running("a", "127.1.21.2") as a, ipc(a, handshake=False) as client:
        assert await client.ask("handshake", 1, {"Version": 2}) == "Unsupported IPC version"
        assert await client.ask("handshake", 2, {"Version": 1}) == ""
        assert await client.ask("handshake", 3, {"Version": 1}) == "Handshake already performed"


async def test_with_a_key_every_command_needs_auth_and_answers_once():
    async with running("a", "127.1.21.3", rpc_auth="secret") as a, ipc(a) as client:
        assert await client.ask("members", 2) == "Authentication required"
        assert await client.ask("tags", 3, {"Tags": {"x": "y"}}) == "Authentication required"
        assert await client.ask("auth", 4, {"AuthKey": "wrong"}) == "Invalid authentication token"
        assert await client.ask("auth", 5, {"AuthKey": "secret"}) == ""
        assert await client.ask("members", 6) == ""
        assert [member["Name"] for member in (await client.receive())["Members"]] == ["a"]
    assert a.driver.node.tags == {}


async def test_without_a_key_auth_with_one_is_refused_and_nothing_else():
    async with running("a", "127.1.21.4") as a, ipc(a) as client:
        assert await client.ask("auth", 2, {"AuthKey": "x"}) == "Invalid authentication token"
        assert await client.ask("stats", 3) == ""


# --- clients that break, or do not read -------------------------------------------------------------------


async def test_a_command_that_fails_ends_its_connection_alone(monkeypatch, caplog):
    async def fail(_host, _request):
        raise ZeroDivisionError

    monkeypatch.setitem(ipc_commands.COMMANDS, "stats", fail)
    async with running("a", "127.1.21.40") as a, ipc(a) as other:
        for _ in range(3):
            async with ipc(a) as client:
                await client.send("stats", 2)
                assert await client.is_closed()
        assert await other.ask("members", 3) == ""
    (line,) = [record for record in caplog.records if record.exc_info]
    assert line.exc_info[0] is ZeroDivisionError


async def test_a_client_that_does_not_read_is_dropped(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(ipc_connection, "WRITE_TIMEOUT", 0.05)
    dropped = "a client does not read its answers"
    unix = f"unix:{tmp_path}/rpc"  # its buffers do not grow
    async with running("a", "127.1.21.41", rpc_addr=unix) as a, ipc(a) as client, ipc(a) as other:

        async def ask_on():
            with suppress(trio.BrokenResourceError):
                while True:
                    await client.send("stats", 2)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_on)
            await eventually(lambda: dropped in reasons(caplog), "the client to be dropped")
            nursery.cancel_scope.cancel()
        assert await other.ask("stats", 3) == ""


async def test_a_leave_whose_answer_nobody_reads_stops_the_agent(monkeypatch):
    monkeypatch.setattr(ipc_connection, "LEAVE_ANSWER_TIMEOUT", 0.05)

    async def never(_connection, _data):
        await trio.sleep_forever()

    async with running("a", "127.1.21.42") as a, ipc(a) as client:
        monkeypatch.setattr(ipc_connection.Connection, "_write", never)
        await client.send("leave", 2)
        with trio.fail_after(20):
            await a.wait_stopped()
        assert a.driver.leave_finished.is_set()


async def test_a_client_that_leaves_and_vanishes_stops_the_agent():
    async with running("a", "127.1.21.43") as a:
        async with ipc(a) as client:
            await client.send("leave", 2)
        with trio.fail_after(20):
            await a.wait_stopped()


async def test_lack_of_descriptors_is_logged_once_and_does_not_end_the_server(monkeypatch, caplog):
    monkeypatch.setattr(rpc_listener, "ACCEPT_PAUSE", 0.01)
    real, failures = rpc_listener.RpcListener.accept, iter(range(5))

    async def accept(listener):
        if next(failures, None) is not None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return await real(listener)

    monkeypatch.setattr(rpc_listener.RpcListener, "accept", accept)
    async with running("a", "127.1.21.44") as a, ipc(a) as client:
        assert await client.ask("stats", 3) == ""
    assert reasons(caplog).count("cannot accept a client: too many open files") == 1


class Unreadable:
    """Finds no file of one module, as in a process without free descriptors; then it finds everything."""

    def __init__(self, module):
        self.module = module
        self.failed = 0

    def find_spec(self, name, _path, _target=None):
        if name == self.module and not self.failed:
            self.failed += 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


async def test_a_first_client_that_finds_no_descriptor_for_the_modules_is_closed_with_a_line(
    monkeypatch, caplog
):
    finder = Unreadable("gossip.agent.ipc_connection")
    monkeypatch.setattr("gossip.agent.ipc_connection", ipc_connection)  # afterwards the same module again
    monkeypatch.delitem(sys.modules, finder.module)
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    async with running("a", "127.1.21.46") as a:
        async with ipc(a, handshake=False) as client:
            assert await client.is_closed()
        async with ipc(a) as client:
            assert await client.ask("stats", 2) == ""
    assert finder.failed == 1
    assert reasons(caplog) == ["cannot serve a client: too many open files"]


def reasons(caplog):
    return [record.reason for record in caplog.records if hasattr(record, "reason")]


# --- commands ---------------------------------------------------------------------------------------------


async def test_members_are_described_as_serf_describes_them():
    async with running("a", "127.1.21.5", tags={"role": "web"}) as a, ipc(a) as client:
        assert await client.ask("members", 2) == ""
        assert await client.receive() == {
            "Members": [
                {
                    "Addr": bytes((127, 1, 21, 5)),
                    "DelegateCur": 5,
                    "DelegateMax": 5,
                    "DelegateMin": 2,
                    "Name": "a",
                    "Port": where(a).port,
                    "ProtocolCur": 2,
                    "ProtocolMax": 5,
                    "ProtocolMin": 1,
                    "Status": "alive",
                    "Tags": {"role": "web"},
                }
            ]
        }


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["a", "b"]),
        ({"Name": "", "Status": "", "Tags": {}}, ["a", "b"]),
        ({"Name": "b"}, ["b"]),
        ({"Name": "[ab]"}, ["a", "b"]),
        ({"Status": "fail.*"}, []),
        ({"Status": "alive", "Tags": {"role": "w.*"}}, ["a"]),
        ({"Tags": {"none": ""}}, ["a", "b"]),
    ],
)
async def test_members_are_filtered_by_anchored_patterns(monkeypatch, wanted, names):
    monkeypatch.setattr(ipc_commands, "FILTER_SLICE", -1)  # every member lets others run
    async with running("a", "127.1.21.6", tags={"role": "web"}) as a, running("b", "127.1.21.7") as b:
        await join(b, a)
        await eventually(lambda: len(statuses(a)) == 2, "two members")
        async with ipc(a) as client:
            assert await client.ask("members-filtered", 2, wanted) == ""
            assert [member["Name"] for member in (await client.receive())["Members"]] == names


@pytest.mark.parametrize("pattern", ["(", "a**", "x" * 5000])
async def test_a_pattern_that_cannot_be_used_closes_the_connection(caplog, pattern):
    async with running("a", "127.1.21.8") as a, ipc(a) as client:
        await client.send("members-filtered", 2, {"Name": pattern})
        assert await client.is_closed()
        async with ipc(a) as again:
            assert await again.ask("stats", 2) == ""
    assert "ipc request failed" in {record.getMessage() for record in caplog.records}


async def test_joining_reports_how_many_answered():
    async with running("a", "127.1.21.9") as a, running("b", "127.1.21.10") as b, ipc(a) as client:
        existing = [str(where(b)), "127.1.21.11:1"]
        assert await client.ask("join", 2, {"Existing": existing, "Replay": False}) == ""
        assert await client.receive() == {"Num": 1}
        assert await client.ask("join", 3, {"Existing": []}) == ""
        assert await client.receive() == {"Num": 0}


async def test_joining_nobody_is_gos_list_of_errors():
    async with running("a", "127.1.21.12") as a, ipc(a) as client:
        one = "\t* Failed to join 127.1.21.11: dial tcp 127.1.21.11:{}: connect: connection refused\n"
        error = await client.ask("join", 2, {"Existing": ["127.1.21.11:1"], "Replay": True})
        assert error == "1 error occurred:\n" + one.format(1) + "\n"
        assert await client.receive() == {"Num": 0}
        error = await client.ask("join", 3, {"Existing": ["127.1.21.11:1", "127.1.21.11:2"]})
        assert error == "2 errors occurred:\n" + one.format(1) + one.format(2) + "\n"


async def test_tags_are_deleted_first_and_then_set():
    async with running("a", "127.1.21.13", tags={"a": "1", "b": "2"}) as a, ipc(a) as client:
        assert await client.ask("tags", 2, {"Tags": {"a": "3", "c": "4"}, "DeleteTags": ["a", "b"]}) == ""
        assert a.driver.node.tags == {"a": "3", "c": "4"}
        error = await client.ask("tags", 3, {"Tags": {"k": "v" * 600}})
        assert re.fullmatch(r"encoded length of tags \(\d+\) exceeds limit of 512 bytes", error)
        assert a.driver.node.tags == {"a": "3", "c": "4"}


async def test_commands_that_gossip_say_when_it_took_too_long(monkeypatch):
    async def never(_driver, _token, _timeout):
        await trio.lowlevel.checkpoint()
        return False

    monkeypatch.setattr("gossip.agent.driver.Driver.broadcast_done", never)
    async with running("a", "127.1.21.14") as a, ipc(a) as client:
        assert await client.ask("tags", 2, {"Tags": {"a": "1"}}) == "timeout waiting for update broadcast"
        assert await client.ask("force-leave", 3, {"Node": "x"}) == "timed out broadcasting node removal"


async def test_a_failed_member_is_forced_out_and_pruned():
    async with running("a", "127.1.21.15") as a, ipc(a) as client:
        async with running("b", "127.1.21.16") as b:
            await join(b, a)
            await eventually(lambda: len(statuses(a)) == 2, "two members")
        await eventually(lambda: statuses(a)["b"] == "failed", "b to have failed")
        assert await client.ask("force-leave", 2, {"Node": "b"}) == ""
        assert statuses(a)["b"] == "left"
        assert await client.ask("force-leave", 3, {"Node": "b", "Prune": True}) == ""
        assert statuses(a) == {"a": "alive"}
        assert await client.ask("force-leave", 4, {"Node": "nobody"}) == ""


async def test_stats_have_all_sections_of_serf():
    async with running("a", "127.1.21.17", tags={"x": "y"}) as a, ipc(a) as client:
        assert await client.ask("stats", 2) == ""
        stats = await client.receive()
    assert set(stats) == {"agent", "runtime", "serf", "tags", "event_handlers", "log", "refused", "counters"}
    assert stats["counters"] == {"member_flaps": "0", "dropped_broadcasts": "0"}
    assert stats["refused"] == {"packets": "0", "replayed": "0", "wrong_label": "0"}
    assert stats["agent"] == {"name": "a"}
    assert stats["tags"] == {"x": "y"}
    assert set(stats["runtime"]) == {"os", "arch", "version", "max_procs", "goroutines", "cpu_count"}
    assert stats["serf"]["encrypted"] == "false"
    assert stats["serf"]["members"] == "1"
    assert all(isinstance(value, str) for section in stats.values() for value in section.values())


async def test_leave_answers_when_it_is_complete_and_then_the_agent_stops():
    async with running("a", "127.1.21.18") as a, running("b", "127.1.21.19") as b, ipc(b) as client:
        await join(b, a)
        await eventually(lambda: statuses(a) == {"a": "alive", "b": "alive"}, "two members")
        await client.send("leave", 2)
        await eventually(lambda: b.is_leaving, "the leave to begin")
        async with ipc(b) as other:
            assert await other.ask("join", 2, {"Existing": []}) == "Serf can't Join after Leave or Shutdown"
        assert (await client.receive())["Error"] == ""
        assert b.driver.leave_finished.is_set()
        assert await client.is_closed()
        await eventually(lambda: statuses(a)["b"] == "left", "b to have left")


# --- order and robustness ---------------------------------------------------------------------------------


async def test_requests_are_answered_one_after_the_other():
    async with running("a", "127.1.21.21") as a, ipc(a) as client:
        for seq in range(2, 12):
            await client.send("stats", seq)
        for seq in range(2, 12):
            assert (await client.receive())["Seq"] == seq
            await client.receive()


async def test_a_request_may_arrive_byte_by_byte():
    async with running("a", "127.1.21.22") as a, ipc(a) as client:
        for byte in msgpack.packb({"Command": "tags", "Seq": 2}) + msgpack.packb({"Tags": {"a": "b"}}):
            await client.stream.send_all(bytes((byte,)))
        assert (await client.receive())["Error"] == ""


@pytest.mark.parametrize(
    "data", [b"\xc1", b"\x01", b"\x82\xa7Command\xc4\x05stats\xa3Seq\x02", b"\xdd\xff\xff\xff\xff"]
)
async def test_what_is_no_request_closes_the_connection(data):
    async with running("a", "127.1.21.23") as a, ipc(a) as client:
        await client.stream.send_all(data)
        assert await client.is_closed()


async def test_one_client_too_many_takes_the_place_of_the_one_that_is_silent_longest(caplog):
    async with running("a", "127.1.21.24") as a, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(ipc(a)) for _ in range(MAX_CONNECTIONS)]
        assert await clients[0].ask("stats", 2) == ""
        extra = await stack.enter_async_context(ipc(a))
        assert await extra.ask("stats", 2) == ""
        assert await clients[1].is_closed()
    assert [r.reason for r in caplog.records if r.levelno >= logging.ERROR] == [
        f"more than {MAX_CONNECTIONS} clients"
    ]


async def test_clients_without_a_handshake_make_room_first_and_subscribers_never(monkeypatch):
    monkeypatch.setattr(ipc_server, "MAX_CONNECTIONS", 3)
    async with running("a", "127.1.21.40") as a, AsyncExitStack() as stack:
        subscriber, idle = [await stack.enter_async_context(ipc(a)) for _ in range(2)]
        assert await subscriber.ask("stream", 2, {"Type": "*"}) == ""
        silent = await stack.enter_async_context(ipc(a, handshake=False))
        await stack.enter_async_context(ipc(a))
        assert await silent.is_closed()
        await stack.enter_async_context(ipc(a))
        assert await idle.is_closed()
        await stack.enter_async_context(ipc(a))
        assert await subscriber.ask("stats", 3) == ""


@pytest.mark.parametrize("handshake", [False, True])
async def test_a_client_that_does_not_say_who_it_is_is_closed_in_time(monkeypatch, caplog, handshake):
    monkeypatch.setattr(ipc_connection, "AUTH_TIMEOUT", 0.2)
    async with running("a", "127.1.21.41", rpc_auth="secret") as a, ipc(a, handshake=handshake) as client:
        assert await client.is_closed()
    assert "no handshake, or no token, within 0.2 s" in [getattr(r, "reason", "") for r in caplog.records]


async def test_a_client_that_is_known_may_be_silent_for_as_long_as_it_likes(monkeypatch):
    monkeypatch.setattr(ipc_connection, "AUTH_TIMEOUT", 0.1)
    async with running("a", "127.1.21.42") as a, ipc(a) as client:
        await trio.sleep(0.2)
        assert await client.ask("stats", 2) == ""


async def test_guessing_tokens_takes_a_pause_each_over_all_connections(monkeypatch):
    monkeypatch.setattr(ipc_server, "WRONG_TOKEN_PAUSE", 0.1)
    refused = 0
    async with running("a", "127.1.21.43", rpc_auth="secret") as a, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(ipc(a)) for _ in range(8)]
        start = trio.current_time()

        async def guess(client):
            nonlocal refused
            assert await client.ask("auth", 2, {"AuthKey": "wrong"}) == "Invalid authentication token"
            refused += 1
            assert refused <= (trio.current_time() - start) / 0.1 + 1

        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(guess, client)
            async with ipc(a) as honest:  # a right token does not wait behind the wrong ones
                assert await honest.ask("auth", 2, {"AuthKey": "secret"}) == ""
                assert refused < 8


async def test_a_client_that_goes_on_guessing_is_closed(monkeypatch):
    monkeypatch.setattr(ipc_server, "WRONG_TOKEN_PAUSE", 0.0)
    async with running("a", "127.1.21.44", rpc_auth="secret") as a, ipc(a) as client:
        for seq in range(ipc_connection.MAX_WRONG_TOKENS):
            assert await client.ask("auth", seq, {"AuthKey": "wrong"}) == "Invalid authentication token"
        await client.send("auth", 9, {"AuthKey": "secret2"})
        assert await client.is_closed()


async def test_answers_that_were_not_read_yet_are_bounded_together(monkeypatch, caplog):
    monkeypatch.setattr(ipc_server, "MAX_UNREAD_BYTES", 100)
    async with running("a", "127.1.21.45") as a, ipc(a) as client:
        await client.send("stats", 2)  # its answer alone is longer
        assert await client.is_closed()
    assert any("unfinished connections" in getattr(r, "reason", "") for r in caplog.records)


async def test_a_place_becomes_free_when_a_client_leaves(monkeypatch):
    monkeypatch.setattr(ipc_server, "MAX_CONNECTIONS", 1)
    async with running("a", "127.1.21.25") as a:
        for _ in range(3):
            async with ipc(a):
                pass
            await trio.testing.wait_all_tasks_blocked(0.01)


async def test_running_out_of_descriptors_is_a_pause(monkeypatch):
    from gossip.agent.rpc_listener import RpcListener

    original, failures = RpcListener.accept, [OSError(24, "too many open files")]

    async def accept(listener):
        if failures:
            await trio.lowlevel.checkpoint()
            raise failures.pop()
        return await original(listener)

    monkeypatch.setattr(RpcListener, "accept", accept)
    async with running("a", "127.1.21.26") as a, ipc(a) as client:
        assert await client.ask("stats", 2) == ""


async def test_a_unix_socket_serves_the_same(tmp_path):
    async with running("a", "127.1.21.27", rpc_addr=f"unix:{tmp_path}/rpc.sock") as a, ipc(a) as client:
        assert await client.ask("stats", 2) == ""


# --- subscriptions ----------------------------------------------------------------------------------------


async def test_a_stream_tells_what_serf_calls_events():
    async with (
        running("a", "127.1.21.28") as a,
        running("b", "127.1.21.29", tags={"x": "1"}) as b,
        ipc(a) as client,
    ):
        assert await client.ask("stream", 7, {"Type": "*"}) == ""
        await join(b, a)
        assert await client.receive() == {"Error": "", "Seq": 7}
        joined = await client.receive()
        assert joined["Event"] == "member-join"
        assert [(m["Name"], m["Status"], m["Tags"]) for m in joined["Members"]] == [
            ("b", "alive", {"x": "1"})
        ]
        a.driver.apply(lambda node, now: node.user_event("deploy", b"\xff", coalesce=True, now=now))
        assert await client.receive() == {"Error": "", "Seq": 7}
        event = await client.receive()
        assert event == {"Event": "user", "Name": "deploy", "Payload": b"\xff", "Coalesce": True, "LTime": 1}


async def test_a_stream_carries_only_what_was_asked_for():
    async with running("a", "127.1.21.30") as a, ipc(a) as client:
        assert await client.ask("stream", 7, {"Type": "user:wanted,member-leave"}) == ""
        for name in ("other", "wanted"):
            a.driver.apply(lambda node, now, name=name: node.user_event(name, b"", coalesce=False, now=now))
        await client.receive()
        assert (await client.receive())["Name"] == "wanted"


async def test_subscriptions_are_refused_with_serfs_words():
    async with running("a", "127.1.21.31") as a, ipc(a) as client:
        assert await client.ask("stream", 7, {"Type": "nope"}) == "Invalid event filter"
        assert await client.ask("stream", 7, {"Type": "user"}) == ""
        assert await client.ask("stream", 7, {"Type": "user"}) == "Stream with given sequence exists"
        assert await client.ask("monitor", 8, {"LogLevel": "loud"}) == "Unknown log level: LOUD"
        assert await client.ask("monitor", 7, {"LogLevel": "err"}) == "Stream with given sequence exists"
        assert await client.ask("monitor", 8, {"LogLevel": "err"}) == ""
        assert await client.ask("monitor", 9, {"LogLevel": "err"}) == "Monitor already exists"


async def test_subscriptions_of_a_client_are_bounded():
    async with running("a", "127.1.21.32") as a, ipc(a) as client:
        for seq in range(MAX_SUBSCRIPTIONS):
            assert await client.ask("stream", 100 + seq, {"Type": "query"}) == ""
        assert await client.ask("stream", 99, {"Type": "query"}) == "Stream with given sequence exists"


async def test_a_stopped_stream_is_silent_and_its_number_free():
    async with running("a", "127.1.21.33") as a, ipc(a) as client:
        assert await client.ask("stream", 7, {"Type": "user"}) == ""
        assert await client.ask("stop", 8, {"Stop": 7}) == ""
        assert await client.ask("stop", 9, {"Stop": 12345}) == ""
        a.driver.apply(lambda node, now: node.user_event("unheard", b"", coalesce=False, now=now))
        assert await client.ask("stream", 7, {"Type": "user"}) == ""
        a.driver.apply(lambda node, now: node.user_event("heard", b"", coalesce=False, now=now))
        await client.receive()
        assert (await client.receive())["Name"] == "heard"


async def test_a_monitor_tells_the_past_first_and_then_the_present():
    async with running("a", "127.1.21.34") as a, ipc(a) as client:
        log.info("past")
        log.debug("not logged then")
        assert await client.ask("monitor", 7, {"LogLevel": "debug"}) == ""
        log.debug("present")
        lines = []
        while not lines or "present" not in lines[-1]:
            assert await client.receive() == {"Error": "", "Seq": 7}
            lines.append((await client.receive())["Log"])
        assert any("[INFO] agent: past" in line for line in lines)
        assert not any("not logged then" in line for line in lines)
        assert await client.ask("stop", 8, {"Stop": 7}) == ""
        log.info("unheard")
        assert await client.ask("stop", 9, {"Stop": 7}) == ""


async def test_a_monitor_hears_other_threads():
    async with running("a", "127.1.21.35") as a, ipc(a) as client:
        assert await client.ask("monitor", 7, {"LogLevel": "err"}) == ""
        await trio.to_thread.run_sync(log.error, "from a thread")
        await client.receive()
        assert "from a thread" in (await client.receive())["Log"]


async def test_a_client_that_does_not_read_loses_records_and_blocks_nobody(caplog):
    async with running("a", "127.1.21.36") as a, ipc(a) as slow, ipc(a) as quick:
        assert await slow.ask("monitor", 7, {"LogLevel": "err"}) == ""
        with trio.fail_after(60):
            while not any("reads too slowly" in record.getMessage() for record in caplog.records):
                for _ in range(QUEUED_RECORDS):
                    log.error("x" * 1000)
                assert await quick.ask("stats", 2) == ""
                await quick.receive()
        warnings = [record for record in caplog.records if "reads too slowly" in record.getMessage()]
        assert len(warnings) == 1


async def test_a_client_that_vanishes_takes_its_subscriptions_along():
    async with running("a", "127.1.21.37") as a:
        async with ipc(a) as client:
            assert await client.ask("stream", 7, {"Type": "*"}) == ""
            assert await client.ask("monitor", 8, {"LogLevel": "trace"}) == ""
            assert a.ring._listeners
        await eventually(lambda: not a.ring._listeners, "the monitor to end")
        a.driver.apply(lambda node, now: node.user_event("x", b"", coalesce=False, now=now))


async def test_a_client_that_is_gone_before_its_records_are_written_does_no_harm():
    async with running("a", "127.1.21.38") as a, ipc(a) as other:
        async with ipc(a) as client:
            assert await client.ask("stream", 7, {"Type": "user"}) == ""
            client.stream.socket.shutdown(1)
            for _ in range(50):
                a.driver.apply(lambda node, now: node.user_event("x", b"y" * 400, coalesce=False, now=now))
        assert await other.ask("stats", 2) == ""
