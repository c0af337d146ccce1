"""Verbs for tests with a real HAProxy: files from the real renderer, web servers, a supervised HAProxy."""

import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import trio

from gossip.serf.members import MemberStatus
from lb.demo.web import WebServer
from lb.haproxy.client import HAProxy, Sockets
from lb.haproxy.incumbent import RECORD_NAME, Record
from lb.haproxy.master import Processes
from lb.haproxy.process import haproxy_command
from lb.haproxy.supervisor import Supervisor
from lb.policy.plan import MemberFact, PlanConfig, plan_members
from lb.render.renderer import Frontend, RenderConfig, Renderer

# Each test process gets its own addresses, so that two runs on one machine do not meet.
HOST = f"127.4.{os.getpid() % 250}.{os.getpid() // 250 % 250 + 1}"


def free_port(host: str = HOST) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class Site:
    """A directory with everything that one HAProxy needs, and files for it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "haproxy.cfg"
        self.port = free_port()
        self.sockets = Sockets(directory / "m.sock", directory / "a.sock", directory / "state")
        render = RenderConfig(
            frontends=(Frontend("http", (f"{HOST}:{self.port}",), "web"),),
            stats_bind=None,
            admin_socket=str(self.sockets.admin),
            state_file=str(self.sockets.state_file),
        )
        self._renderer = Renderer(render)
        self._plan = PlanConfig(allow_loopback=True)
        self.haproxy = HAProxy(self.sockets, runtime_timeout=5.0, reload_timeout=20.0)

    def content(self, servers: dict[str, int]) -> bytes:
        """Return the file for servers at ports of `HOST`."""
        facts = [
            MemberFact(name, MemberStatus.ALIVE, HOST, {"role": "backend", "port": str(port)})
            for name, port in servers.items()
        ]
        return self.render(facts)

    def render(self, facts: Sequence[MemberFact]) -> bytes:
        """Return the file for these members."""
        return self._renderer.render(plan_members(facts, self._plan).plan).content

    def supervisor(self, command: Sequence[str] | None = None, stop_timeout: float = 1.0) -> Supervisor:
        command = command or haproxy_command("haproxy", self.config, self.sockets.master)
        record = Record(self.directory / RECORD_NAME)
        return Supervisor(command, self.config, self.haproxy.master, record, stop_timeout)

    @asynccontextmanager
    async def running(self, content: bytes) -> AsyncIterator[Supervisor]:
        """Run HAProxy with `content`, until the end of the block."""
        self.config.write_bytes(content)
        self.haproxy.forget_state()
        supervisor = self.supervisor()
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run)
            await self.haproxy.confirm(content, trio.current_time() + 20)
            await eventually(self.haproxy.processes)  # the master's socket comes after the worker's
            try:
                yield supervisor
            finally:
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await supervisor.stop()


@asynccontextmanager
async def web_servers(*names: str, delay: float = 0.0) -> AsyncIterator[dict[str, int]]:
    """Run web servers on free ports of `HOST`; yields their ports by name."""
    async with trio.open_nursery() as nursery:
        ports: dict[str, int] = {}
        servers = [WebServer(name, delay) for name in names]
        for name, server in zip(names, servers, strict=True):
            ports[name] = await nursery.start(partial(server.run, HOST, 0))
        yield ports
        nursery.cancel_scope.cancel()


async def eventually(condition, seconds: float = 20.0) -> None:
    """Wait until `condition()` (plain or async) is true; the bound is only for broken code."""
    with trio.fail_after(seconds):
        while True:
            outcome = condition()
            if hasattr(outcome, "__await__"):
                outcome = await outcome
            if outcome:
                return
            await trio.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def end_haproxy(found: Processes) -> None:
    """End all processes of a HAProxy at once. (A master that re-executes itself would overhear SIGTERM.)"""
    for pid in (found.master, found.worker, *found.old_workers):
        with suppress(ProcessLookupError):
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
