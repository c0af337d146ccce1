"""Whatever happens to gossip-lb, HAProxy serves: 500 requests a second, real Serf agents as members."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from random import Random

import pytest
import trio

from lb.demo.load import Load, Target
from lb.deploy.worker_record import RECORD_NAME
from lb.render.renderer import default_template
from tests import agents
from tests.accept_lb.injured import CORE, TASKS
from tests.accept_lb.test_acceptance import show
from tests.real_haproxy import HOST, Site, eventually

pytestmark = [pytest.mark.soak, pytest.mark.haproxy, pytest.mark.serf, pytest.mark.trio]

RATE = 500.0
BACKENDS = 3
STALL = 60.0
SETTLE = 10.0
"""Seconds after a start in which peers may still call it failed, for a death that they noticed before."""


class Site500(Site):
    """A site with `gossip-lb` as a process, Serf agents as members, and the load."""

    def __init__(self, directory: Path, cluster: agents.Agents) -> None:
        super().__init__(directory)
        self.load = Load(Target(HOST, self.port))
        self.cluster = cluster
        self.log = directory / "lb.log"
        self.bugs = directory / "bugs"
        self.bugs.mkdir()
        self.template = directory / "t.j2"
        self.template.write_text(default_template())
        self.process: subprocess.Popen[bytes]
        self.accusations: list[str] = []
        self._stderr: int | None = None
        self._is_known = False  # Serf has called this process alive, and no longer its predecessor dead
        self._started_at = 0.0
        self._bind = f"{cluster.all[0].host.rpartition('.')[0]}.100"
        toml = directory / "lb.toml"
        toml.write_text(f'[lb]\ntemplate = "{self.template}"\n')
        self._command = [
            *(sys.executable, "-m", "tests.accept_lb.injured", str(self.bugs), "run", "--start-haproxy"),
            *("--config-path", str(self.config), "--lb-config", str(toml), "--state-file"),
            *(str(self.sockets.state_file), "--master-socket", str(self.sockets.master)),
            *("--admin-socket", str(self.sockets.admin), "--listen", f"{HOST}:{self.port}"),
            *("--stats-bind", "", "--node", "lb", "--bind", self._bind, "--rpc-addr", f"{self._bind}:7373"),
            *("--retry-join", cluster.all[0].host, "--retry-interval", "1s", "--min-reload-interval", "1s"),
        ]

    def start(self, *flags: str, stderr: int | None = None) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command, *flags], stderr=log if stderr is None else stderr, stdin=subprocess.DEVNULL
            )
        self._started_at = trio.current_time()

    async def end(self, number: signal.Signals) -> None:
        self._is_known = False
        self.process.send_signal(number)
        await trio.to_thread.run_sync(partial(self.process.wait, 60))

    async def settled(self) -> None:
        """Wait until all servers are in the file, the worker runs it, and the balancer knows the worker."""

        async def agrees() -> bool:
            text = self.config.read_text() if self.config.exists() else ""
            if text.count("    server ") != BACKENDS or await self.haproxy.find_problem(text.encode()):
                return False
            record = self.directory / RECORD_NAME
            found = await self.haproxy.processes()
            if found is None or not record.exists():
                return False
            return bool(json.loads(record.read_text())["worker"]["pid"] == found.worker)

        await eventually(agrees, 60)

    async def worker(self) -> int | None:
        found = None
        with trio.fail_after(20):
            while found is None:
                found = await self.haproxy.processes()
        return found.worker

    async def listen_to_peers(self) -> None:
        """Ask Serf all the time what it thinks of the balancer."""
        while True:
            status = await trio.to_thread.run_sync(self.cluster.all[0].statuses)
            if self.process.poll() is not None:
                self._is_known = False
            elif status.get("lb") == "alive" and trio.current_time() > self._started_at + SETTLE:
                self._is_known = True
            elif self._is_known and status.get("lb") == "failed":
                self.accusations.append(f"failed at {trio.current_time():.1f}")
            await trio.sleep(0.3)

    async def serves(self, seconds: float) -> None:
        await trio.sleep(seconds)
        assert self.load.tally.failures == {}


@contextmanager
def backends(tmp_path: Path) -> Iterator[agents.Agents]:
    """Run Serf agents, each beside a web server."""
    running: list[subprocess.Popen[bytes]] = []
    with agents.agents(tmp_path) as cluster:
        try:
            for number in range(1, BACKENDS + 1):
                joins = [f"-retry-join={cluster.all[0].host}"] if cluster.all else []
                tags = ("-tag=role=backend", "-tag=port=8001")
                agent = cluster.start(agents.SERF, f"web-{number}", *tags, *joins)
                web = [
                    sys.executable,
                    "-m",
                    "lb.demo.web",
                    "--bind",
                    f"{agent.host}:8001",
                    "--name",
                    agent.name,
                ]
                running.append(subprocess.Popen(web))
            yield cluster
        finally:
            for process in running:
                process.kill()
                process.wait()


@asynccontextmanager
async def surviving(tmp_path: Path) -> AsyncIterator[Site500]:
    with backends(tmp_path) as cluster:
        site = Site500(tmp_path, cluster)
        site.start()
        try:
            await site.settled()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(site.load.run_open_loop, RATE, 0.3, Random(9))
                nursery.start_soon(site.listen_to_peers)
                yield site
                site.load.stop()
                tally = site.load.tally
                await eventually(lambda: tally.sent == tally.answered + tally.failed, 60)
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                if site.process.poll() is None:
                    await site.end(signal.SIGKILL)
                await site.supervisor().stop()  # by its record: the master may be away in a reload
    assert site.accusations == []


def report(capsys: pytest.CaptureFixture[str], what: str, site: Site500, more: str = "") -> None:
    tally = site.load.tally
    show(
        capsys,
        f"{what}: {tally.sent} requests, {tally.failed} failed {dict(tally.failures) or ''}, slowest "
        f"{1000 * tally.slowest:.0f} ms; called failed while alive: {len(site.accusations)}{more}",
    )


async def test_kill_and_upgrade_leave_worker_and_requests_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with surviving(tmp_path) as site:
        worker = await site.worker()
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            await site.end(number)
            await site.serves(2)
            site.start()
            await eventually(lambda: agents_see(site), 60)
            await site.settled()
            await site.serves(SETTLE + 5)
            assert await site.worker() == worker
        report(capsys, "2 x SIGKILL, 2 x stop and start", site)
    assert site.load.tally.failures == {}


def agents_see(site: Site500) -> bool:
    return site.cluster.all[0].statuses().get("lb") == "alive"


async def test_exception_in_each_task_leaves_worker_requests_and_agent_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with surviving(tmp_path) as site:
        worker, ended = await site.worker(), []
        for name in (*TASKS, *CORE):
            (site.bugs / name).touch()
            await eventually(lambda n=name: not (site.bugs / n).exists(), 60)
            await site.serves(3)
            if site.process.poll() is not None:
                ended.append(name)
                site.start()
            assert await site.worker() == worker, name
        assert "InjectedError" in site.log.read_text("utf-8", "replace")
        await site.settled()
        report(capsys, f"an exception in each of {len(TASKS) + len(CORE)} tasks", site, f"; ended by {ended}")
        assert set(ended) <= set(CORE)
        # And it still works: one member leaves.
        await trio.to_thread.run_sync(partial(site.cluster.all[2].run, "leave"))
        await eventually(lambda: site.config.read_text().count("    server ") == BACKENDS - 1, 60)
    assert site.load.tally.failures == {}


async def test_stalled_log_reader_leaves_worker_requests_and_agent_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with surviving(tmp_path) as site:
        worker = await site.worker()
        await site.end(signal.SIGKILL)
        reading, writing = os.pipe()
        site.start("--log-level", "trace", stderr=writing)
        os.close(writing)
        try:
            await site.serves(STALL)  # nobody reads
            await eventually(lambda: agents_see(site), 60)
            assert await site.worker() == worker
            assert len(os.read(reading, 65536)) > 0
        finally:
            os.close(reading)
        await site.serves(2)  # the reader is gone
        assert site.process.poll() is None
        report(capsys, f"nobody reads the log for {STALL:g} s", site)
    assert site.load.tally.failures == {}


async def test_template_reload_under_load_loses_no_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with surviving(tmp_path) as site:
        for number in range(1, 6):
            worker = await site.worker()
            site.template.write_text(default_template().replace("retries 3", f"retries {3 + number}"))
            site.process.send_signal(signal.SIGHUP)
            await eventually(lambda n=number: f"retries {3 + n}" in site.config.read_text(), 60)
            await site.settled()
            assert await site.worker() != worker
            await site.serves(2)
        report(capsys, "5 templates by SIGHUP", site)
    assert site.load.tally.failures == {}
