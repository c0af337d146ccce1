"""HAProxy is started, watched, adopted, and always gone in the end."""

import logging
import os
import signal
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from lb.haproxy.cli_socket import CommandSocket, HAProxyError
from lb.haproxy.master import Master
from lb.haproxy.process import MAX_LINE_BYTES, Supervisor
from tests.real_haproxy import Site, eventually, is_alive

pytestmark = pytest.mark.trio


def supervising(tmp_path: Path, script: str, stop_timeout: float = 5.0) -> Supervisor:
    master = Master(CommandSocket(tmp_path / "nobody"))
    return Supervisor(("sh", "-c", script), master, stop_timeout)


@pytest.mark.haproxy
async def test_haproxy_and_its_worker_are_gone_after_the_stop(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.running(site.content({})):
        found = await site.haproxy.master.processes()
        assert found.worker is not None
        assert is_alive(found.master)
        assert is_alive(found.worker)
    assert not is_alive(found.master)
    await eventually(lambda: not is_alive(found.worker))


@pytest.mark.haproxy
async def test_killed_haproxy_is_started_again(tmp_path: Path) -> None:
    site = Site(tmp_path)
    content = site.content({})
    async with site.running(content) as supervisor:
        first = await site.haproxy.master.processes()
        os.kill(first.master, signal.SIGKILL)
        await eventually(lambda: supervisor.starts == 2)
        await site.haproxy.confirm(content, trio.current_time() + 20)
        assert first.worker is not None
        await eventually(lambda: not is_alive(first.worker))


@pytest.mark.haproxy
async def test_haproxy_of_a_killed_agent_is_adopted_and_stopped_in_the_end(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.running(site.content({})) as first:
        assert first.starts == 1
        master = (await site.haproxy.master.processes()).master
        second = site.supervisor()
        async with trio.open_nursery() as nursery:
            assert await nursery.start(second.run) is True
            nursery.cancel_scope.cancel()
        assert second.starts == 0
        await eventually(lambda: first.starts == 2)  # the first one saw it go, and did its duty
        await eventually(site.haproxy.processes)
        assert (await site.haproxy.master.processes()).master != master


@pytest.mark.haproxy
async def test_adopted_haproxy_that_dies_is_started(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.config.write_bytes(site.content({}))
    site.haproxy.forget_state()
    command = ["haproxy", "-W", "-S", f"{site.sockets.master},mode,600", "-f", str(site.config)]
    process = await trio.lowlevel.open_process(command, stderr=-3)
    try:
        await eventually(site.haproxy.processes)
        supervisor = site.supervisor()
        async with trio.open_nursery() as nursery:
            assert await nursery.start(supervisor.run) is True
            process.kill()
            await process.wait()
            await eventually(lambda: supervisor.starts == 1)
            await eventually(site.haproxy.processes)
            nursery.cancel_scope.cancel()
    finally:
        process.kill()


async def test_master_of_another_process_namespace_cannot_be_supervised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FarAway(Master):
        def __init__(self) -> None:
            super().__init__(CommandSocket(tmp_path / "s"))

    def nobody(_pid: int) -> int:
        raise ProcessLookupError(3, "No such process")

    listener = trio.socket.socket(trio.socket.AF_UNIX)
    await listener.bind(str(tmp_path / "s"))
    listener.listen()

    async def answer() -> None:
        connection, _ = await listener.accept()
        with connection:
            await connection.recv(100)
            await connection.send(b"77 master 0 [failed: 0]\n")

    monkeypatch.setattr(os, "pidfd_open", nobody)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        with pytest.raises(HAProxyError, match=r"process 77 .* cannot be supervised: No such process"):
            await Supervisor(("true",), FarAway()).run()
    listener.close()


async def test_command_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    supervisor = Supervisor(("/no/such/haproxy",), Master(CommandSocket(tmp_path / "nobody")))
    with pytest.raises(HAProxyError, match=r"cannot start /no/such/haproxy: No such file or directory"):
        await supervisor.run()


async def test_restarts_back_off(tmp_path: Path, autojump_clock: MockClock) -> None:
    exits: list[logging.LogRecord] = []
    enough = trio.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            exits.append(record)
            if len(exits) == 8:
                enough.set()

    say = 'echo "[ALERT] ($$) : first"; echo "[ALERT] ($$) : second"; exit 3'
    listener = Listener(logging.ERROR)
    logging.getLogger("lb.haproxy.process").addHandler(listener)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(supervising(tmp_path, say).run)
            await enough.wait()  # no timer of our own: virtual time must only pass between the starts
            nursery.cancel_scope.cancel()
    finally:
        logging.getLogger("lb.haproxy.process").removeHandler(listener)
    assert [record.delay for record in exits] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert {(record.status, record.reason) for record in exits} == {(3, "first")}


async def test_log_is_relayed_line_by_line_and_long_lines_are_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    long_line = f"head -c {MAX_LINE_BYTES + 1} /dev/zero | tr '\\0' x; echo"
    script = f"echo; echo hello; printf 'wor'; sleep 0.1; echo ld; {long_line}; exec sleep 60"
    supervisor = supervising(tmp_path, script)
    lines: list[str] = []

    def relayed() -> bool:
        lines[:] = [record.message for record in caplog.records if record.name == "haproxy"]
        return len(lines) >= 4

    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        await eventually(relayed)
        nursery.cancel_scope.cancel()
    assert lines == ["hello", "world", "x" * MAX_LINE_BYTES, "x"]


async def test_haproxy_that_ignores_every_gentle_signal_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"trap '' USR1 TERM; sleep 60 & echo $! > {pid_file}; while :; do sleep 1; done"
    supervisor = supervising(tmp_path, script, stop_timeout=0.05)
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        await eventually(lambda: pid_file.exists() and pid_file.read_text())
        nursery.cancel_scope.cancel()
    await eventually(lambda: not is_alive(int(pid_file.read_text())))
