"""Looks at a socket that comes and goes, on virtual time: what is an outage and what is not."""

import logging
import resource
import socket
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from lb.haproxy.cli_socket import CommandSocket
from lb.haproxy.outage import CONFIRM_DELAY, LOOK_INTERVAL, OutageWatch
from lb.haproxy.runtime import Runtime

pytestmark = pytest.mark.trio


class Worker:
    """Answers on a socket while it is `open`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.returns = 0
        self.watch = OutageWatch(Runtime(CommandSocket(path)), self._count)

    def _count(self) -> None:
        self.returns += 1

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(str(self.path))  # Trio would do it in a thread, and virtual time would pass meanwhile
        bound.listen()
        with trio.socket.from_stdlib_socket(bound) as listener:
            task_status.started()
            while True:
                connection, _ = await listener.accept()
                with connection:
                    await connection.recv(100)
                    await connection.send(b"LB_DIGEST=x\n")

    async def serve_for(self, seconds: float) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.run)
            await trio.sleep(seconds)
            nursery.cancel_scope.cancel()
        self.path.unlink()


async def test_outage_is_noticed_within_a_second_counted_and_timed(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(tmp_path / "a.sock")
    async with trio.open_nursery() as nursery:
        await nursery.start(worker.run)
        nursery.start_soon(worker.watch.run)
        await trio.sleep(5)
        assert (worker.watch.count, worker.watch.since) == (0, None)
        nursery.cancel_scope.cancel()
    worker.path.unlink()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.watch.run)
        for number in (1, 2):
            began = trio.current_time()
            await trio.sleep(14)
            assert worker.watch.count == number
            assert worker.watch.since is not None
            assert worker.watch.since - began <= LOOK_INTERVAL + CONFIRM_DELAY < 1
            await worker.serve_for(5)
            assert worker.returns == number
        nursery.cancel_scope.cancel()
    lines = [(r.levelno, r.event) for r in caplog.records if r.name == "lb.haproxy.outage"]
    assert lines == [(logging.ERROR, "lb.outage"), (logging.WARNING, "lb.outage_over")] * 2
    assert [r.duration for r in caplog.records if hasattr(r, "duration")] == [pytest.approx(14, abs=1)] * 2


async def test_descriptors_that_are_used_up_are_no_outage(tmp_path: Path, autojump_clock: MockClock) -> None:
    worker = Worker(tmp_path / "a.sock")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with trio.open_nursery() as nursery:
        await nursery.start(worker.run)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (1, before[1]))
            with trio.move_on_after(5):
                await worker.watch.run()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        nursery.cancel_scope.cancel()
    assert worker.watch.count == 0
