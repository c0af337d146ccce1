"""HAProxy's command line on a Unix socket: one command, one answer, one connection.

The master's socket and the worker's admin socket use the same language. `lb.haproxy.master` and
`lb.haproxy.runtime` know the commands; nothing here interprets an answer.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import SO_PEERCRED, SOL_SOCKET

import trio

from gossip.errors import GossipError, LocalProtocolError

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""``show servers state`` of a thousand servers is 71 kB."""
MAX_COMMAND_BYTES = 15_000
"""HAProxy reads a command line into one buffer (tune.bufsize, 16 kB)."""
DEFAULT_TIMEOUT = 1.0
_CHUNK = 65536
_CREDENTIALS = struct.Struct("3i")
"""``struct ucred`` of unix(7): process, user, group."""


def first_present(path: Path, others: Sequence[Path]) -> Path:
    """Return the first socket that exists, `path` if none does."""
    return next((found for found in (path, *others) if found.exists()), path)


class HAProxyError(GossipError):
    """HAProxy did not carry out a request; the text says which, and why if that is known."""


class UnreachableError(HAProxyError):
    """The socket does not answer: HAProxy is down, restarting, or elsewhere."""


class AbsentError(UnreachableError):
    """Nothing listens on the socket: no HAProxy, or a master in the middle of a reload."""


class CommandSocket:
    """Sends commands to the HAProxy behind the socket at `path`; each answer may take `timeout` seconds.

    If `path` does not exist, the first of `others` that does is used.
    """

    __slots__ = ("_others", "_path", "timeout")

    def __init__(self, path: Path, timeout: float = DEFAULT_TIMEOUT, others: Sequence[Path] = ()) -> None:
        self._path = path
        self._others = others
        self.timeout = timeout

    @property
    def path(self) -> Path:
        """The socket in use now."""
        return first_present(self._path, self._others)

    async def peer(self) -> int:
        """Return the id of the listening process, 0 if it is in another process namespace.

        Raises:
            AbsentError: nothing listens.
            UnreachableError: the connection failed for another reason, possibly on our side.
        """
        with self._explaining(self.timeout):
            async with await trio.open_unix_socket(str(self.path)) as stream:
                credentials = stream.socket.getsockopt(SOL_SOCKET, SO_PEERCRED, _CREDENTIALS.size)
        pid: int = _CREDENTIALS.unpack(credentials)[0]
        return pid

    async def ask(self, command: str, timeout: float | None = None) -> str:  # noqa: ASYNC109 - one bound per answer
        """Send `command` and return the whole answer, "" if the connection just closes.

        Raises:
            AbsentError: nothing listens.
            UnreachableError: there was no complete answer in time.
            LocalProtocolError: `command` has a line break or is too long: a bug here.
        """
        if "\n" in command or len(command) > MAX_COMMAND_BYTES:
            raise LocalProtocolError(f"a command for HAProxy of {len(command)} bytes is not one short line")
        with self._explaining(self.timeout if timeout is None else timeout):
            return await self._converse(command)

    @contextmanager
    def _explaining(self, bound: float) -> Iterator[None]:
        try:
            with trio.fail_after(bound):
                yield
        except trio.TooSlowError:
            raise UnreachableError(f"haproxy at {self.path} did not answer within {bound:g} s") from None
        except (OSError, trio.BrokenResourceError) as error:
            is_absent = isinstance(error, FileNotFoundError | ConnectionRefusedError)
            kind = AbsentError if is_absent else UnreachableError
            raise kind(f"cannot ask haproxy at {self.path}: {_why(error)}") from error

    async def _converse(self, command: str) -> str:
        stream = await trio.open_unix_socket(str(self.path))
        async with stream:
            await stream.send_all(command.encode() + b"\n")
            # The master keeps the connection open after its answer unless we signal that there are no more
            # commands.
            await stream.send_eof()
            answer = bytearray()
            while chunk := await stream.receive_some(_CHUNK):
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise UnreachableError(
                        f"haproxy at {self.path} answers more than {MAX_ANSWER_BYTES} bytes"
                    )
        return answer.decode("utf-8", "replace")


def _why(error: OSError | trio.BrokenResourceError) -> str:
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, FileNotFoundError):
        return "no such socket (is haproxy running, in master-worker mode with this socket?)"
    if isinstance(cause, PermissionError):
        return "permission denied (this user must be allowed to write to the socket)"
    text = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(error)
    return text.lower()
