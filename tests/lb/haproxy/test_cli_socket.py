"""One question, one answer, bounded in time and size."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio

from gossip.errors import LocalProtocolError
from lb.haproxy.cli_socket import (
    MAX_ANSWER_BYTES,
    MAX_COMMAND_BYTES,
    CommandSocket,
    HAProxyError,
    UnreachableError,
)
from lb.haproxy.master import Master, ReloadError, parse_processes
from lb.haproxy.runtime import MAX_BATCH, Runtime
from lb.haproxy.server_state import AdminState, ServerName

pytestmark = pytest.mark.trio


@asynccontextmanager
async def answering(path: Path, *answers: bytes | None) -> AsyncIterator[list[bytes]]:
    """Play an HAProxy that gives `answers` one after the other; None hangs. Yields the questions."""
    questions: list[bytes] = []
    queue = list(answers)
    listener = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await listener.bind(str(path))
    listener.listen()

    async def answer(connection: trio.socket.SocketType) -> None:
        with connection:
            question = b""
            while chunk := await connection.recv(65536):
                question += chunk
            questions.append(question)
            reply = queue.pop(0) if queue else b""
            if reply is None:
                await trio.sleep_forever()
            with suppress(trio.BrokenResourceError):
                await trio.SocketStream(connection).send_all(reply)

    async def serve() -> None:
        while True:
            connection, _ = await listener.accept()
            nursery.start_soon(answer, connection)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield questions
        nursery.cancel_scope.cancel()
    listener.close()


async def test_question_ends_in_one_line_break_and_the_answer_comes_whole(tmp_path: Path) -> None:
    async with answering(tmp_path / "s", b"x" * 100_000) as questions:
        assert await CommandSocket(tmp_path / "s").ask("show proc") == "x" * 100_000
    assert questions == [b"show proc\n"]


async def test_command_with_a_line_break_never_leaves(tmp_path: Path) -> None:
    with pytest.raises(LocalProtocolError, match="not one short line"):
        await CommandSocket(tmp_path / "s").ask("show proc\nreload")


@pytest.mark.parametrize("excess", [0, 1])
async def test_command_is_bounded(tmp_path: Path, excess: int) -> None:
    async with answering(tmp_path / "s", b"ok"):
        command = "x" * (MAX_COMMAND_BYTES + excess)
        if excess:
            with pytest.raises(LocalProtocolError):
                await CommandSocket(tmp_path / "s").ask(command)
        else:
            assert await CommandSocket(tmp_path / "s").ask(command) == "ok"


@pytest.mark.parametrize("excess", [0, 1])
async def test_answer_is_bounded(tmp_path: Path, excess: int) -> None:
    async with answering(tmp_path / "s", b"x" * (MAX_ANSWER_BYTES + excess)):
        socket = CommandSocket(tmp_path / "s", timeout=30)
        if excess:
            with pytest.raises(UnreachableError, match="answers more than"):
                await socket.ask("show")
        else:
            assert len(await socket.ask("show")) == MAX_ANSWER_BYTES


async def test_silent_haproxy_is_given_up(tmp_path: Path) -> None:
    async with answering(tmp_path / "s", None):
        with pytest.raises(UnreachableError, match=r"did not answer within 0.05 s"):
            await CommandSocket(tmp_path / "s", timeout=0.05).ask("show proc")


async def test_bytes_that_are_not_text_do_not_matter(tmp_path: Path) -> None:
    async with answering(tmp_path / "s", b"\xff!"):
        assert await CommandSocket(tmp_path / "s").ask("show") == "\ufffd!"


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda path: None, "no such socket"),
        (lambda path: path.touch(), "connection refused"),
    ],
)
async def test_absent_haproxy_is_explained(tmp_path: Path, prepare, words: str) -> None:
    prepare(tmp_path / "s")
    with pytest.raises(UnreachableError, match=words):
        await CommandSocket(tmp_path / "s").ask("show proc")


async def test_forbidden_socket_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(trio, "open_unix_socket", refuse)
    with pytest.raises(UnreachableError, match="this user must be allowed"):
        await CommandSocket(tmp_path / "s").ask("show proc")


def processes(
    *, reloads: int = 0, failed: int = 0, worker: int | None = 11, old: tuple[int, ...] = ()
) -> bytes:
    lines = [
        "#<PID>          <type>          <reloads>       <uptime>        <version>      ",
        f"10              master          {reloads} [failed: {failed}]   0d00h00m01s     2.6.12",
        "# workers",
    ]
    lines += (
        [f"{worker}              worker          0               0d00h00m01s     2.6.12"] if worker else []
    )
    lines += ["# old workers"] if old else []
    lines += [f"{pid}              worker          1               0d00h00m01s     2.6.12" for pid in old]
    return "\n".join((*lines, "# programs", "", "")).encode()


async def test_processes_are_read() -> None:
    found = parse_processes(processes(reloads=3, failed=2, worker=11, old=(7, 8)).decode())
    assert (found.master, found.reloads, found.failed, found.worker, found.old_workers) == (
        10,
        3,
        2,
        11,
        (7, 8),
    )
    assert parse_processes(processes(worker=None).decode()).worker is None


async def test_processes_of_older_haproxy_have_no_count_of_failures() -> None:
    assert parse_processes("10 master 4 0d00h00m01s 2.4.0\n# workers\n").failed == 0


async def test_answer_without_a_master_is_an_error() -> None:
    with pytest.raises(HAProxyError, match="lists no master: 'Unknown command'"):
        parse_processes("Unknown command")


def soon(seconds: float = 10.0) -> float:
    return trio.current_time() + seconds


async def test_reload_waits_for_a_new_worker(tmp_path: Path) -> None:
    answers = [processes(), b"", processes(), processes(reloads=1, worker=None)]
    answers += [processes(reloads=1), processes(reloads=1, worker=12)]
    async with answering(tmp_path / "s", *answers) as questions:
        done = await Master(CommandSocket(tmp_path / "s")).reload(soon())
    assert done.worker == 12
    assert questions[1] == b"reload\n"


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([processes(), b"", processes(reloads=1, failed=1)], "could not start a worker"),
        ([processes(), b"", processes().replace(b"10  ", b"99  ")], "was restarted during the reload"),
        ([processes(), b"Success=0\n--\n[ALERT] (1) : no\n"], r"refused to reload: \[ALERT\] \(1\) : no"),
        ([processes(), b"Success=0\n"], "no reason given"),
    ],
)
async def test_reload_that_fails_says_how(tmp_path: Path, answers: list[bytes], words: str) -> None:
    async with answering(tmp_path / "s", *answers):
        with pytest.raises(ReloadError, match=words):
            await Master(CommandSocket(tmp_path / "s")).reload(soon())


async def test_reload_that_never_counts_ends_at_the_deadline(tmp_path: Path) -> None:
    async with answering(tmp_path / "s", *[processes()] * 100):
        with pytest.raises(ReloadError, match="did not start a new worker in time"):
            await Master(CommandSocket(tmp_path / "s")).reload(soon(0.2))


async def test_reload_outlives_a_master_that_is_away_for_a_moment(tmp_path: Path) -> None:
    answers = [processes(), None, processes(reloads=1, worker=12)]
    async with answering(tmp_path / "s", *answers):
        done = await Master(CommandSocket(tmp_path / "s", timeout=0.1)).reload(soon())
    assert done.reloads == 1


async def test_states_are_set_in_batches(tmp_path: Path) -> None:
    names = [ServerName("web", f"s{number}") for number in range(MAX_BATCH + 1)]
    async with answering(tmp_path / "s", b"\n", b"\n") as questions:
        await Runtime(CommandSocket(tmp_path / "s")).set_states(names, AdminState.DRAIN)
    assert [question.count(b";") + 1 for question in questions] == [MAX_BATCH, 1]
    assert questions[1] == b"set server web/s100 state drain\n"


@pytest.mark.parametrize("name", ["a;shutdown frontend fe", "a\nb", "", "a b", "-a", "x" * 64])
async def test_hostile_name_never_becomes_part_of_a_command(tmp_path: Path, name: str) -> None:
    runtime = Runtime(CommandSocket(tmp_path / "s"))
    for server in (ServerName("web", name), ServerName(name, "a")):
        with pytest.raises(LocalProtocolError, match="must not reach a command"):
            await runtime.set_states([server], AdminState.DRAIN)


@pytest.mark.parametrize(("answer", "digest"), [(b"LB_DIGEST=ab\n\n", "ab"), (b"Variable not found\n", None)])
async def test_digest_is_read_from_the_environment(tmp_path: Path, answer: bytes, digest: str | None) -> None:
    async with answering(tmp_path / "s", answer):
        assert await Runtime(CommandSocket(tmp_path / "s")).digest() == digest
