"""Agents inside the test's own process, on real loopback sockets, and a client that speaks raw IPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import msgpack
import trio

from gossip.agent.config import AgentConfig
from gossip.agent.service import Agent, run
from gossip.wire.address import Address

PATIENCE = 20.0
"""Bound on every wait for a condition; none of them takes a tenth of it."""


@asynccontextmanager
async def running(name: str, host: str, **settings: object) -> AsyncIterator[Agent]:
    """Run an agent called `name` on `host` for as long as the context lasts."""
    observers = settings.pop("observers", ())
    panels = settings.pop("panels", ())
    config = AgentConfig(
        **{"node_name": name, "bind": f"{host}:0", "profile": "local", "rpc_addr": f"{host}:0"} | settings
    )
    start = partial(run, config, observers=observers, panels=panels, handle_signals=False)
    async with trio.open_nursery() as nursery:
        agent = await nursery.start(lambda task_status: start(task_status=task_status))
        with trio.fail_after(PATIENCE):
            await agent.ready.wait()
        try:
            yield agent
        finally:
            agent.stop()


def where(agent: Agent) -> Address:
    """Return where `agent` listens for gossip."""
    return agent.driver.transport.address


def statuses(agent: Agent) -> dict[str, str]:
    """Return the status of every member that `agent` knows."""
    return {member.name: member.status.name.lower() for member in agent.driver.node.members()}


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds."""
    with trio.move_on_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - whatever changes it, changes it somewhere else
            await trio.sleep(0.01)
        return
    raise AssertionError(f"waited {PATIENCE} s for {what}")


async def join(agent: Agent, *others: Agent) -> None:
    """Let `agent` join through each of `others`."""
    result = await agent.driver.join([str(where(other)) for other in others])
    assert result.contacted == len(others), result.errors


class IpcClient:
    """Sends raw requests and reads raw objects, so that tests see what is really on the wire."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.unpacker = msgpack.Unpacker(raw=False, unicode_errors="surrogateescape")

    async def send(self, command: str, seq: int, *body: object) -> None:
        await self.stream.send_all(b"".join(map(msgpack.packb, ({"Command": command, "Seq": seq}, *body))))

    async def receive(self) -> object:
        """Return the next object; `EOFError` when the agent has closed."""
        with trio.fail_after(PATIENCE):
            while True:
                try:
                    return self.unpacker.unpack()
                except msgpack.OutOfData:
                    chunk = await self.stream.receive_some(65536)
                    if not chunk:
                        raise EOFError("closed by the agent") from None
                    self.unpacker.feed(chunk)

    async def ask(self, command: str, seq: int, *body: object) -> str:
        """Send a request and return the error of its answer."""
        await self.send(command, seq, *body)
        header = await self.receive()
        assert header["Seq"] == seq
        return header["Error"]

    async def shake_hands(self) -> None:
        assert await self.ask("handshake", 1, {"Version": 1}) == ""

    async def is_closed(self) -> bool:
        try:
            await self.receive()
        except (EOFError, trio.BrokenResourceError):
            return True
        return False


@asynccontextmanager
async def ipc(agent: Agent, *, handshake: bool = True) -> AsyncIterator[IpcClient]:
    """Connect to the RPC of `agent`."""
    if agent.rpc_address.startswith("/"):
        stream = await trio.open_unix_socket(agent.rpc_address)
    else:
        host, _, port = agent.rpc_address.rpartition(":")
        stream = await trio.open_tcp_stream(host, int(port))
    async with stream:
        client = IpcClient(stream)
        if handshake:
            await client.shake_hands()
        yield client
