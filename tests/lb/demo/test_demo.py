"""The demonstration: its web server, its load, its witness, and the whole of it."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

import pytest
import trio

from lb.cli import run as gossip_lb
from lb.demo import load as load_module
from lb.demo.cast import Cast
from lb.demo.http import MAX_BODY_BYTES, HttpError, make_answer, make_request, parse_answer
from lb.demo.load import Connection, Load, Target
from lb.demo.premises import NoPremisesError, Premises, choose_block
from lb.demo.processes import Processes
from lb.demo.screen import Screen, summary
from lb.demo.stage import Stage, perform
from lb.demo.story import ExpectationError, Measured, Story, ways_to_look
from lb.demo.timeline import Line, Timeline
from lb.demo.web import WebServer, serve_until_signal
from lb.demo.witness import Witness
from tests.real_haproxy import HOST, eventually, free_port, web_servers


def quiet() -> Timeline:
    return Timeline(lambda line: None)


# --- HTTP ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closes", [False, True])
def test_answers_are_understood(closes: bool) -> None:
    head, _, body = make_answer(b"hello", "web-1", closes=closes).partition(b"\r\n\r\n")
    answer = parse_answer(head)
    assert (answer.status, answer.length, answer.closes, answer.server) == (200, len(body), closes, "web-1")


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HELLO",
        b"HTTP/1.1 abc OK",
        b"HTTP/1.1 200 OK\r\nContent-Length: x",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d" % (MAX_BODY_BYTES + 1),
    ],
)
def test_anything_else_is_an_error(head: bytes) -> None:
    with pytest.raises(HttpError):
        parse_answer(head)


def test_largest_body_is_accepted() -> None:
    assert parse_answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d" % MAX_BODY_BYTES).length == MAX_BODY_BYTES


# --- the web server -----------------------------------------------------------------------------------------


async def answered(port: int, *, closes: bool = False) -> tuple[int, str, bool]:
    connection = Connection(Target(HOST, port))
    try:
        return await connection.get(closes=closes)
    finally:
        connection.close()


@pytest.mark.trio
async def test_server_says_its_name_and_keeps_connections() -> None:
    async with web_servers("web-1") as ports:
        connection = Connection(Target(HOST, ports["web-1"]))
        assert await connection.get(closes=False) == (200, "web-1", True)
        assert await connection.get(closes=False) == (200, "web-1", True)
        assert await connection.get(closes=True) == (200, "web-1", False)
        connection.close()
        connection.close()


@pytest.mark.trio
async def test_server_that_stops_finishes_what_it_answers_and_closes_idle_connections() -> None:
    server = WebServer("web-1", delay=0.3)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(server.run, HOST, 0))
        idle = await trio.open_tcp_stream(HOST, port)
        busy = await trio.open_tcp_stream(HOST, port)
        await busy.send_all(make_request(HOST, closes=False))
        await eventually(lambda: len(server._idle) == 1)
        server.stop()
        assert await idle.receive_some(1) == b""
        assert b"Connection: close" in await busy.receive_some(1000)
    with pytest.raises(OSError, match=r"refused|all attempts"):
        await trio.open_tcp_stream(HOST, port)
    await idle.aclose()
    await busy.aclose()


@pytest.mark.trio
async def test_server_survives_clients_that_go_away_or_talk_too_much() -> None:
    async with web_servers("web-1", delay=0.05) as ports:
        for payload in (b"x" * 20_000, make_request(HOST, closes=False)):
            stream = await trio.open_tcp_stream(HOST, ports["web-1"])
            await stream.send_all(payload)
            stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            await stream.aclose()
        assert (await answered(ports["web-1"]))[0] == 200


def test_server_as_a_process_ends_on_sigterm() -> None:
    port = free_port()
    command = [sys.executable, "-m", "lb.demo.web", "--bind", f"{HOST}:{port}", "--name", "x"]
    with subprocess.Popen(command) as process:
        try:
            trio.run(_wait_for, port)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()


async def _wait_for(port: int) -> None:
    async def listens() -> bool:
        try:
            return (await answered(port))[0] == 200
        except OSError:
            return False

    await eventually(listens)


@pytest.mark.trio
async def test_server_serves_until_it_gets_a_signal() -> None:
    port = free_port()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_until_signal, "web-1", HOST, port, 0.0)
        await _wait_for(port)
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("bind", "code", "words"),
    [("x", 2, "is not HOST:PORT"), (f"{HOST}:PORT", 2, "is not"), ("", 1, "cannot")],
    ids=["no port", "port is no number", "address is taken"],
)
def test_server_says_what_is_wrong_with_its_address(bind: str, code: int, words: str) -> None:
    with trio_listener() as taken:
        command = [sys.executable, "-m", "lb.demo.web", "--bind", bind or taken, "--name", "x"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


class trio_listener:  # noqa: N801 - used like a function
    """A port that is taken."""

    def __enter__(self) -> str:
        import socket

        self._socket = socket.socket()
        self._socket.bind((HOST, 0))
        self._socket.listen()
        return f"{HOST}:{self._socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._socket.close()


# --- the load -----------------------------------------------------------------------------------------------


@pytest.mark.trio
async def test_open_loop_sends_at_its_rate_whatever_the_answers_take() -> None:
    async with web_servers("web-1", delay=0.2) as ports:
        load = Load(Target(HOST, ports["web-1"]))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(load.run_open_loop, 100.0, 0.3, Random(1))
            start = trio.current_time()
            await eventually(lambda: load.tally.sent >= 50)
            assert trio.current_time() - start < 10, "50 requests of 0.2 s, one after the other"
            load.stop()
        assert load.tally.sent == load.tally.answered
        assert load.tally.failed == 0
        assert load.tally.by_server.keys() == {"web-1"}
        assert load.tally.slowest >= 0.2


@pytest.mark.trio
async def test_open_loop_counts_what_it_cannot_even_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "MAX_IN_FLIGHT", 3)
    async with web_servers("web-1", delay=0.5) as ports:
        load = Load(Target(HOST, ports["web-1"]))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(load.run_open_loop, 1000.0, 0.0, Random(1))
            await eventually(lambda: load.tally.failures["too many in flight"] > 0)
            load.stop()
        assert load.tally.answered >= 3


@pytest.mark.trio
async def test_idle_connections_of_the_load_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "MAX_IDLE", 1)
    async with web_servers("web-1", delay=0.05) as ports:
        load = Load(Target(HOST, ports["web-1"]))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(load.run_open_loop, 500.0, 0.0, Random(1))
            await eventually(lambda: load.tally.answered >= 30)
            assert len(load._idle) <= 1
            load.stop()
        assert load.tally.failed == 0


async def _serve_once(reply: bytes, port: int, task_status) -> None:
    async def handle(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(1000)
            if reply:
                await stream.send_all(reply)

    await trio.serve_tcp(handle, port, host=HOST, task_status=task_status)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"", "connection closed instead of an answer"),
        (b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno", "status 503"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nno", "connection closed instead of an answer"),
        (b"x" * 20_000, "endless head"),
        (b"HELLO\r\n\r\n", "not an answer: 'HELLO'"),
    ],
)
async def test_everything_but_a_whole_200_counts_as_failed(reply: bytes, reason: str) -> None:
    port = free_port()
    load = Load(Target(HOST, port))
    async with trio.open_nursery() as nursery:
        await nursery.start(_serve_once, reply, port)
        nursery.start_soon(partial(load.run_client, keep_alive=False, think=lambda: 0.01))
        await eventually(lambda: load.tally.failed >= 2)
        load.stop()
        await eventually(lambda: load.tally.sent == load.tally.failed)
        nursery.cancel_scope.cancel()
    assert set(load.tally.failures) == {reason}


@pytest.mark.trio
async def test_refused_and_late_answers_count_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Load(Target(HOST, 1))
    await load._request(Connection(Target(HOST, 1)), closes=True)
    monkeypatch.setattr(load_module, "REQUEST_TIMEOUT", 0.05)
    async with web_servers("web-1", delay=5.0) as ports:
        connection = Connection(Target(HOST, ports["web-1"]))
        await load._request(connection, closes=True)
        connection.close()
    assert load.tally.failures["no answer in time"] == 1
    assert load.tally.failed == load.tally.sent == 2


@pytest.mark.trio
async def test_reset_connection_counts_as_failed() -> None:
    load = Load(Target(HOST, 1))

    class Broken(Connection):
        async def get(self, *, closes: bool) -> tuple[int, str, bool]:
            raise trio.BrokenResourceError

    await load._request(Broken(Target(HOST, 1)), closes=True)
    assert load.tally.failures == {"connection broke": 1}


# --- premises and processes ---------------------------------------------------------------------------------


def test_premises_are_a_free_block_of_addresses(tmp_path: Path) -> None:
    block = choose_block(Random(1))
    premises = Premises(block, tmp_path)
    assert premises.lb_host == f"127.0.{block}.1"
    assert premises.host(3) == f"127.0.{block}.13"
    assert premises.log("web-1") == tmp_path / "web-1.log"


def test_taken_premises_are_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    first = Random(7).randrange(1, 255)
    with socket.socket() as taken:
        taken.bind((f"127.0.{first}.12", 7373))
        taken.listen()
        assert choose_block(Random(7)) != first

        class Stubborn(Random):
            def randrange(self, *_: int) -> int:  # type: ignore[override]
                return first

        with pytest.raises(NoPremisesError, match=f"Address already in use .*127.0.{first}.x"):
            choose_block(Stubborn())


@pytest.mark.trio
async def test_processes_are_stopped_gently_and_then_killed(tmp_path: Path) -> None:
    processes = Processes()
    await processes.start("gentle", ["sleep", "60"], tmp_path / "log")
    assert processes.is_known("gentle")
    assert not processes.is_known("nobody")
    assert await processes.stop("gentle")
    assert processes.has_ended("gentle")
    assert await processes.wait("gentle") == -signal.SIGTERM
    await processes.start("other", ["sleep", "60"], tmp_path / "log")
    processes.signal("other", signal.SIGSTOP)
    await processes.stop_all()
    assert await processes.wait("other") == -signal.SIGKILL


@pytest.mark.trio
async def test_process_that_does_not_stop_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lb.demo.processes.STOP_TIMEOUT", 0.05)
    processes = Processes()
    script = f"trap '' TERM; touch {tmp_path / 'ready'}; while :; do sleep 1; done"
    await processes.start("stubborn", ["sh", "-c", script], tmp_path / "log")
    await eventually((tmp_path / "ready").exists)
    assert not await processes.stop("stubborn")
    await processes.stop_all()


# --- witness, story, screen ---------------------------------------------------------------------------------


def record(**fields: object) -> bytes:
    import json

    return json.dumps(fields).encode()


def test_witness_understands_the_log() -> None:
    witness = Witness(quiet())
    for line in (
        record(logger="gossip.agent", msg="agent running"),
        record(logger="gossip.agent", msg="member joined", member="lb"),
        record(logger="gossip.agent", msg="member joined", member="web-1"),
        record(logger="gossip.agent", msg="member suspected", member="web-1"),
        record(logger="gossip.agent", msg="member failed", member="web-1"),
        record(logger="gossip.agent", msg="something else"),
        record(logger="haproxy", msg="[WARNING]  (1) : Server web/web-1 is DOWN, reason: x"),
        record(logger="haproxy", msg="[WARNING]  (1) : Server web/web-2 is UP, reason: x"),
        record(logger="haproxy", msg="[NOTICE] (1) : New worker"),
        record(logger="lb", event="lb.swap", reason="web-1 arrived", took=0.1, added=2, removed=1),
        record(logger="lb", event="lb.server", server="web/web-1", state="drain"),
        record(logger="lb", event="lb.server", server="web/web-1", state="ready"),
        record(logger="lb", event="lb.refused", reason="no"),
        record(logger="lb", event="lb.alarm", msg="nothing to roll back to"),
        record(logger="lb", event="lb.state", msg="observing"),
        record(logger="lb", msg="other"),
        b"[1, 2]",
        b"Traceback",
        b"",
    ):
        witness.read(line)
    assert witness.is_running
    assert witness.status == {"lb": "alive", "web-1": "failed"}
    assert witness.failed_at.keys() == witness.down_at.keys() == witness.drained_at.keys() == {"web-1"}
    assert [(swap.reason, swap.took) for swap in witness.swaps] == [("web-1 arrived", "0.1s")]
    assert witness.listed == 1
    assert witness.refusals == ["no", "nothing to roll back to"]
    assert witness.last_words == "Traceback"


def a_story(tmp_path: Path) -> tuple[Story, Load, Witness]:
    timeline = quiet()
    witness = Witness(timeline)
    load = Load(Target(HOST, 1))
    return Story(Cast(Premises(1, tmp_path), witness), load, witness, timeline), load, witness


def test_story_judges_what_happened(tmp_path: Path) -> None:
    story, load, witness = a_story(tmp_path)
    assert story.judge() == []
    load.tally.sent = 10
    load.tally.answered = 7
    load.tally.failures["status 503"] = 2
    witness.refusals.append("no good")
    assert story.judge() == [
        "a configuration was refused: no good",
        "2 of 10 requests failed: 2 x status 503",
        "1 requests have no outcome",
    ]


@pytest.mark.trio
async def test_story_ends_when_an_expectation_is_not_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story, _, witness = a_story(tmp_path)
    story.servers = ("web-1",)
    monkeypatch.setattr("lb.demo.story.ACT_TIMEOUT", 0.1)
    with pytest.raises(ExpectationError, match=r"not within 0 s: haproxy\.cfg has"):
        await story._expect_servers()
    witness.has_ended = True
    witness.last_words = "boom"
    with pytest.raises(ExpectationError, match="the load balancer ended early: boom"):
        await story._expect_servers()


@pytest.mark.trio
async def test_story_goes_on_without_serf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lb.demo.story.has_serf", lambda: False)
    story, _, _ = a_story(tmp_path)
    await story._invite_serf(6)
    assert story.results == [Measured("real Serf agent", "left out: serf is not installed")]


def test_ways_to_look_name_the_addresses(tmp_path: Path) -> None:
    ways = ways_to_look(Cast(Premises(9, tmp_path), Witness(quiet())))
    assert ways[0] == "gossip members --rpc-addr 127.0.9.1:7373"


def test_summary_lines_up_and_names_what_failed(tmp_path: Path) -> None:
    _, load, _ = a_story(tmp_path)
    lines = summary([Measured("web-3 killed", "x")], load.tally, 7, ["nothing works"])
    assert lines == [
        "web-3 killed  x",
        "swaps         7",
        "requests      0 sent, 0 failed; the slowest took 0 ms",
        "EXPECTATION NOT MET: nothing works",
    ]


def test_line_of_the_timeline_is_aligned() -> None:
    assert str(Line(1.234, "lb", "swapped")) == "   1.23s  lb       swapped"


def test_screen_shows_members_load_and_news(tmp_path: Path) -> None:
    from rich.console import Console

    story, load, witness = a_story(tmp_path)
    story.act = "the act"
    story.servers = ("web-1",)
    witness.status.update({"lb": "alive", "web-1": "alive", "web-2": "failed"})
    load.tally.by_server["web-1"] = 100
    timeline = quiet()
    timeline.say("gossip", "web-2 failed")
    screen = Screen(story, witness, load.tally, timeline)
    screen._measure()
    console = Console(width=100, record=True, force_terminal=True, file=(tmp_path / "out").open("w"))
    console.print(screen.draw())
    text = console.export_text()
    console.file.close()
    for words in ("the act", "web-1", "server", "web-2", "failed", "0 requests sent, 0 failed", "█"):
        assert words in text
    assert "lb " not in text.split("requests sent")[0].replace("haproxy.cfg", "")


# --- the whole ----------------------------------------------------------------------------------------------


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory with a short name, for sockets."""
    with tempfile.TemporaryDirectory(prefix="gd-", dir="/tmp") as name:
        yield Path(name)


def leftovers(folder: Path) -> list[str]:
    """Return command lines of processes that mention the demonstration's directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
        except OSError:
            continue
        if str(folder).encode() in words:
            found.append(words.decode("utf-8", "replace"))
    return found


def assert_nobody_is_left(folder: Path) -> None:
    """Wait for what ends by itself (a validation under way), not for what serves."""
    deadline = time.monotonic() + 20
    while found := leftovers(folder):
        assert time.monotonic() < deadline, found


def demo(folder: Path, *flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lb", "demo", *flags],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.haproxy
def test_whole_demonstration_comes_true_within_90_seconds(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    start = time.monotonic()
    code = gossip_lb(["demo", "--plain", "--rate", "100"])
    out = capsys.readouterr().out
    assert code == 0, out
    assert time.monotonic() - start < 90
    assert re.search(r"requests +\d{3,} sent, 0 failed", out)
    assert re.search(r"web-3 killed +HAProxy marks it down after .* from kill to swap \d", out)
    assert re.search(r"web-2 left +drained after", out)
    assert_nobody_is_left(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.haproxy
@pytest.mark.parametrize("act", ["two servers", "scale to five"])
def test_interrupt_leaves_nothing_behind(folder: Path, act: str) -> None:
    with demo(folder) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if act in line:
                break
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert_nobody_is_left(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.haproxy
def test_load_balancer_that_cannot_start_fails_the_demonstration(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOSSIP_LB_MIN_BACKENDS", "nonsense")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert gossip_lb(["demo"]) == 1
    out = capsys.readouterr().out
    assert "EXPECTATION NOT MET: " in out
    assert "environment variable GOSSIP_LB_MIN_BACKENDS: expected a whole number, got 'nonsense'" in out


def test_demonstration_without_haproxy_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert perform(keep=False, rate=1.0, is_live=False) == 1
    assert "apt-get install haproxy" in capsys.readouterr().err


@pytest.mark.haproxy
def test_demonstration_without_free_addresses_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing_free(_rng: Random) -> int:
        raise NoPremisesError("no block of loopback addresses is free: x")

    monkeypatch.setattr("lb.demo.stage.choose_block", nothing_free)
    assert perform(keep=False, rate=1.0, is_live=False) == 1
    assert "no block of loopback addresses is free" in capsys.readouterr().err


@pytest.mark.haproxy
def test_story_that_takes_too_long_is_a_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lb.demo.stage.STORY_TIMEOUT", 0.2)
    stage = Stage(Premises(choose_block(Random()), folder), is_live=False)
    assert trio.run(partial(stage.run, keep=False, rate=10.0)) == 1
    assert "EXPECTATION NOT MET: the story ends within" in capsys.readouterr().out
    assert_nobody_is_left(folder)


@pytest.mark.haproxy
def test_kept_demonstration_stays_until_it_is_interrupted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play_nothing(self: Story, _nursery: trio.Nursery, _start_load: object) -> None:
        self.act = "nothing"

    monkeypatch.setattr(Story, "play", play_nothing)
    stage = Stage(Premises(choose_block(Random()), folder), is_live=True)

    async def run() -> int:
        codes: list[int] = []

        async def perform_it() -> None:
            codes.append(await stage.run(keep=True, rate=10.0))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(perform_it)
            await eventually(lambda: stage._is_over)
            await trio.testing.wait_all_tasks_blocked(0.1)
            os.kill(os.getpid(), signal.SIGINT)
        return codes[0]

    assert trio.run(run) == 0
    out = capsys.readouterr().out
    assert "gossip members --rpc-addr" in out
    assert "Press Ctrl-C to stop." in out
