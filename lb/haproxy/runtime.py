"""The running worker, queried and controlled through its admin socket (HAProxy's runtime API).

Only names from the allow-list ever become part of a command: a ``;`` or a line break in a
server's name would be a second command.
"""

from collections.abc import Collection, Iterable

from msgspec import Struct

from gossip.errors import LocalProtocolError
from lb.haproxy.cli_socket import CommandSocket, HAProxyError
from lb.haproxy.config_text import ServerName
from lb.haproxy.server_state import AdminState, ServerRow, parse_servers
from lb.policy.allowlist import is_clean

MAX_BATCH = 100
"""Commands in one line; measured: 1.3 ms for 100."""
TABLE_TIMEOUT = 5.0
"""``show servers state`` of a thousand servers was measured at 1.1-1.6 s."""


class WorkerIdentity(Struct, frozen=True):
    """A worker by its own view of its process id, and the second in which it started (since 1970)."""

    pid: int
    started: int


class Drains(Struct, frozen=True):
    """The changes made to drained servers, and the servers that exist."""

    drained: tuple[ServerName, ...]
    readied: tuple[ServerName, ...]
    present: frozenset[ServerName]


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

    async def identity(self) -> WorkerIdentity:
        """Return the identity of the worker that answers.

        Raises:
            UnreachableError: the worker does not answer.
            HAProxyError: its answer does not have it.
        """
        answer = await self._socket.ask("show info")
        fields = dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)
        try:
            return WorkerIdentity(int(fields["Pid"]), int(fields.get("Start_time_sec", 0)))
        except (KeyError, ValueError) as error:
            raise HAProxyError(
                f"haproxy's answer to 'show info' names no process: {answer[:80]!r}"
            ) from error

    async def servers_table(self) -> str:
        """Return the unchanged answer to ``show servers state``."""
        return await self._socket.ask("show servers state", TABLE_TIMEOUT)

    async def servers(self) -> tuple[ServerRow, ...]:
        """Return all servers and their state."""
        return parse_servers(await self.servers_table())

    async def set_states(self, servers: Iterable[ServerName], state: AdminState) -> None:
        """Set the administrative state of each server; traffic follows within milliseconds.

        Raises:
            HAProxyError: the worker refuses (for example: no such server); the other servers are set.
                LocalProtocolError: a name is unsafe in a command; nothing was sent.
        """
        commands = [f"set server {_checked(name)} state {state}" for name in servers]
        complaints: list[str] = []
        for first in range(0, len(commands), MAX_BATCH):
            answer = await self._socket.ask(";".join(commands[first : first + MAX_BATCH]))
            complaints += [line for line in answer.splitlines() if line.strip()]
        if complaints:
            raise HAProxyError(f"haproxy refused to set servers to {state}: {complaints[0][:200]}")

    async def drain_exactly(self, drained: Collection[ServerName], ours: Collection[ServerName]) -> Drains:
        """Drain `drained`, and make those of `ours` that are not in it ready again.

        Names that the worker does not have are ignored: they are already out of its configuration. A server
        that is drained but not one of `ours` was drained by a person, and stays so; so does any server in
        maintenance.
        """
        rows = await self.servers()
        free = [row for row in rows if not row.is_in_maintenance]
        to_drain = [row.place.name for row in free if not row.is_drained and row.place.name in drained]
        surplus = [row.place.name for row in free if row.is_drained and row.place.name not in drained]
        to_ready = [name for name in surplus if name in ours]
        if to_drain:
            await self.set_states(to_drain, AdminState.DRAIN)
        if to_ready:
            await self.set_states(to_ready, AdminState.READY)
        return Drains(tuple(to_drain), tuple(to_ready), frozenset(row.place.name for row in rows))


def _checked(name: ServerName) -> ServerName:
    if not (is_clean(name.backend) and is_clean(name.server)):
        raise LocalProtocolError(f"server name {str(name)!r} must not reach a command")
    return name
