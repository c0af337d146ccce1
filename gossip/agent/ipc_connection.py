"""One client of the IPC: handshake, auth, and its requests in order (serf-wire 6.1-6.4).

The requests of a connection are carried out strictly one after the other; records of its subscriptions may
come in between, each written as a whole.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

import trio

from gossip.agent.event_filter import EventFilter
from gossip.agent.ipc_commands import COMMANDS, CommandError
from gossip.agent.ipc_streams import EventFeed, EventStream, Monitor, QuerySubscription, Subscription
from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.ipc.bodies import Auth, Handshake, MonitorLevel, Stop, StreamFilter
from gossip.ipc.protocol import (
    AUTH_REFUSED,
    AUTHENTICATION_REQUIRED,
    CHUNK_BYTES,
    DUPLICATE_HANDSHAKE,
    HANDSHAKE_REQUIRED,
    INTERNAL_QUERY,
    INVALID_FILTER,
    IPC_VERSION,
    LOG_LEVELS,
    MONITOR_EXISTS,
    NO_SUCH_QUERY,
    STREAM_EXISTS,
    UNKNOWN_LOG_LEVEL,
    UNSUPPORTED_COMMAND,
    UNSUPPORTED_VERSION,
    Command,
    Request,
    RequestReader,
    encode_response,
)
from gossip.ipc.query_bodies import SendQuery, SendResponse
from gossip.serf.queries import INTERNAL_PREFIX, IncomingQuery, QueryRequest
from gossip.serf.query_exchange import PING_QUERY

if TYPE_CHECKING:
    from gossip.agent.ipc_server import IpcServer
    from gossip.agent.places import Place

AUTH_TIMEOUT = 10.0
"""Seconds that a client may take for its handshake and, if required, its token."""
MAX_WRONG_TOKENS = 3
"""Wrong tokens on one connection before it is closed."""
MAX_SUBSCRIPTIONS = 64
"""Streams and monitors of one connection."""
MAX_ASKED_QUERIES = 1024
"""Queries that one connection may still answer; beyond that, the oldest is forgotten."""
WRITE_TIMEOUT = 60.0
"""Seconds that a client may take to read one answer or record before its connection is closed."""
LEAVE_ANSWER_TIMEOUT = 2.0
"""Seconds that a client may take to read the answer to `leave`; then the agent stops."""


class Connection:
    """One client."""

    def __init__(self, stream: trio.SocketStream, place: Place, server: IpcServer, feed: EventFeed) -> None:
        self._stream = stream
        self._place = place
        self._server = server
        self._host = server.host
        self._feed = feed
        self._writing = trio.Lock()
        self._has_shaken_hands = False
        self._is_authenticated = not self._host.config.rpc_auth
        self._wrong_tokens = 0
        self._opened = trio.current_time()
        self._subscriptions: dict[int, Subscription] = {}
        self._session: dict[str, Callable[[Request], str]] = {
            Command.HANDSHAKE: self._shake_hands,
            Command.AUTH: self._authenticate,
            Command.STREAM: self._open_stream,
            Command.MONITOR: self._open_monitor,
            Command.STOP: self._stop,
            Command.QUERY: self._open_query,
            Command.RESPOND: self._respond,
        }
        self._asked: dict[int, IncomingQuery] = {}  # queries delivered by streams, by number
        self._last_number = 0

    async def run(self) -> None:
        """Answer requests until the client leaves.

        Raises:
            ExceptionGroup: of `RemoteProtocolError`, it sent something that ends the conversation; of
                `trio.TooSlowError`, it did not read.
        """
        async with trio.open_nursery() as nursery:
            try:
                await self._answer_all(nursery)
            except trio.BrokenResourceError:
                pass  # the client is gone, possibly in the middle of an answer
            finally:
                nursery.cancel_scope.cancel()
                for seq in list(self._subscriptions):
                    self._drop(seq)

    async def _answer_all(self, nursery: trio.Nursery) -> None:
        reader = RequestReader()
        while chunk := await self._receive():
            reader.receive_data(chunk)
            while (request := reader.next_request()) is not None:
                self._place.since = None
                await self._answer(request, nursery)

    async def _receive(self) -> bytes:
        """Return the client's next bytes; a client that only listens keeps its place."""
        place = self._place
        place.standing = int(self._is_known)
        place.since = None if self._subscriptions else trio.current_time()
        deadline = inf if self._is_known else self._opened + AUTH_TIMEOUT
        with trio.move_on_at(deadline):
            return bytes(await self._stream.receive_some(CHUNK_BYTES))
        raise RemoteProtocolError(f"no handshake, or no token, within {AUTH_TIMEOUT:g} s")

    @property
    def _is_known(self) -> bool:
        return self._has_shaken_hands and self._is_authenticated

    async def _answer(self, request: Request, nursery: trio.Nursery) -> None:
        if (denial := self._denial(request)) is not None:
            await self._write(encode_response(request, error=denial))
            if denial == AUTHENTICATION_REQUIRED:
                return
            raise RemoteProtocolError(f"{denial} ({request.command[:64]!r})")
        if (session := self._session.get(request.command)) is not None:
            error = session(request)
            if error == AUTH_REFUSED:
                await self._refuse_token()
            await self._write(encode_response(request, error=error))
            self._start_pump(request, nursery)
            return
        if request.command == Command.LEAVE:
            await self._leave(request)
        else:
            await self._write(await self._carry_out(request))

    async def _refuse_token(self) -> None:
        """Wait; close the connection of a client that keeps guessing."""
        self._wrong_tokens += 1
        self._place.since = self._opened
        await self._server.refuse_token()
        if self._wrong_tokens > MAX_WRONG_TOKENS:
            raise RemoteProtocolError(f"more than {MAX_WRONG_TOKENS} wrong tokens")

    async def _leave(self, request: Request) -> None:
        """Leave, answer, and stop the agent, even if no client waits for the answer or reads it."""
        try:
            answer = await self._carry_out(request)
            with trio.move_on_after(LEAVE_ANSWER_TIMEOUT):
                await self._write(answer)
        finally:
            self._host.stop()

    async def _carry_out(self, request: Request) -> bytes:
        try:
            return encode_response(request, body=await COMMANDS[request.command](self._host, request))
        except CommandError as error:
            return encode_response(request, error=str(error), body=error.body)

    def _denial(self, request: Request) -> str | None:
        """Return why `request` is refused unexamined."""
        command = request.command
        if not self._has_shaken_hands and command != Command.HANDSHAKE:
            return HANDSHAKE_REQUIRED
        if not self._is_authenticated and command not in (Command.HANDSHAKE, Command.AUTH):
            return AUTHENTICATION_REQUIRED
        if command not in self._session and command not in COMMANDS:
            return UNSUPPORTED_COMMAND
        return None

    # --- commands that concern this connection: each returns the error to answer, or nothing --------------

    def _shake_hands(self, request: Request) -> str:
        assert isinstance(request.body, Handshake)
        if request.body.version != IPC_VERSION:
            return UNSUPPORTED_VERSION
        if self._has_shaken_hands:
            return DUPLICATE_HANDSHAKE
        self._has_shaken_hands = True
        return ""

    def _authenticate(self, request: Request) -> str:
        assert isinstance(request.body, Auth)
        given, wanted = (_as_bytes(key) for key in (request.body.auth_key, self._host.config.rpc_auth))
        if not hmac.compare_digest(given, wanted):
            return AUTH_REFUSED
        self._is_authenticated = True
        return ""

    def _open_stream(self, request: Request) -> str:
        assert isinstance(request.body, StreamFilter)
        if request.seq in self._subscriptions or len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            return STREAM_EXISTS
        try:
            wanted = EventFilter.parse(request.body.type)
        except ValueError:
            return INVALID_FILTER
        stream = EventStream(request.seq, wanted, self._number)
        self._subscriptions[request.seq] = stream
        self._feed.add(stream)
        return ""

    def _open_monitor(self, request: Request) -> str:
        assert isinstance(request.body, MonitorLevel)
        level = request.body.log_level.upper()
        if level not in LOG_LEVELS:
            return UNKNOWN_LOG_LEVEL.format(level=level)
        if any(isinstance(subscription, Monitor) for subscription in self._subscriptions.values()):
            return MONITOR_EXISTS
        if request.seq in self._subscriptions:
            return STREAM_EXISTS
        self._subscriptions[request.seq] = Monitor(request.seq, self._host.ring, level)
        return ""

    def _open_query(self, request: Request) -> str:
        wanted = request.body
        assert isinstance(wanted, SendQuery)
        is_ping = wanted.name == PING_QUERY and not wanted.payload
        if wanted.name.startswith(INTERNAL_PREFIX) and not is_ping:
            return INTERNAL_QUERY
        if request.seq in self._subscriptions or len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            return STREAM_EXISTS
        query = QueryRequest(
            name=wanted.name,
            payload=wanted.payload,
            nodes=wanted.nodes,
            tags=wanted.tags or {},
            wants_acks=wanted.wants_acks,
            relay_factor=wanted.relay_factor,
            timeout=wanted.timeout_ns / 1e9 or None,
        )
        subscription = QuerySubscription(request.seq)
        try:
            subscription.token = self._host.queries.ask(query, subscription.listen)
        except LocalProtocolError as error:
            return str(error)
        self._subscriptions[request.seq] = subscription
        return ""

    def _number(self, query: IncomingQuery) -> int:
        """Return the number under which the client may answer a query, until its deadline."""
        now = trio.current_time()
        for number in [number for number, asked in self._asked.items() if asked.deadline < now]:
            del self._asked[number]
        if len(self._asked) >= MAX_ASKED_QUERIES:
            del self._asked[next(iter(self._asked))]
        self._last_number += 1
        self._asked[self._last_number] = query
        return self._last_number

    def _respond(self, request: Request) -> str:
        assert isinstance(request.body, SendResponse)
        query = self._asked.get(request.body.id)
        if query is None:
            return NO_SUCH_QUERY
        try:
            self._host.queries.respond(query, request.body.payload)
        except LocalProtocolError as error:
            return f"failed to respond to key query: {error}"  # the text of Serf 0.9.4 for any query
        return ""

    def _stop(self, request: Request) -> str:
        assert isinstance(request.body, Stop)
        self._drop(request.body.seq)
        return ""

    # --- parts of the above -------------------------------------------------------------------------------

    def _start_pump(self, request: Request, nursery: trio.Nursery) -> None:
        """Start a subscription whose answer has just been written: records must not precede it."""
        subscription = self._subscriptions.get(request.seq)
        if subscription is not None and not subscription.is_pumped:
            subscription.is_pumped = True
            nursery.start_soon(self._pump, subscription)

    async def _pump(self, subscription: Subscription) -> None:
        try:
            await subscription.pump(self._write)
        except trio.BrokenResourceError:
            self._drop(subscription.seq)  # the reading side notices on its own

    def _drop(self, seq: int) -> None:
        subscription = self._subscriptions.pop(seq, None)
        if isinstance(subscription, EventStream):
            self._feed.remove(subscription)
        elif isinstance(subscription, QuerySubscription):
            self._host.queries.forget(subscription.token)
        if subscription is not None:
            subscription.close()

    async def _write(self, data: bytes) -> None:
        place, places = self._place, self._server.places
        places.hold(place, len(data))
        place.since, before = trio.current_time(), place.since
        try:
            with trio.fail_after(WRITE_TIMEOUT):
                async with self._writing:
                    await self._stream.send_all(data)
        finally:
            places.hold(place, -len(data))
            place.since = before


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
