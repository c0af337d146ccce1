"""The control socket: HTTP/1.1 on a Unix socket, for commands that Serf's IPC does not have.

Other parts of the agent register routes: a method, and a path below ``/v1/``. Only the agent's own user may
connect. A client can harm only its own connection: sizes, times and numbers are limited.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from gossip.agent.log import Complaints
from gossip.agent.places import Place, Places
from gossip.agent.rpc_listener import RpcListener, serve_clients

if TYPE_CHECKING:
    import h11

MAX_CONNECTIONS = 16
"""Clients at once; any more are closed at once."""
MAX_HEAD_BYTES = 16 * 1024
"""Longest request line with all headers."""
MAX_BODY_BYTES = 64 * 1024
"""Longest body of a request."""
READ_TIMEOUT = 10.0
"""Seconds that a request may take to arrive, and a connection may stay silent."""
ANSWER_TIMEOUT = 60.0
"""Seconds that a handler may take."""
WRITE_TIMEOUT = 60.0
"""Seconds that a client may take to read an answer."""
CHUNK_BYTES = 64 * 1024

JSON = "application/json"
BINARY = "application/octet-stream"

log = logging.getLogger("gossip.agent")


class Request(Struct, frozen=True):
    """A client's request: the path without the query, and the query as received."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""


class Response(Struct, frozen=True):
    """The answer to a client."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = JSON


Handler = Callable[[Request], Awaitable[Response]]
Routes = dict[tuple[str, str], Handler]
"""Handlers by method and path: ``{("GET", "/v1/status"): show_status}``."""


def as_json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return `value` as a JSON answer."""
    return Response(json.dumps(value).encode() + b"\n", status)


def refusal(status: HTTPStatus, reason: str) -> Response:
    """Return the answer to a refused request: ``{"error": reason}``."""
    return as_json({"error": reason}, status)


class _RefusedError(Exception):
    """The request is not even examined; the connection ends with the answer."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class ControlServer:
    """Serves all clients of one control socket."""

    def __init__(self, listener: RpcListener, routes: Routes) -> None:
        self._listener = listener
        self._routes = routes
        self._complaints = Complaints()

    async def run(self) -> None:
        """Accept clients until cancelled, then close the listener."""
        places = Places(MAX_CONNECTIONS, MAX_CONNECTIONS)
        await serve_clients(self._listener, places, self._serve, self._complain)

    async def _serve(self, stream: trio.SocketStream, place: Place) -> None:
        place.since = None  # `READ_TIMEOUT` keeps any from staying long
        try:
            async with stream:
                await _Conversation(stream, self._answer).run()
        except trio.BrokenResourceError:
            pass  # the client is gone, possibly in the middle of an answer
        except trio.TooSlowError:
            self._complain("a client was too slow")

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        handler = self._routes.get((method, request.path))
        if handler is None:
            if any(path == request.path for _, path in self._routes):
                return refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.path} has no {request.method}")
            return refusal(HTTPStatus.NOT_FOUND, f"there is no {request.path}")
        with trio.move_on_after(ANSWER_TIMEOUT):
            return await handler(request)
        return refusal(HTTPStatus.GATEWAY_TIMEOUT, f"not finished within {ANSWER_TIMEOUT:g} s")

    def _complain(self, reason: str) -> None:
        if (held := self._complaints.admit(reason, trio.current_time())) is not None:
            log.error("control request failed", extra={"reason": reason, "withheld": held})


class _Conversation:
    """One client: its requests, one after the other.

    If a handler raises, the client gets a 500 if an answer is still possible; the exception then propagates
    to the code that serves the connection.
    """

    def __init__(self, stream: trio.SocketStream, answer: Handler) -> None:
        import h11  # most agents never get a request

        self._h11 = h11
        self._stream = stream
        self._answer = answer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._is_head = False  # the current request wants only the head of the answer

    async def run(self) -> None:
        """Answer requests until the client leaves or breaks the rules."""
        while True:
            try:
                with trio.fail_after(READ_TIMEOUT):
                    request = await self._read()
            except _RefusedError as error:
                await self._write(refusal(error.status, str(error)), closing=True)
                return
            if request is None:
                return
            try:
                response = await self._answer(request)
            except Exception:
                reason = "internal error: see the agent's log"
                await self._write(refusal(HTTPStatus.INTERNAL_SERVER_ERROR, reason), closing=True)
                raise
            await self._write(response)
            if self._http.our_state is not self._h11.DONE or self._http.their_state is not self._h11.DONE:
                return
            self._http.start_next_cycle()

    async def _read(self) -> Request | None:
        """Return the next request, None at the end."""
        self._is_head = False
        head = await self._next_event()
        if not isinstance(head, self._h11.Request):
            return None
        self._is_head = head.method == b"HEAD"
        body = b""
        while isinstance(event := await self._next_event(), self._h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                raise _RefusedError(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"the body exceeds the limit of {MAX_BODY_BYTES} bytes",
                )
        path, _, query = head.target.decode("ascii", "replace").partition("?")
        return Request(head.method.decode("ascii", "replace"), path, query, body)

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            try:
                event = self._http.next_event()
            except self._h11.RemoteProtocolError as error:
                status = HTTPStatus(error.error_status_hint)
                raise _RefusedError(status, f"not a request: {error}") from None
            if event is not self._h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                await self._send(self._h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._stream.receive_some(CHUNK_BYTES))

    async def _write(self, response: Response, *, closing: bool = False) -> None:
        headers = [
            ("Content-Type", response.content_type),
            ("Content-Length", str(len(response.body))),
            ("Cache-Control", "no-store"),
        ]
        if closing:
            headers.append(("Connection", "close"))
        if self._http.our_state not in (self._h11.IDLE, self._h11.SEND_RESPONSE):
            return  # an answer is no longer possible
        with trio.fail_after(WRITE_TIMEOUT):
            await self._send(
                self._h11.Response(
                    status_code=response.status, reason=response.status.phrase, headers=headers
                )
            )
            if not self._is_head:
                await self._send(self._h11.Data(data=response.body))
            await self._send(self._h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            await self._stream.send_all(data)
