"""Requests to an agent's control socket: HTTP on a Unix socket."""

import json
import socket
from http.client import HTTPConnection, HTTPException

from gossip.errors import CommandFailedError
from gossip.printable import one_line

TIMEOUT = 90.0
"""Seconds of silence after which the agent counts as stuck; it gives up on a request after 60."""
ADVICE = "start one with 'gossip agent --control PATH', or name another with --control"


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


def ask_control(socket_path: str, method: str, path: str, *, most: int) -> bytes:
    """Return the body of the agent's answer, at most `most` bytes.

    Raises:
        CommandFailedError: nothing answers, or the agent refuses; the text is one line.
    """
    connection = _UnixConnection(socket_path)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read(most + 1)
    except (OSError, HTTPException) as error:
        reason = one_line((getattr(error, "strerror", None) or str(error) or type(error).__name__).lower())
        raise CommandFailedError(f"cannot ask the agent at {socket_path}: {reason}; {ADVICE}") from None
    finally:
        connection.close()
    if response.status >= 300:
        raise CommandFailedError(f"the agent at {socket_path} refuses: {_reason(body)}")
    if len(body) > most:
        raise CommandFailedError(f"the agent at {socket_path} answers with more than {most} bytes")
    return body


def _reason(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    return one_line(str(answer["error"] if isinstance(answer, dict) and "error" in answer else body[:200]))
