import json
import logging
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
import trio

from gossip.agent import streams as streams_module
from gossip.agent.envelope import Envelope
from gossip.agent.streams import MAX_STREAMS_PER_SOURCE
from gossip.agent.transport import connect
from gossip.wire.codec import encode, encode_push_pull
from gossip.wire.keyring import Keyring
from gossip.wire.messages import Ack, ErrorMessage, MemberState, NodeState, Ping, PushPull
from gossip.wire.stream import StreamReader
from tests.agent.harness import PATIENCE, eventually, join, running, statuses, where

VECTORS = Path(__file__).parents[1] / "vectors"
PLAIN = Envelope(compress=False, keyring=None)


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
        await eventually(lambda: "cannot open a conversation" in complaints(caplog)[0], "a complaint")


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
        sealed = Envelope(compress=False, keyring=keyring).stream(encode(Ping(7, "a")), reply=False)
        assert await say(a, sealed, keyring=keyring) == Ack(7)
    async with running("b", "127.1.11.11") as b:
        reply = await say(b, sealed)
        assert reply == ErrorMessage("Remote state is encrypted and encryption is not configured")


async def test_a_state_larger_than_peers_take_is_not_sent_and_no_crash(monkeypatch, caplog):
    keyring = Keyring([bytes(16)])
    settings = {"encrypt_key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    sealed = Envelope(compress=False, keyring=keyring).stream(
        encode_push_pull(PushPull(True, (), b"")), reply=False
    )
    async with running("a", "127.1.11.18", **settings) as a, running("b", "127.1.11.19", **settings) as b:
        monkeypatch.setattr("gossip.wire.stream.MAX_FRAME_BYTES", len(sealed))
        assert await say(a, sealed, keyring=keyring) is None
        assert "cannot send a frame" in complaints(caplog)[0]
        assert "Failed to join" in (await b.driver.join([str(where(a))])).errors[0]


async def test_a_stream_has_a_deadline_as_a_whole():
    async with running("a", "127.1.11.12") as a, await connect(where(a)) as stream:
        with trio.fail_after(PATIENCE):
            assert await stream.receive_some(1) == b""


async def connected(stack, agent, source=None):
    """Return a connection to `agent`, from the address `source` if given."""
    sock = trio.socket.socket()
    await sock.bind((source or "127.1.11.200", 0))
    await sock.connect((where(agent).host, where(agent).port))
    return await stack.enter_async_context(trio.SocketStream(sock))


async def is_open(stream):
    with trio.move_on_after(0.2):
        with suppress(trio.BrokenResourceError):
            await stream.receive_some(1)
        return False
    return True


@pytest.mark.parametrize("extra", [0, 1])
async def test_one_source_gets_a_bounded_number_of_streams_and_then_loses_its_oldest(monkeypatch, extra):
    monkeypatch.setattr(streams_module, "MAX_STREAMS_PER_SOURCE", 4)
    async with running("a", "127.1.11.13", profile="lan") as a, AsyncExitStack() as stack:
        held = []
        places = a.driver.streams.places
        for number in range(1, 5 + extra):
            held.append(await connected(stack, a))
            await eventually(lambda number=number: len(places) == min(number, 4), "the streams")
        await eventually(lambda: places.evicted == extra, "the oldest to be closed")
        assert await is_open(held[0]) is not bool(extra)
        assert await is_open(held[1])


async def test_who_opens_most_streams_makes_room_for_others(monkeypatch):
    monkeypatch.setattr(streams_module, "MAX_INCOMING_STREAMS", 6)
    async with running("a", "127.1.11.20", profile="lan") as a, AsyncExitStack() as stack:
        places = a.driver.streams.places
        lone = await connected(stack, a, "127.1.11.201")
        await eventually(lambda: len(places) == 1, "one stream")
        for _ in range(20):
            await connected(stack, a, "127.1.11.202")
        await eventually(lambda: places.evicted == 15, "the greedy one to lose its own")
        assert await say(a, encode(Ping(7, "a"))) == Ack(7)
        assert await is_open(lone)


async def test_a_thousand_silent_connections_do_not_stop_a_join():
    async with running("a", "127.1.11.21", profile="lan") as a, AsyncExitStack() as stack:
        for _ in range(1000 // 4):
            await connected(stack, a, "127.1.11.203")
        async with running("b", "127.1.11.22", profile="lan") as b:
            await join(b, a)
        assert len(a.driver.streams.places) <= MAX_STREAMS_PER_SOURCE + 1


async def test_sixty_four_joins_from_one_address_at_once_all_succeed():
    state = encode_push_pull(PushPull(True, (row("x"),), b""))
    replies = []
    async with running("a", "127.1.11.23") as a, trio.open_nursery() as nursery:

        async def join_from_the_same_address():
            replies.append(await say(a, state))

        for _ in range(64):
            nursery.start_soon(join_from_the_same_address)
    assert [type(reply) for reply in replies] == [PushPull] * 64


OPENING = b"\x06" + b"\x83\xa5Nodes\x00\xacUserStateLen\xcd\xff\xff\xa4Join\xc2"


@pytest.mark.parametrize("extra", [0, 1])
async def test_bytes_of_unfinished_streams_of_one_source_are_bounded(monkeypatch, caplog, extra):
    monkeypatch.setattr(streams_module, "MAX_HELD_BYTES_PER_SOURCE", 1000)
    async with running("a", "127.1.11.14", profile="lan") as a, AsyncExitStack() as stack:
        for size in (500, 500 + extra):
            stream = await connected(stack, a)
            await stream.send_all(OPENING + bytes(size - len(OPENING)))
        expected = 1000 if not extra else 500
        await eventually(lambda: a.driver.streams.places.held == expected, "the bytes to be counted")
        await eventually(lambda: bool(complaints(caplog)) is bool(extra), "a complaint")


async def test_who_holds_most_bytes_makes_room_for_others(monkeypatch):
    monkeypatch.setattr(streams_module, "MAX_HELD_BYTES", 1000)
    async with running("a", "127.1.11.24", profile="lan") as a, AsyncExitStack() as stack:
        places = a.driver.streams.places
        hog = await connected(stack, a, "127.1.11.204")
        await hog.send_all(OPENING + bytes(900 - len(OPENING)))
        await eventually(lambda: places.held == 900, "the bytes to be counted")
        other = await connected(stack, a, "127.1.11.205")
        await other.send_all(OPENING + bytes(400 - len(OPENING)))
        await eventually(lambda: places.held == 400, "the hog to be closed")
        assert not await is_open(hog)
        assert await is_open(other)


async def test_rows_are_counted_by_their_memory_not_by_their_bytes(monkeypatch):
    async with running("a", "127.1.11.25", profile="lan") as a, AsyncExitStack() as stack:
        stream = await connected(stack, a)
        whole = encode_push_pull(PushPull(False, (row("x"),) * 51, b""))
        data = whole[: -len(encode_push_pull(PushPull(False, (row("x"),), b"")))]
        await stream.send_all(data)
        expected = len(data) + 49 * streams_module.ROW_BYTES
        await eventually(lambda: a.driver.streams.places.held == expected, "the rows to be counted")


async def test_replies_that_nobody_reads_are_bounded(monkeypatch, caplog):
    monkeypatch.setattr(streams_module, "MAX_HELD_BYTES_PER_SOURCE", 600)
    state = encode_push_pull(PushPull(True, (row("x"),), b""))
    async with running("a", "127.1.11.26", tags={"t": "x" * 480}, disable_compression=True) as a:
        assert await say(a, state) is None
        await eventually(lambda: "unfinished connections" in complaints(caplog)[0], "a complaint")
        assert a.driver.streams.places.held == 0


async def test_large_states_are_handled_outside_of_the_event_loop(monkeypatch):
    threads = []
    original = trio.to_thread.run_sync

    async def run_sync(work, *args):
        threads.append(work)
        return await original(work, *args)

    monkeypatch.setattr(streams_module.trio.to_thread, "run_sync", run_sync)
    monkeypatch.setattr(streams_module, "INLINE_BYTES", 10)
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
