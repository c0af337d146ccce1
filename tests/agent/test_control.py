"""The control socket: one answer for each request, and nothing that a client does harms anybody else."""

import os
import stat
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from gossip.agent import control
from gossip.agent.config import AgentConfig
from gossip.agent.control import (
    MAX_BODY_BYTES,
    MAX_CONNECTIONS,
    MAX_HEAD_BYTES,
    READ_TIMEOUT,
    ControlServer,
    Request,
    Response,
    as_json,
)
from gossip.agent.rpc_listener import open_unix_listener
from gossip.agent.service import run
from gossip.agent.transport import StartError
from gossip.errors import ConfigError
from tests.agent.harness import PATIENCE, running


async def echo(request: Request) -> Response:
    return as_json({"body": request.body.decode(), "query": request.query})


async def stuck(_: Request) -> Response:
    await trio.sleep_forever()


async def big(_: Request) -> Response:
    return Response(bytes(8 * 1024 * 1024), content_type=control.BINARY)


async def broken(_: Request) -> Response:
    raise ZeroDivisionError


ROUTES = {
    ("POST", "/v1/echo"): echo,
    ("GET", "/v1/stuck"): stuck,
    ("GET", "/v1/big"): big,
    ("GET", "/v1/broken"): broken,
}


@asynccontextmanager
async def serving(path: Path):
    listener = await open_unix_listener(path, "control", "--control")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ControlServer(listener, ROUTES).run)
        yield path
        nursery.cancel_scope.cancel()


async def read_all(stream: trio.SocketStream) -> bytes:
    data = b""
    with trio.fail_after(PATIENCE):
        while chunk := await stream.receive_some():
            data += chunk
    return data


async def say(path: Path, request: bytes) -> bytes:
    """Send bytes, say that there are no more, and return all that comes back."""
    async with await trio.open_unix_socket(path) as stream:
        await stream.send_all(request)
        await stream.send_eof()
        return await read_all(stream)


def post(body: bytes, path: str = "/v1/echo", extra: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


async def test_a_request_is_answered_in_json(tmp_path):
    async with serving(tmp_path / "c") as path:
        answer = await say(path, post(b"hello", "/v1/echo?a=b"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"content-type: application/json" in head.lower()
    assert body == b'{"body": "hello", "query": "a=b"}\n'


async def test_requests_of_one_connection_are_answered_in_turn(tmp_path):
    async with serving(tmp_path / "c") as path:
        answer = await say(path, post(b"one") + post(b"two"))
    assert answer.index(b'"one"') < answer.index(b'"two"')


async def test_a_client_that_waits_for_permission_gets_it(tmp_path):
    async with serving(tmp_path / "c") as path, await trio.open_unix_socket(path) as stream:
        await stream.send_all(post(b"hello", extra="Expect: 100-continue\r\n")[:-5])
        with trio.fail_after(PATIENCE):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 100")
        await stream.send_all(b"hello")
        await stream.send_eof()
        assert b'"hello"' in await read_all(stream)


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (b"GET /v1/none HTTP/1.1\r\nHost: x\r\n\r\n", b"404 Not Found", b"there is no /v1/none"),
        (b"GET /v1/echo HTTP/1.1\r\nHost: x\r\n\r\n", b"405", b"/v1/echo has no GET"),
        (b"what?\r\n\r\n", b"400", b"not a request"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400", b"not a request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + bytes(MAX_HEAD_BYTES), b"4", b"not a request"),
        (post(bytes(MAX_BODY_BYTES + 1)), b"413", b"the body exceeds the limit"),
    ],
)
async def test_what_is_not_done_is_said_in_json(tmp_path, request_, status, reason):
    async with serving(tmp_path / "c") as path:
        answer = await say(path, request_)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b'{"error": "' in answer
    assert reason in answer


async def test_a_body_of_the_longest_size_is_taken(tmp_path):
    async with serving(tmp_path / "c") as path:
        assert (await say(path, post(b"a" * MAX_BODY_BYTES))).startswith(b"HTTP/1.1 200")


async def test_a_long_answer_arrives_whole(tmp_path):
    async with serving(tmp_path / "c") as path:
        answer = await say(path, b"GET /v1/big HTTP/1.1\r\nHost: x\r\n\r\n")
    assert len(answer.partition(b"\r\n\r\n")[2]) == 8 * 1024 * 1024


async def test_a_client_that_goes_away_harms_nobody(tmp_path):
    async with serving(tmp_path / "c") as path:
        for request in (b"", b"POST /v1/ec", post(b"x")[:-1], b"GET /v1/big HTTP/1.1\r\nHost: x\r\n\r\n"):
            stream = await trio.open_unix_socket(path)
            await stream.send_all(request or b"\r")
            await stream.aclose()
        assert b"200 OK" in await say(path, post(b"x"))


@pytest.mark.parametrize(
    ("path_", "status", "length"), [("/v1/big", b"200", 8 * 1024 * 1024), ("/v1/none", b"404", None)]
)
async def test_head_gets_the_head_of_the_answer_alone(tmp_path, path_, status, length):
    async with serving(tmp_path / "c") as path:
        answer = await say(path, f"HEAD {path_} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + post(b"next"))
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    if length:
        assert f"content-length: {length}".encode() in head.lower()
    assert rest.startswith(b"HTTP/1.1 200")  # the next answer
    assert b'"next"' in rest


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"HEAD /v1/none HTTP/1.1\r\nHost: x\r\n\r\nwhat?\r\n\r\n", b"404"),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nwhat?\r\n", b"400"),
    ],
)
async def test_what_is_broken_after_a_head_is_refused(tmp_path, caplog, request_, status):
    async with serving(tmp_path / "c") as path:
        assert (await say(path, request_)).startswith(b"HTTP/1.1 " + status)
    assert "bug" not in caplog.text


async def test_a_handler_that_fails_is_500_and_logged_and_harms_nobody_else(tmp_path, caplog):
    async with serving(tmp_path / "c") as path:
        for _ in range(3):
            answer = await say(path, b"GET /v1/broken HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 500")
            assert b"connection: close" in answer.lower()
        assert b"200 OK" in await say(path, post(b"x"))
    (line,) = [record for record in caplog.records if record.exc_info]
    assert line.exc_info[0] is ZeroDivisionError


async def test_whatever_serving_raises_ends_that_connection_alone(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(control, "as_json", lambda *_: 1 // 0)  # not even the refusal can be made
    async with serving(tmp_path / "c") as path:
        assert await say(path, b"GET /v1/none HTTP/1.1\r\nHost: x\r\n\r\n") == b""
        monkeypatch.undo()
        assert b"200 OK" in await say(path, post(b"x"))
    assert "this is a bug: please report it" in caplog.text


@pytest.mark.parametrize("request_", [b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"\xff\x00\r\n\r\n"])
async def test_odd_requests_are_answered(tmp_path, request_):
    async with serving(tmp_path / "c") as path:
        assert (await say(path, request_)).startswith(b"HTTP/1.1 4")


async def test_a_silent_client_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "READ_TIMEOUT", 0.05)
    async with serving(tmp_path / "c") as path, await trio.open_unix_socket(path) as stream:
        await stream.send_all(b"POST /v1/echo HT")
        assert await read_all(stream) == b""
        assert READ_TIMEOUT == 10.0


async def test_a_client_that_does_not_read_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "WRITE_TIMEOUT", 0.05)
    async with serving(tmp_path / "c") as path, await trio.open_unix_socket(path) as stream:
        await stream.send_all(b"GET /v1/big HTTP/1.1\r\nHost: x\r\n\r\n")
        await trio.sleep(0.5)
        assert len(await read_all(stream)) < 8 * 1024 * 1024


async def test_a_handler_that_is_stuck_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "ANSWER_TIMEOUT", 0.05)
    async with serving(tmp_path / "c") as path:
        answer = await say(path, b"GET /v1/stuck HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 504")


async def test_so_many_clients_are_served_and_no_more(tmp_path):
    async with serving(tmp_path / "c") as path:
        streams = [await trio.open_unix_socket(path) for _ in range(MAX_CONNECTIONS)]
        await streams[-1].send_all(post(b"last"))
        with trio.fail_after(PATIENCE):
            assert b"200 OK" in await streams[-1].receive_some()
        one_more = await trio.open_unix_socket(path)
        assert await read_all(one_more) == b""
        await streams[0].aclose()
        with trio.fail_after(PATIENCE):
            while not await can_ask(path):  # noqa: ASYNC110 - the server notices when it does
                await trio.sleep(0.01)
        for stream in (*streams, one_more):
            await stream.aclose()


async def can_ask(path: Path) -> bool:
    try:
        return b"200 OK" in await say(path, post(b"x"))
    except trio.BrokenResourceError:
        return False


async def test_only_the_agents_own_user_may_connect(tmp_path):
    path = tmp_path / "c"
    before = os.umask(0)
    try:
        async with serving(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert not path.exists()


async def test_a_socket_that_is_taken_is_an_error_that_names_the_flag(tmp_path):
    async with serving(tmp_path / "c") as path:
        with pytest.raises(StartError, match=rf"control socket {path}: address already in use .*--control"):
            await open_unix_listener(path, "control", "--control")


async def test_an_agent_serves_what_is_registered_from_above(tmp_path):
    async def add_route(agent):
        agent.routes["GET", "/v1/lb/status"] = echo

    path = tmp_path / "c"
    async with running("a", "127.133.1.1", control=str(path), panels=[add_route]):
        assert b'"body": ""' in await say(path, b"GET /v1/lb/status HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not path.exists()


async def test_without_the_setting_there_is_no_socket(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr("gossip.agent.service.open_unix_listener", refuse)
    async with running("a", "127.133.1.2", record=True, record_dir=str(tmp_path)):
        pass


async def test_a_control_socket_that_cannot_be_opened_leaves_nothing_open(tmp_path):
    places = {"bind": "127.133.1.3:7946", "rpc_addr": "127.133.1.3:7373"}
    bad = AgentConfig(node_name="a", control=str(tmp_path / "none" / "c"), **places)
    with pytest.raises(ConfigError, match=r"cannot bind control socket .*: no such file or directory"):
        await run(bad, handle_signals=False)
    async with running("a", "127.133.1.3", **places):
        pass
