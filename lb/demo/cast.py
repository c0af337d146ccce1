"""The players: the load balancer with its HAProxy, web servers with their sidecars, a real Serf agent."""

import os
import shutil
import signal
import sys
from contextlib import suppress

import trio

from lb.demo.premises import GOSSIP_PORT, HTTP_PORT, RPC_PORT, STATS_PORT, Premises
from lb.demo.processes import Processes
from lb.demo.witness import Witness
from lb.haproxy.cli_socket import CommandSocket, HAProxyError
from lb.haproxy.master import Master

LB = "lb"
LISTEN_TIMEOUT = 15.0
_POLL = 0.02


class Cast:
    """Starts, kills and stops the players by name (``web-3``)."""

    def __init__(self, premises: Premises, witness: Witness) -> None:
        self.premises = premises
        self._witness = witness
        self._processes = Processes()

    async def start_lb(self, nursery: trio.Nursery) -> None:
        """Start the load balancer, which starts HAProxy."""
        where = self.premises
        process = await self._processes.start_with_pipe(
            LB,
            [
                *(sys.executable, "-m", "lb", "run", "--start-haproxy", "--stop-haproxy-on-exit"),
                *("--node", LB, "--profile", "lan"),
                *("--bind", f"{where.lb_host}:{GOSSIP_PORT}", "--rpc-addr", f"{where.lb_host}:{RPC_PORT}"),
                *("--config-path", str(where.config), "--listen", f"{where.lb_host}:{HTTP_PORT}"),
                *("--stats-bind", f"{where.lb_host}:{STATS_PORT}"),
                *("--master-socket", str(where.master_socket), "--admin-socket", str(where.admin_socket)),
                *("--min-reload-interval", "1s", "--log-format", "json"),
            ],
        )
        assert process.stderr is not None
        nursery.start_soon(self._witness.watch, process.stderr, where.log(LB))

    async def start_web(self, number: int) -> None:
        """Start a web server and, once it listens, its sidecar."""
        await self._start_server(f"web-{number}", number)
        command = [sys.executable, "-m", "gossip", "agent", "--retry-interval", "1s"]
        await self._start_agent(f"web-{number}", number, command)

    async def start_serf(self, number: int) -> None:
        """Start a web server with a real Serf agent as its sidecar."""
        await self._start_server(f"serf-{number}", number)
        await self._start_agent(f"serf-{number}", number, ["serf", "agent", "-retry-interval=1s"])

    def kill(self, name: str) -> None:
        """SIGKILL a server and its sidecar, as if its machine had lost power."""
        for process in (name, _agent(name)):
            self._processes.signal(process, signal.SIGKILL)

    def ask_to_leave(self, name: str) -> None:
        """SIGTERM the sidecar: it leaves the cluster gracefully, then ends."""
        self._processes.signal(_agent(name), signal.SIGTERM)

    def has_left(self, name: str) -> bool:
        """Whether the sidecar is gone."""
        return self._processes.has_ended(_agent(name))

    async def stop_server(self, name: str) -> bool:
        """Stop the web server gracefully; return False if it had to be killed."""
        return await self._processes.stop(name)

    async def clear_the_stage(self) -> None:
        """Stop all players: the load balancer gracefully, as HAProxy is its child; the others at once."""
        master = await self._haproxy_master()
        if self._processes.is_known(LB) and not await self._processes.stop(LB) and master is not None:
            with suppress(ProcessLookupError):
                os.killpg(master, signal.SIGKILL)
        await self._processes.stop_all()

    async def _start_server(self, name: str, number: int) -> None:
        host = self.premises.host(number)
        command = [sys.executable, "-m", "lb.demo.web", "--bind", f"{host}:{HTTP_PORT}", "--name", name]
        await self._processes.start(name, command, self.premises.log(name))
        with trio.fail_after(LISTEN_TIMEOUT):
            await _wait_listening(host, HTTP_PORT)

    async def _start_agent(self, name: str, number: int, command: list[str]) -> None:
        """Start a sidecar; both kinds of agent understand Serf's spelling of the flags."""
        host = self.premises.host(number)
        flags = [
            *(f"-node={name}", f"-bind={host}:{GOSSIP_PORT}", f"-rpc-addr={host}:{RPC_PORT}"),
            *("-profile=lan", "-tag", "role=backend", "-tag", f"port={HTTP_PORT}"),
            f"-retry-join={self.premises.lb_host}:{GOSSIP_PORT}",
        ]
        await self._processes.start(_agent(name), [*command, *flags], self.premises.log(_agent(name)))

    async def _haproxy_master(self) -> int | None:
        try:
            return (await Master(CommandSocket(self.premises.master_socket)).processes()).master
        except HAProxyError:
            return None


def has_serf() -> bool:
    """Whether a real Serf agent is installed."""
    return shutil.which("serf") is not None


def _agent(name: str) -> str:
    return f"{name}-agent"


async def _wait_listening(host: str, port: int) -> None:
    while True:
        try:
            await (await trio.open_tcp_stream(host, port)).aclose()
        except OSError:
            await trio.sleep(_POLL)
        else:
            return
