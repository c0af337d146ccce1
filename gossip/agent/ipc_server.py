"""The server side of Serf's IPC: listener, places, and a limit on guessed tokens (serf-wire 6.1-6.4).

`gossip.agent.ipc_connection` carries out the requests of one client. A slow, dead or misbehaving client harms
only its own connection.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from gossip.agent.bugs import sole
from gossip.agent.log import Complaints
from gossip.agent.memory import return_freed_pages
from gossip.agent.places import Place, Places
from gossip.agent.rpc_listener import RpcListener, serve_clients
from gossip.errors import RemoteProtocolError, os_reason

if TYPE_CHECKING:
    from gossip.agent.ipc_commands import IpcHost
    from gossip.agent.ipc_connection import Connection
    from gossip.agent.ipc_streams import EventFeed

MAX_CONNECTIONS = 128
"""Clients at once. Another one takes the place of the longest-waiting one, strangers first."""
MAX_UNREAD_BYTES = 32 * 1024 * 1024
"""Unread answers of all clients together; the members of a full table take 4 MB."""
WRONG_TOKEN_PAUSE = 0.5
"""Seconds before a wrong token is refused; one at a time, for all clients together."""

log = logging.getLogger("gossip.agent")


class IpcServer:
    """Serves all clients of one agent."""

    def __init__(self, host: IpcHost, listener: RpcListener) -> None:
        self._feed: EventFeed | None = None  # until the first client
        self.places = Places(
            MAX_CONNECTIONS,
            MAX_CONNECTIONS,
            most_bytes=MAX_UNREAD_BYTES,
            most_bytes_per_source=MAX_UNREAD_BYTES,
        )
        self.host = host
        self._listener = listener
        self._complaints = Complaints()
        self._refusing = trio.Lock()  # one pause for a wrong token at a time

    async def run(self) -> None:
        """Accept clients until cancelled, then close the listener."""
        try:
            await serve_clients(self._listener, self.places, self._serve, self.complain)
        finally:
            if self._feed is not None:
                self.host.driver.observers.remove(self._feed.observe)
                self.host.queries.respondents.remove(self._feed.query)

    async def _serve(self, stream: trio.SocketStream, place: Place) -> None:
        try:
            connection = self._connection(stream, place)
        except OSError as error:  # no descriptor to read the modules; the next client tries again
            self.complain(f"cannot serve a client: {os_reason(error)}")
            return
        try:
            async with stream:
                await connection.run()
        except* RemoteProtocolError as group:
            self.complain(str(sole(group)))
        except* trio.TooSlowError:
            self.complain("a client does not read its answers")

    def _connection(self, stream: trio.SocketStream, place: Place) -> Connection:
        from gossip.agent.ipc_connection import Connection  # many agents never get a client
        from gossip.agent.ipc_streams import EventFeed

        if self._feed is None:
            self._feed = EventFeed()
            self.host.driver.observers.append(self._feed.observe)
            self.host.queries.respondents.append(self._feed.query)
            return_freed_pages()
        return Connection(stream, place, self, self._feed)

    async def refuse_token(self) -> None:
        """Wait before a wrong token is refused: guessing over many connections is no faster than over one."""
        self.complain("a client gave a wrong token")
        async with self._refusing:
            await trio.sleep(WRONG_TOKEN_PAUSE)

    def complain(self, reason: str) -> None:
        """Log a client's fault, each reason once a minute."""
        if (held := self._complaints.admit(reason, trio.current_time())) is not None:
            log.error("ipc request failed", extra={"reason": reason, "withheld": held})
