"""One UDP socket and one TCP listener on the same port: the only module that touches sockets for gossip.

Datagrams are read in batches: one wait for readability, then non-blocking reads until the socket is empty,
the batch is full, or its time is up. That costs a third of one Trio call per datagram, and a flood cannot
keep other tasks from running. A datagram that cannot be sent at once is dropped and counted: gossip repeats
itself anyway.
"""

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator

import trio
from msgspec import Struct

from gossip.agent.log import Complaints
from gossip.errors import GossipError, os_reason
from gossip.wire.address import Address
from gossip.wire.packet import MAX_DATAGRAM_BYTES

RECEIVE_BATCH = 64
"""Datagrams handled before other tasks get a turn."""
RECEIVE_SECONDS = 0.005
"""Time after which a batch ends even if it is not full: probes must not wait for expensive datagrams."""
RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024
"""Requested from the kernel, as in memberlist; it may grant less."""
BACKLOG = 256
PORT_ATTEMPTS = 16
"""Attempts with port 0: the kernel picks a TCP port, whose UDP twin may already be in use."""
ACCEPT_PAUSE = 0.1
"""Pause when the process has no descriptors or memory for one more connection."""
_OUT_OF_RESOURCES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_V4_MAPPED = "::ffff:"

log = logging.getLogger("gossip.agent")


class StartError(GossipError):
    """The agent cannot start, for a reason outside its configuration; the text is one line."""


class Traffic(Struct):
    """Plain counters of the traffic through the sockets."""

    packets_received: int = 0
    packets_sent: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    packets_dropped: int = 0  # could not be sent at once, or at all
    receive_errors: int = 0
    accept_errors: int = 0


class Transport:
    """The pair of sockets. Create it with `open_transport`, close it when the agent stops."""

    def __init__(self, udp: socket.socket, listener: socket.socket) -> None:
        self._udp = udp
        self._listener = trio.socket.from_stdlib_socket(listener)
        self._is_ipv6 = udp.family == socket.AF_INET6
        name = udp.getsockname()
        self.address = Address(name[0], name[1])
        self.traffic = Traffic()
        self._complaints = Complaints()

    async def receive(self, handle: Callable[[bytes, Address], Iterator[None] | None]) -> None:
        """Pass every datagram and its source to `handle` until cancelled.

        If `handle` returns an iterator, it is exhausted, with a turn for other tasks at each step.
        """
        udp, traffic, is_ipv6 = self._udp, self.traffic, self._is_ipv6
        wait_readable, now = trio.lowlevel.wait_readable, trio.current_time
        while True:
            await wait_readable(udp)
            end = now() + RECEIVE_SECONDS
            for _ in range(RECEIVE_BATCH):
                try:
                    data, source = udp.recvfrom(MAX_DATAGRAM_BYTES)
                except BlockingIOError:
                    break
                except OSError:  # an ICMP answer to an earlier datagram
                    traffic.receive_errors += 1
                    continue
                traffic.packets_received += 1
                traffic.bytes_received += len(data)
                host = source[0]
                if is_ipv6 and "." in host:
                    host = host.removeprefix(_V4_MAPPED)
                rest = handle(data, Address(host, source[1]))
                if rest is not None:
                    for _ in rest:
                        await trio.lowlevel.checkpoint()
                if now() > end:
                    break

    def send(self, datagram: bytes, to: Address) -> bool:
        """Send `datagram` now or never; return whether the kernel accepted it."""
        host = to.host
        if self._is_ipv6 and ":" not in host:
            host = _V4_MAPPED + host
        try:
            self._udp.sendto(datagram, (host, to.port))
        except (OSError, OverflowError):  # full buffer, no route, too long, wrong family
            self.traffic.packets_dropped += 1
            return False
        self.traffic.packets_sent += 1
        self.traffic.bytes_sent += len(datagram)
        return True

    async def accept(self) -> trio.SocketStream:
        """Wait for the next connection; lack of descriptors or memory only slows this down."""
        while True:
            try:
                connection, _ = await self._listener.accept()
                return trio.SocketStream(connection)
            except OSError as error:
                self.traffic.accept_errors += 1
                if error.errno in _OUT_OF_RESOURCES:
                    self._complain(error)
                    await trio.sleep(ACCEPT_PAUSE)

    def _complain(self, error: OSError) -> None:
        if (held := self._complaints.admit("accept", trio.current_time())) is not None:
            log.error("cannot accept a stream", extra={"reason": os_reason(error), "withheld": held})

    def close(self) -> None:
        """Close both sockets."""
        self._udp.close()
        self._listener.close()


def open_transport(host: str, port: int) -> Transport:
    """Bind TCP and UDP to `host` (an IP address) and one `port`; 0 lets the kernel choose.

    Raises:
        StartError: an address is in use, is not ours, or is not permitted.
    """
    attempts = PORT_ATTEMPTS if port == 0 else 1
    while True:
        attempts -= 1
        try:
            return Transport(*_bind_pair(host, port))
        except StartError:
            if not attempts:
                raise


async def connect(to: Address) -> trio.SocketStream:
    """Open a stream to `to`.

    Raises:
        OSError: nothing listens there, or there is no route.
    """
    family = socket.AF_INET6 if ":" in to.host else socket.AF_INET
    connection = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await connection.connect((to.host, to.port))
    except OSError as error:
        connection.close()
        # Trio's text repeats the address; only the reason is needed here.
        raise OSError(error.errno, os.strerror(error.errno) if error.errno else str(error)) from None
    except BaseException:
        connection.close()
        raise
    return trio.SocketStream(connection)


def dial_error(error: Exception, to: Address) -> str:
    """Return why `to` could not be reached, in Go's words, which tools for Serf know."""
    if isinstance(error, trio.TooSlowError):
        return f"dial tcp {to}: i/o timeout"
    if isinstance(error, OSError):
        return f"dial tcp {to}: connect: {os_reason(error)}"
    return str(error)


def _bind_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Return a UDP socket and a TCP listener on one port."""
    if port == 0:
        listener = _bind(socket.SOCK_STREAM, host, 0)
        first, chosen = listener, listener.getsockname()[1]
    else:
        udp = _bind(socket.SOCK_DGRAM, host, port)
        first, chosen = udp, port
    try:
        if port == 0:
            return _bind(socket.SOCK_DGRAM, host, chosen), listener
        return udp, _bind(socket.SOCK_STREAM, host, chosen)
    except StartError:
        first.close()
        raise


def _bind(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    """Return a non-blocking socket bound to `host` and `port`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    name = "tcp" if kind is socket.SOCK_STREAM else "udp"
    shown = f"{name} {Address(host, port)}"
    try:
        sock = socket.socket(family, kind)
    except OSError as error:
        raise StartError(f"cannot open {shown}: {os_reason(error)}") from None
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            # "::" serves both families, as Go's listeners do.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        sock.bind((host, port))
        if kind is socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise StartError(f"cannot bind {shown}: {os_reason(error)}{_remedy(error)}") from None
    return sock


def _remedy(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return " (another agent? try --bind)"
        case errno.EADDRNOTAVAIL:
            return " (not an address of this machine; try --bind)"
        case errno.EACCES:
            return " (a port below 1024 needs privileges; try --bind)"
        case _:
            return ""
