"""A load balancer that is killed over and over while its cluster changes: what must still be true each time.

The balancer is a process; HAProxy outlives it. Peers run in the test's own process: one of them moves between
two ports, and every move is a swap. A load runs through HAProxy all the time and forgives nothing.
"""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

import trio

from gossip.agent import service
from gossip.agent.config import AgentConfig
from gossip.agent.service import Agent
from lb.demo.load import Load, Target
from lb.deploy.config_file import content_digest
from lb.deploy.worker_record import RECORD_NAME
from lb.haproxy.config_check import Validator
from lb.haproxy.config_text import configured_servers, is_ours
from tests.real_haproxy import HOST, Site, end_haproxy, eventually, free_port, web_servers

EAGER = {
    "GOSSIP_LB_ARRIVE_CALM": "0.05s",
    "GOSSIP_LB_ARRIVE_QUIET": "0.05s",
    "GOSSIP_LB_MIN_RELOAD_INTERVAL": "0s",
    "GOSSIP_LB_RECONCILE_INTERVAL": "1s",
    "GOSSIP_LB_RUNTIME_TIMEOUT": "5s",
    "GOSSIP_LB_RELOAD_TIMEOUT": "20s",
    "GOSSIP_LB_VALIDATE_TIMEOUT": "60s",
}


class Victim:
    """The balancer's process, its successors, and the cluster around them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.load = Load(Target(HOST, site.port))
        self.ports: dict[str, int] = {}
        self.mover: Agent
        self.kills = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._bind = f"{HOST}:{free_port()}"
        self._log = site.directory / "lb.log"

    def start(self, *flags: str, master_socket: Path | None = None) -> None:
        """Start the balancer; it adopts the HAProxy that its predecessor left."""
        site = self.site
        command = [
            *(sys.executable, "-m", "lb", "run", "--config-path", str(site.config)),
            *("--master-socket", str(master_socket or site.sockets.master)),
            *("--admin-socket", str(site.sockets.admin), "--state-file", str(site.sockets.state_file)),
            *("--listen", f"{HOST}:{site.port}", "--stats-bind", "", "--node", "lb", "--bind", self._bind),
            *("--rpc-addr", "", "--profile", "local", "--join", str(self.mover.driver.transport.address)),
            *flags,
        ]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **EAGER}
            )

    async def kill(self) -> None:
        """SIGKILL, now."""
        assert self.process is not None
        self.process.kill()
        await trio.to_thread.run_sync(self.process.wait)
        self.kills += 1

    async def wait_dead(self) -> None:
        """Wait until somebody else has killed it."""
        assert self.process is not None
        await eventually(lambda: self.process.poll() is not None, 60)
        self.kills += 1

    def swaps(self) -> int:
        """Return how many take-overs all balancers have logged."""
        return self._log.read_bytes().count(b"event=lb.swap")

    def move(self) -> None:
        """Let the moving server announce its other port: the next swap."""
        now = int(self.mover.driver.node.tags["port"])
        other = next(port for name, port in self.ports.items() if name in ("m1", "m2") and port != now)
        tags = {"role": "backend", "port": str(other)}
        self.mover.driver.apply(lambda node, at: node.set_tags(tags, at))

    async def assert_intact(self) -> None:
        """Assert that the file is whole and valid, and that HAProxy serves."""
        content = self.site.config.read_bytes()
        assert is_ours(content), content.decode("utf-8", "replace")
        copy = self.site.directory / "copy.cfg"
        copy.write_bytes(content)
        verdict = await trio.to_thread.run_sync(
            partial(Validator(timeout=60).check, copy, shown_as=self.site.config)
        )
        assert verdict is None
        answered = self.load.tally.answered
        await eventually(lambda: self.load.tally.answered > answered)
        assert self.load.tally.failures == {}

    async def assert_recovered(self) -> None:
        """Assert that file, worker and cluster agree again."""
        wanted = int(self.mover.driver.node.tags["port"])

        async def agrees() -> bool:
            content = self.site.config.read_bytes() if self.site.config.exists() else b""
            ports = {place.name.server: place.port for place in configured_servers(content)}
            if ports != {"stay": self.ports["stay"], "mover": wanted}:
                return False
            if await self.site.haproxy.find_problem(content):
                return False
            # The balancer knows its worker: a successor that did not would begin with a reload.
            record = self.site.directory / RECORD_NAME
            return record.exists() and content_digest(content).encode() in record.read_bytes()

        await eventually(agrees, 60)

    async def stop_haproxy(self) -> None:
        """End the HAProxy that was left behind, also one that is in the middle of a reload."""
        with trio.move_on_after(3):
            await eventually(self.site.haproxy.processes)
            found = await self.site.haproxy.processes()
            if found is not None:
                end_haproxy(found)


@asynccontextmanager
async def victim(site: Site) -> AsyncIterator[Victim]:
    """Run the cluster, HAProxy (with a balancer that is killed at once) and the load."""
    scene = Victim(site)
    async with web_servers("stay", "m1", "m2") as scene.ports, trio.open_nursery() as nursery:
        run_peer = partial(service.run, handle_signals=False)
        scene.mover = await nursery.start(run_peer, _peer("mover", scene.ports["m1"]))
        seed = str(scene.mover.driver.transport.address)
        await nursery.start(run_peer, _peer("stay", scene.ports["stay"], seed))
        scene.start("--start-haproxy")
        try:
            await scene.assert_recovered()
            pause = Random(site.port).random
            for keep_alive in (True, True, False):
                client = partial(scene.load.run_client, keep_alive=keep_alive, think=lambda: 0.02 * pause())
                nursery.start_soon(client)
            yield scene
            scene.load.stop()
            await eventually(lambda: scene.load.tally.sent == scene.load.tally.answered)
        finally:
            with trio.CancelScope(shield=True):
                if scene.process is not None and scene.process.poll() is None:
                    await scene.kill()
                await scene.stop_haproxy()
        nursery.cancel_scope.cancel()


def _peer(name: str, port: int, join: str = "") -> AgentConfig:
    return AgentConfig(
        node_name=name,
        bind=f"{HOST}:0",
        rpc_addr="",
        profile="local",
        tags={"role": "backend", "port": str(port)},
        start_join=(join,) if join else (),
    )


async def kill_at_random(scene: Victim, kills: int, rng: Random) -> None:
    """Kill balancers at random instants of their lives, most of them in the middle of a change."""
    while scene.kills < kills:
        await scene.kill()
        await scene.assert_intact()
        scene.start("--start-haproxy")
        life = rng.uniform(0.0, 1.6)
        end = trio.current_time() + life
        while trio.current_time() < end:
            scene.move()
            await trio.sleep(rng.uniform(0.02, 0.3))
    await scene.assert_recovered()


class MasterProxy:
    """Stands between a balancer and HAProxy's master: kills the balancer at a command, before or after it."""

    def __init__(self, site: Site, path: Path) -> None:
        self.path = path
        self.target: Victim | None = None
        self.forward_first = False
        self._upstream = site.sockets.master

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with trio.socket.socket(trio.socket.AF_UNIX) as listener:
            await listener.bind(str(self.path))
            listener.listen()
            task_status.started()
            async with trio.open_nursery() as nursery:
                while True:
                    connection, _ = await listener.accept()
                    nursery.start_soon(self._serve, trio.SocketStream(connection))

    async def _serve(self, client: trio.SocketStream) -> None:
        try:
            async with client:
                command = b"".join([chunk async for chunk in client])
                is_fatal = command == b"reload\n" and self.target is not None
                if is_fatal and not self.forward_first:
                    self._kill()
                    return
                async with await trio.open_unix_socket(str(self._upstream)) as server:
                    await server.send_all(command)
                    await server.send_eof()
                    if is_fatal:
                        self._kill()
                    async for chunk in server:
                        await client.send_all(chunk)
        except (OSError, trio.BrokenResourceError):
            pass  # a master that is away: the balancer sees it just so

    def _kill(self) -> None:
        assert self.target is not None
        assert self.target.process is not None
        self.target.process.kill()
        self.target = None
