"""HAProxy is started, watched and adopted; it outlives its supervisor and is stopped on request only."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from lb.haproxy.cli_socket import CommandSocket, HAProxyError
from lb.haproxy.incumbent import RECORD_NAME, Record
from lb.haproxy.master import Master
from lb.haproxy.process import MAX_LINE_BYTES, haproxy_command
from lb.haproxy.supervisor import StrangerError, Supervisor
from tests.real_haproxy import Site, eventually, is_alive

pytestmark = pytest.mark.trio


def supervising(tmp_path: Path, command: Sequence[str], stop_timeout: float = 5.0) -> Supervisor:
    master = Master(CommandSocket(tmp_path / "nobody"))
    return Supervisor(command, tmp_path / "cfg", master, Record(tmp_path / RECORD_NAME), stop_timeout)


def script(tmp_path: Path, text: str) -> tuple[str, ...]:
    """Return a command that looks as if it read the configuration."""
    return ("sh", "-c", text, "sh", "-f", str(tmp_path / "cfg"))


@asynccontextmanager
async def supervised(supervisor: Supervisor) -> AsyncIterator[Supervisor]:
    """Run `supervisor` for the block; what it runs goes on afterwards."""
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        try:
            yield supervisor
        finally:
            nursery.cancel_scope.cancel()


@contextmanager
def ended(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command for the block, and kill it."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def started_elsewhere(site: Site, config: Path | None = None) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run a HAProxy that no gossip-lb has started."""
    site.config.write_bytes(site.content({}))
    site.haproxy.forget_state()
    command = haproxy_command("haproxy", config or site.config, site.sockets.master)
    with ended(*command) as process:
        await eventually(site.haproxy.processes)
        yield process


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
async def test_haproxy_outlives_its_supervisor_and_the_next_one_adopts_restarts_and_stops_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(tmp_path)
    site.config.write_bytes(site.content({}))
    site.haproxy.forget_state()
    async with supervised(site.supervisor()) as first:
        await eventually(site.haproxy.processes)
        before = await site.haproxy.master.processes()
    assert await site.haproxy.processes() == before
    async with supervised(site.supervisor()) as second:
        assert (second.is_adopted, second.starts, second.pid) == (True, 0, first.pid)
        caplog.set_level("DEBUG", "haproxy")
        await site.haproxy.master.reload(trio.current_time() + 20)
        await eventually(lambda: any("Loading success" in message for message in caplog.messages))
        os.kill(before.master, signal.SIGKILL)
        await eventually(lambda: second.starts == 1)
        await eventually(site.haproxy.processes)
    third = site.supervisor()
    assert await third.stop() == second.pid
    assert await site.haproxy.processes() is None
    assert await third.stop() is None


@pytest.mark.haproxy
async def test_supervisor_that_runs_again_goes_on_with_the_haproxy_that_it_has(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.config.write_bytes(site.content({}))
    site.haproxy.forget_state()
    supervisor = site.supervisor()
    async with supervised(supervisor):
        await eventually(site.haproxy.processes)
        pid = supervisor.pid
    async with supervised(supervisor):
        assert (supervisor.pid, supervisor.starts) == (pid, 1)
    assert await supervisor.stop() == pid


@pytest.mark.haproxy
async def test_daemon_in_the_file_does_not_send_haproxy_into_the_background(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.running(site.content({}).replace(b"\nglobal\n", b"\nglobal\n    daemon\n")) as supervisor:
        assert (await site.haproxy.master.processes()).master == supervisor.pid
        assert supervisor.starts == 1


@pytest.mark.haproxy
async def test_haproxy_of_somebody_else_is_used_and_neither_stopped_nor_doubled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(tmp_path)
    async with started_elsewhere(site) as process:
        supervisor = site.supervisor()
        async with supervised(supervisor):
            assert (supervisor.is_adopted, supervisor.pid) == (True, process.pid)
            assert await supervisor.stop() is None
            process.kill()
            process.wait()
            await eventually(lambda: any("waiting for it to come back" in m for m in caplog.messages))
            assert supervisor.starts == 0
        assert await supervisor.stop() is None


@pytest.mark.haproxy
async def test_haproxy_of_somebody_else_that_does_not_come_back_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lb.haproxy.supervisor.STRANGER_GRACE", 0.0)
    site = Site(tmp_path)
    supervisor = site.supervisor()
    async with started_elsewhere(site) as process, supervised(supervisor):
        process.kill()
        process.wait()
        await eventually(lambda: supervisor.starts == 1)
        await eventually(site.haproxy.processes)
    assert await supervisor.stop() is not None


@pytest.mark.haproxy
async def test_haproxy_that_reads_another_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    site = Site(tmp_path)
    other = tmp_path / "other.cfg"
    other.write_bytes(site.content({}))
    async with started_elsewhere(site, other) as process:
        with pytest.raises(StrangerError) as caught:
            await site.supervisor().check()
        assert process.poll() is None
    assert str(caught.value) == (
        f"haproxy process {process.pid} on {site.sockets.master} reads {other}, not {site.config}: stop it, "
        "or give this one different sockets (--master-socket, --admin-socket)"
    )


@pytest.mark.haproxy
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a process namespace")
async def test_haproxy_in_another_process_namespace_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.config.write_bytes(site.content({}))
    site.haproxy.forget_state()
    command = haproxy_command("haproxy", site.config, site.sockets.master)
    with ended("unshare", "-p", "-f", "--kill-child", *command):
        await eventually(site.haproxy.processes)
        with pytest.raises(StrangerError, match=r"belongs to another container or user: attach to it"):
            await site.supervisor().check()


@pytest.mark.haproxy
async def test_recorded_haproxy_that_hangs_is_adopted_instead_of_doubled(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.running(site.content({})) as first:
        assert first.pid is not None
        os.kill(first.pid, signal.SIGSTOP)
        try:
            async with supervised(site.supervisor()) as second:
                assert (second.pid, second.starts) == (first.pid, 0)
        finally:
            os.kill(first.pid, signal.SIGCONT)


async def test_program_that_does_not_exist_is_found_out_by_the_check(tmp_path: Path) -> None:
    with pytest.raises(HAProxyError, match=r"cannot start /no/such/haproxy: no such program"):
        await supervising(tmp_path, ("/no/such/haproxy",)).check()
    await supervising(tmp_path, ("true",)).check()


class Errors(logging.Handler):
    """Collects error lines; `enough` is set at the `wanted`-th."""

    def __init__(self, wanted: int) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []
        self.enough = trio.Event()
        self._wanted = wanted

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        if len(self.records) == self._wanted:
            self.enough.set()

    async def of(self, supervisor: Supervisor) -> list[logging.LogRecord]:
        """Run `supervisor` until there are enough."""
        log = logging.getLogger("lb.haproxy.supervisor")
        log.addHandler(self)
        try:
            async with supervised(supervisor):
                await self.enough.wait()  # no timer of our own: virtual time only passes between the starts
        finally:
            log.removeHandler(self)
        await supervisor.stop()
        return self.records


async def test_restarts_back_off(tmp_path: Path, autojump_clock: MockClock) -> None:
    say = 'echo "[ALERT] ($$) : first"; echo "[ALERT] ($$) : second"; exit 3'
    exits = await Errors(8).of(supervising(tmp_path, script(tmp_path, say)))
    assert [record.delay for record in exits[:8]] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert {(record.status, record.reason) for record in exits[:8]} == {(3, "first")}


async def test_program_that_cannot_be_executed_is_tried_again_until_it_can(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    program = tmp_path / "haproxy"
    supervisor = supervising(tmp_path, (str(program), "-f", str(tmp_path / "cfg")))
    failures = await Errors(3).of(supervisor)
    assert [record.delay for record in failures[:3]] == [0.5, 1, 2]
    assert failures[0].reason.startswith(f"cannot start {program}: No such file or directory")
    program.write_text("#!/bin/sh\nexit 4\n")
    program.chmod(0o755)
    assert [record.status for record in await Errors(1).of(supervisor)][:1] == [4]


async def test_descriptors_that_are_used_up_are_waited_for(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_pid: int) -> int:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pidfd_open", none_left)
        supervisor = supervising(tmp_path, script(tmp_path, "exec sleep 60"))
        failures = await Errors(3).of(supervisor)
    assert {record.reason for record in failures[:3]} == {"cannot start sh: Too many open files"}
    assert supervisor.pid is None


async def test_log_is_relayed_line_by_line_and_long_lines_are_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    long_line = f"head -c {MAX_LINE_BYTES + 1} /dev/zero | tr '\\0' x; echo"
    text = f"echo; echo hello; printf 'wor'; sleep 0.1; echo ld; {long_line}; exec sleep 60"
    lines: list[str] = []

    def relayed() -> bool:
        lines[:] = [record.message for record in caplog.records if record.name == "haproxy"]
        return len(lines) >= 4

    supervisor = supervising(tmp_path, script(tmp_path, text))
    async with supervised(supervisor):
        await eventually(relayed)
    await supervisor.stop()
    assert lines == ["hello", "world", "x" * MAX_LINE_BYTES, "x"]


async def test_log_that_nobody_reads_never_holds_haproxy_up(tmp_path: Path) -> None:
    done = tmp_path / "done"
    text = f"""
import os, time
for _ in range(10_000):
    try:
        os.write(2, b"x" * 99)
    except BlockingIOError:  # HAProxy drops the line
        pass
open({str(done)!r}, "w").close()
time.sleep(60)
"""
    command = (sys.executable, "-c", text, "-f", str(tmp_path / "cfg"))
    supervisor = supervising(tmp_path, command, stop_timeout=0.05)
    async with supervised(supervisor):
        pass
    await eventually(done.exists)
    await supervisor.stop()


async def test_haproxy_that_ignores_every_gentle_signal_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    text = f"trap '' USR1 TERM; sleep 60 & echo $! > {pid_file}; while :; do sleep 1; done"
    supervisor = supervising(tmp_path, script(tmp_path, text), stop_timeout=0.05)
    async with supervised(supervisor):
        await eventually(lambda: pid_file.exists() and pid_file.read_text())
    await supervisor.stop()
    await eventually(lambda: not is_alive(int(pid_file.read_text())))


async def test_record_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    master = Master(CommandSocket(tmp_path / "nobody"))
    supervisor = Supervisor(
        script(tmp_path, "exec sleep 60"), tmp_path / "cfg", master, Record(tmp_path / "no" / "such")
    )
    async with supervised(supervisor):
        assert "the next gossip-lb will not stop it" in caplog.text
    assert await supervisor.stop() is not None
