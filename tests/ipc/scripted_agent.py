"""An agent's end of one IPC connection that says whatever a test wants, on a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gossip.errors import RemoteProtocolError
from gossip.ipc.protocol import CHUNK_BYTES, Request, RequestReader, encode_response

HOST = "127.2.1.1"
PATIENCE = 20.0
"""Bound, in seconds, on everything that a scripted agent waits for."""

GARBAGE = (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x91" * 3000)
"""What a server of another protocol, or a hostile one, may say."""

Answer = Callable[[Request], bytes | None]
"""What to send for a request; None hangs up."""


class LastWords(bytes):
    """An answer after which the agent hangs up."""


@contextmanager
def scripted_agent(answer: Answer, *, path: Path | None = None) -> Iterator[str]:
    """Serve one client with `answer` and yield the address; a Unix socket if there is a `path`."""
    with socket.socket(socket.AF_UNIX if path else socket.AF_INET) as listener:
        listener.bind(str(path) if path else (HOST, 0))
        listener.listen()
        listener.settimeout(PATIENCE)
        thread = threading.Thread(target=_serve, args=(listener, answer))
        thread.start()
        try:
            yield f"unix:{path}" if path else f"{HOST}:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)
            assert not thread.is_alive()


def handshaking(answer: Answer) -> Answer:
    """Return `answer` behind a handshake that succeeds."""
    return lambda request: encode_response(request) if request.command == "handshake" else answer(request)


def saying(data: bytes) -> Answer:
    """Send `data` for the first request, whatever it is, and hang up at the second."""
    rest = [data]
    return lambda _request: rest.pop() if rest else None


def _serve(listener: socket.socket, answer: Answer) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return
    with connection:
        connection.settimeout(PATIENCE)
        reader = RequestReader()
        try:
            while data := connection.recv(CHUNK_BYTES):
                reader.receive_data(data)
                while request := reader.next_request():
                    reply = answer(request)
                    if reply is None:
                        return
                    connection.sendall(reply)
                    if isinstance(reply, LastWords):
                        return
        except (OSError, RemoteProtocolError):
            return
