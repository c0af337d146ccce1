"""Listeners for IPC and control: a TCP port, or a Unix socket that only the agent's own user may open."""

import errno
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import trio

from gossip.agent.bugs import Bugs
from gossip.agent.endpoint import Endpoint
from gossip.agent.places import Place, Places, source_of
from gossip.agent.resolve import resolve
from gossip.agent.transport import StartError
from gossip.agent.wrong_path import path_error
from gossip.errors import os_reason

BACKLOG = 64
SOCKET_MODE = 0o600
PROBE_TIMEOUT = 1.0
"""How long an existing Unix socket may take to answer before it counts as alive but busy."""
ACCEPT_PAUSE = 0.1
"""Pause in seconds when the process has run out of descriptors."""


class RpcListener:
    """A listening socket. Close it when the agent stops: that removes a Unix socket's file."""

    def __init__(self, listener: socket.socket, path: Path | None = None) -> None:
        listener.listen(BACKLOG)
        self._listener = trio.socket.from_stdlib_socket(listener)
        self._path = path
        self._inode = path.stat().st_ino if path else 0
        name = listener.getsockname()
        self.address = str(path) if path else str(Endpoint(name[0], name[1]))
        self.port: int = 0 if path else name[1]  # 0: it is not TCP

    async def accept(self) -> trio.SocketStream:
        """Wait for the next client. Raises `OSError` if the process has no free descriptor."""
        connection, _ = await self._listener.accept()
        if self._path is None:
            # Otherwise a client that vanished silently would keep its place forever.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return trio.SocketStream(connection)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()
        if self._path is not None:
            with suppress(OSError):
                if self._path.stat().st_ino == self._inode:  # not a successor's socket
                    self._path.unlink()


async def serve_clients(
    listener: RpcListener,
    places: Places,
    serve: Callable[[trio.SocketStream, Place], Awaitable[None]],
    complain: Callable[[str], None],
) -> NoReturn:
    """Accept clients and serve each in a task and a place of its own; finally close the listener.

    An exception in `serve` ends only that connection.
    """
    bugs = Bugs()

    async def serve_one(stream: trio.SocketStream, place: Place) -> None:
        try:
            with places.occupied(place):
                await serve(stream, place)
        except* Exception as group:
            bugs.report(f"client of {listener.address}", group, "the connection is closed")
        finally:
            stream.socket.close()

    try:
        async with trio.open_nursery() as nursery:
            while True:
                try:
                    stream = await listener.accept()
                except OSError as error:
                    complain(f"cannot accept a client: {os_reason(error)}")
                    await trio.sleep(ACCEPT_PAUSE)
                    continue
                evicted = places.evicted
                place = places.take(_source(stream), trio.current_time())
                if place is None or places.evicted > evicted:
                    complain(f"more than {places.most} clients")
                if place is None:
                    stream.socket.close()
                    continue
                nursery.start_soon(serve_one, stream, place)
    finally:
        listener.close()


def _source(stream: trio.SocketStream) -> str:
    """Return the host of a client; all clients of a Unix socket, or already gone, count as one."""
    try:
        name = stream.socket.getpeername()
    except OSError:
        return ""
    return source_of(name[0]) if isinstance(name, tuple) else ""


async def open_rpc_listener(where: Endpoint | Path) -> RpcListener:
    """Listen at `where`.

    Raises:
        ConfigError: the path cannot be used.
        StartError: the address is already in use, or cannot be used.
    """
    if isinstance(where, Path):
        return await open_unix_listener(where)
    try:
        address = (await resolve(where.host, where.port))[0]
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise StartError(f"cannot listen for rpc at {where}: {os_reason(error)}") from None
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))
        return RpcListener(sock)
    except OSError as error:
        sock.close()
        remedy = " (another agent? try --rpc-addr)" if error.errno == errno.EADDRINUSE else ""
        raise StartError(f"cannot bind rpc tcp {where}: {os_reason(error)}{remedy}") from None


async def open_unix_listener(path: Path, purpose: str = "rpc", flag: str = "--rpc-addr") -> RpcListener:
    """Listen at `path`, for this user only; `purpose` and `flag` are for errors.

    Raises:
        ConfigError: the path cannot be used.
        StartError: the socket is already in use.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await _remove_stale(path)
        # The mode must be right from the start: between bind and chmod others could connect.
        before = os.umask(0o777 & ~SOCKET_MODE)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        return RpcListener(sock, path)
    except OSError as error:
        sock.close()
        remedy = f" (another agent? try {flag})" if error.errno == errno.EADDRINUSE else ""
        raise path_error(f"cannot bind {purpose} socket {path}: {os_reason(error)}{remedy}", error) from None


async def _remove_stale(path: Path) -> None:
    """Remove a socket left behind by a killed agent; never one that is in use.

    Raises:
        OSError: the path is in use, or is not a socket.
    """
    if not _is_socket(path):
        return
    probe = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with trio.move_on_after(PROBE_TIMEOUT):
            await probe.connect(str(path))
    except ConnectionRefusedError:
        _remove(path)
        return
    finally:
        probe.close()
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _is_socket(path: Path) -> bool:
    """Tell whether there is a socket; raise `OSError` if there is something else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise OSError("a file that is not a socket is in the way")
    return True


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
