"""The running worker, asked and told through its admin socket (HAProxy's runtime API).

Only names from the allow-list ever become part of a command: a ``;`` or a line break in a
server's name would be a second command.
"""

from collections.abc import Collection, Iterable

from gossip.errors import LocalProtocolError
from lb.haproxy.cli_socket import CommandSocket, HAProxyError
from lb.haproxy.config_text import ServerName
from lb.haproxy.server_state import AdminState, ServerRow, parse_servers
from lb.policy.allowlist import is_clean

MAX_BATCH = 100
"""Commands in one line; measured: 1.3 ms for 100."""
TABLE_TIMEOUT = 5.0
"""``show servers state`` of a thousand servers was measured at 1.1-1.6 s."""


class Runtime:
    """The worker behind the admin socket."""

    __slots__ = ("_socket",)

    def __init__(self, socket: CommandSocket) -> None:
        self._socket = socket

    async def digest(self) -> str | None:
        """Return the digest of the configuration that the worker runs, None if it has none.

        Raises:
            UnreachableError: the worker does not answer.
        """
        answer = await self._socket.ask("show env LB_DIGEST")
        key, _, value = answer.strip().partition("=")
        return value if key == "LB_DIGEST" else None

    async def servers_table(self) -> str:
        """Return the answer to ``show servers state`` as it is."""
        return await self._socket.ask("show servers state", TABLE_TIMEOUT)

    async def servers(self) -> tuple[ServerRow, ...]:
        """Return all servers and their state."""
        return parse_servers(await self.servers_table())

    async def set_states(self, servers: Iterable[ServerName], state: AdminState) -> None:
        """Set the administrative state of each server; the effect on traffic is a matter of milliseconds.

        Raises:
            HAProxyError: the worker objects (for example: no such server); the others are set.
            LocalProtocolError: a name could not stand in a command safely; nothing was sent.
        """
        commands = [f"set server {_checked(name)} state {state}" for name in servers]
        complaints: list[str] = []
        for first in range(0, len(commands), MAX_BATCH):
            answer = await self._socket.ask(";".join(commands[first : first + MAX_BATCH]))
            complaints += [line for line in answer.splitlines() if line.strip()]
        if complaints:
            raise HAProxyError(f"haproxy objects to setting servers to {state}: {complaints[0][:200]}")

    async def drain_exactly(self, drained: Collection[ServerName]) -> list[ServerName]:
        """Make `drained` the servers that are drained; return those whose state had to be changed.

        Names that the worker does not have are ignored: they are out of its configuration already. A server
        in maintenance stays there, whoever put it there.
        """
        rows = await self.servers()
        free = [row for row in rows if not row.is_in_maintenance]
        to_drain = [row.place.name for row in free if not row.is_drained and row.place.name in drained]
        to_ready = [row.place.name for row in free if row.is_drained and row.place.name not in drained]
        if to_drain:
            await self.set_states(to_drain, AdminState.DRAIN)
        if to_ready:
            await self.set_states(to_ready, AdminState.READY)
        return to_drain + to_ready


def _checked(name: ServerName) -> ServerName:
    if not (is_clean(name.backend) and is_clean(name.server)):
        raise LocalProtocolError(f"server name {str(name)!r} must not reach a command")
    return name
