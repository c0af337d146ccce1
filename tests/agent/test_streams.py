import json
import logging
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
import trio

from gossip.agent import streams as streams_module
from gossip.agent.sealing import Sealer
from gossip.agent.streams import MAX_INCOMING_STREAMS
from gossip.agent.transport import connect
from gossip.wire.codec import encode, encode_push_pull
from gossip.wire.keyring import Keyring
from gossip.wire.messages import Ack, ErrorMessage, MemberState, NodeState, Ping, PushPull
from gossip.wire.stream import StreamReader
from tests.agent.harness import PATIENCE, eventually, join, running, statuses, where

VECTORS = Path(__file__).parents[1] / "vectors"
PLAIN = Sealer(compress=False, keyring=None)


async def say(agent, data, *, eof=True, keyring=None):
    """Send `data` over a stream of its own and return the message that comes back, or None."""
    reader = StreamReader(encryption=keyring)
    with trio.fail_after(PATIENCE), suppress(trio.BrokenResourceError):
        async with await connect(where(agent)) as stream:
            await stream.send_all(data)
            if eof:
                await stream.send_eof()
            received = b""
            async for chunk in stream:
                received += chunk
            if received:
                reader.receive_data(received)
                reader.receive_eof()
                return reader.next_event()
    return None


def row(name, versions=b"\x01\x05\x02\x02\x05\x05"):
    return NodeState(name, b"\x7f\x01\x0b\xfe", 9, b"", 1, MemberState.ALIVE, versions)


async def test_a_ping_over_a_stream_is_answered():
    async with running("a", "127.1.11.1") as a:
        assert await say(a, encode(Ping(7, "a"))) == Ack(7)
        assert await say(a, encode(Ping(8))) == Ack(8)


async def test_a_ping_for_somebody_else_is_not_answered():
    async with running("a", "127.1.11.2") as a:
        assert await say(a, encode(Ping(7, "b"))) is None


async def test_a_push_pull_is_answered_with_our_state_before_theirs_is_merged():
    async with running("a", "127.1.11.3") as a:
        reply = await say(a, encode_push_pull(PushPull(True, (row("x"),), b"")))
        assert isinstance(reply, PushPull)
        assert ([node.name for node in reply.nodes], reply.join) == (["a"], True)
        await eventually(lambda: "x" in statuses(a), "x to be merged")


async def test_a_push_pull_with_unfit_versions_is_answered_and_not_merged(caplog):
    async with running("a", "127.1.11.4") as a:
        reply = await say(a, encode_push_pull(PushPull(True, (row("x", b"\x01\x05\x09\x02\x05\x05"),), b"")))
        assert isinstance(reply, PushPull)
        await eventually(lambda: bool(complaints(caplog)), "a complaint")
        assert statuses(a) == {"a": "alive"}


async def test_a_user_message_over_a_stream_is_taken_without_an_answer():
    async with running("a", "127.1.11.5") as a:
        event = b"\x03\x84\xa5LTime2\xa4Name\xa9tcp-event\xa7Payload\xa3xyz\xa2CC\xc2"
        assert await say(a, b"\x08\x81\xaaUserMsgLen" + bytes((len(event),)) + event) is None
        await eventually(lambda: a.driver.node.stats()["event_time"] == "51", "the event")


async def test_a_broken_user_message_is_a_complaint(caplog):
    async with running("a", "127.1.11.6") as a:
        await say(a, b"\x08\x81\xaaUserMsgLen\x02\x03\xc1")
        await eventually(lambda: bool(complaints(caplog)), "a complaint")


@pytest.mark.parametrize("opening", [Ack(1), ErrorMessage("no")])
async def test_an_answer_opens_no_conversation(caplog, opening):
    async with running("a", "127.1.11.7") as a:
        assert await say(a, encode(opening)) is None
        await eventually(lambda: "opens no conversation" in complaints(caplog)[0], "a complaint")


async def test_silence_is_no_offence(caplog):
    async with running("a", "127.1.11.8") as a:
        assert await say(a, b"") is None
    assert not complaints(caplog)


async def test_nonsense_is_answered_with_an_error():
    async with running("a", "127.1.11.9") as a:
        reply = await say(a, b"\x06\xc1")
        assert isinstance(reply, ErrorMessage)


async def test_encryption_that_only_one_side_has_is_named():
    keyring = Keyring([bytes(16)])
    async with running("a", "127.1.11.10", encrypt_key="AAAAAAAAAAAAAAAAAAAAAA==") as a:
        reply = await say(a, encode(Ping(7, "a")), keyring=keyring)
        assert reply == ErrorMessage("Encryption is configured but remote state is not encrypted")
        sealed = Sealer(compress=False, keyring=keyring).stream(encode(Ping(7, "a")))
        assert await say(a, sealed, keyring=keyring) == Ack(7)
    async with running("b", "127.1.11.11") as b:
        reply = await say(b, sealed)
        assert reply == ErrorMessage("Remote state is encrypted and encryption is not configured")


async def test_a_state_larger_than_peers_take_is_not_sent_and_no_crash(monkeypatch, caplog):
    keyring = Keyring([bytes(16)])
    settings = {"encrypt_key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    sealed = Sealer(compress=False, keyring=keyring).stream(encode_push_pull(PushPull(True, (), b"")))
    async with running("a", "127.1.11.18", **settings) as a, running("b", "127.1.11.19", **settings) as b:
        monkeypatch.setattr("gossip.wire.stream.MAX_FRAME_BYTES", len(sealed))
        assert await say(a, sealed, keyring=keyring) is None
        assert "cannot send a frame" in complaints(caplog)[0]
        assert "Failed to join" in (await b.driver.join([str(where(a))])).errors[0]


async def test_a_stream_has_a_deadline_as_a_whole():
    async with running("a", "127.1.11.12") as a, await connect(where(a)) as stream:
        with trio.fail_after(PATIENCE):
            assert await stream.receive_some(1) == b""


async def test_one_stream_too_many_is_closed_at_once(caplog):
    async with running("a", "127.1.11.13", profile="lan") as a, AsyncExitStack() as stack:
        for _ in range(MAX_INCOMING_STREAMS):
            await stack.enter_async_context(await connect(where(a)))
        await eventually(lambda: a.driver.streams._incoming == MAX_INCOMING_STREAMS, "all streams")
        assert a.driver.streams.refused == 0
        extra = await stack.enter_async_context(await connect(where(a)))
        with trio.fail_after(PATIENCE), suppress(trio.BrokenResourceError):
            assert await extra.receive_some(1) == b""
        assert a.driver.streams.refused == 1
    assert complaints(caplog) == [f"more than {MAX_INCOMING_STREAMS} streams at once"]


@pytest.mark.parametrize("extra", [0, 1])
async def test_bytes_of_unfinished_streams_are_bounded_together(monkeypatch, caplog, extra):
    monkeypatch.setattr(streams_module, "MAX_BUFFERED_BYTES", 1000)
    async with running("a", "127.1.11.14", profile="lan") as a, AsyncExitStack() as stack:
        opening = b"\x06" + b"\x83\xa5Nodes\x00\xacUserStateLen\xcd\xff\xff\xa4Join\xc2"
        for size in (500, 500 + extra):
            stream = await stack.enter_async_context(await connect(where(a)))
            await stream.send_all(opening + bytes(size - len(opening)))
        expected = 1000 if not extra else 500
        await eventually(lambda: a.driver.streams._buffered == expected, "the bytes to be counted")
        await eventually(lambda: bool(complaints(caplog)) is bool(extra), "a complaint")


async def test_large_states_are_handled_outside_of_the_event_loop(monkeypatch):
    threads = []
    original = trio.to_thread.run_sync

    async def run_sync(work, **options):
        threads.append(work)
        return await original(work, **options)

    monkeypatch.setattr(streams_module.trio.to_thread, "run_sync", run_sync)
    monkeypatch.setattr(streams_module, "DECODE_INLINE_BYTES", 10)
    async with running("a", "127.1.11.15") as a, running("b", "127.1.11.16") as b:
        await join(b, a)
        await eventually(lambda: len(statuses(a)) == 2, "two members")
    assert len(threads) >= 4  # both sides, sealing and reading


@pytest.mark.parametrize("name", ["tcp_streams.json", "tcp_probe_replies.json"])
async def test_recorded_conversations_with_serf_get_an_answer_of_the_same_kind(name):
    recorded = json.loads((VECTORS / name).read_text())
    async with running("d1", "127.1.11.17") as a:
        for vector in recorded:
            request = bytes.fromhex(vector.get("request_hex") or vector["hex"])
            if request[:1] == b"\x0a" or "aes" in vector["name"]:
                continue  # encrypted with keys of their own: see the vectors' own tests
            reply = await say(a, request, eof=False)
            expected = bytes.fromhex(vector["reply_hex"])
            if not expected:
                assert reply is None or isinstance(reply, ErrorMessage), vector["name"]
            elif expected[0] == 2:
                assert isinstance(reply, Ack | None), vector["name"]
            elif expected[0] == 6:
                assert isinstance(reply, PushPull), vector["name"]
        assert await say(a, encode(Ping(7, "d1"))) == Ack(7)


def complaints(caplog):
    return [record.reason for record in caplog.records if record.levelno >= logging.WARNING]
