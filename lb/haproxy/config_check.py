"""Asks HAProxy whether a candidate is a valid configuration (`haproxy -c -f FILE`).

The command may hang, print without end or print raw bytes: its time and its output are limited, and every
process that it starts is gone when the answer is given.
"""

import os
import re
import selectors
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

FILE_PLACEHOLDER = "{file}"
DEFAULT_COMMAND = ("haproxy", "-c", "-f", FILE_PLACEHOLDER)
DEFAULT_TIMEOUT = 10.0
MAX_OUTPUT_BYTES = 64 * 1024
"""Bytes of the output that are kept; the rest is read and discarded."""
MAX_REASON_LENGTH = 400
_CHUNK = 65536
_PREFIX = re.compile(r"^\[(ALERT|WARNING|NOTICE)\]\s*(\(\d+\)\s*:\s*)?(config : )?")


class Validator:
    """Runs the validation command.

    `command` must contain ``{file}``; `timeout` in seconds, above 0. `directory` is where it runs: HAProxy's
    own directory, because the file may have references relative to it. Default: the current directory.
    """

    __slots__ = ("_directory", "command", "timeout")

    def __init__(
        self,
        command: Sequence[str] = DEFAULT_COMMAND,
        timeout: float = DEFAULT_TIMEOUT,
        directory: Callable[[], Path] = Path.cwd,
    ) -> None:
        self.command = tuple(command)
        self.timeout = timeout
        self._directory = directory

    def check(self, candidate: Path, *, shown_as: Path) -> str | None:
        """Return None if the command accepts `candidate`, otherwise the reason, in one line.

        The text has the real file's name (`shown_as`) in place of the candidate's.
        """
        command = [part.replace(FILE_PLACEHOLDER, str(candidate)) for part in self.command]
        try:
            directory = self._directory()
            process = subprocess.Popen(  # noqa: S603 - the command is the administrator's own
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            where = f" in {error.filename}" if error.filename not in (None, command[0]) else ""
            return (
                f"cannot run the validation command {command[0]}{where}: {error.strerror} "
                "(see --validate-command)"
            )
        output = bytearray()
        try:
            in_time = self._watch(process, output)
        except OSError as error:
            _end(process)
            return f"cannot watch the validation command {command[0]}: {error.strerror}"
        except BaseException:
            _end(process)
            raise
        if not _end(process):
            return (
                f"{command[0]} did not finish validating {shown_as} within {self.timeout:g} s and cannot be "
                "stopped: it runs as another user (use a command that runs as this one)"
            )
        if not in_time:
            return f"{command[0]} did not finish validating {shown_as} within {self.timeout:g} s"
        if process.returncode == 0:
            return None
        reason = _reason(bytes(output), candidate, shown_as)
        return reason or f"{command[0]} refused {shown_as} with status {process.returncode}"

    def _watch(self, process: subprocess.Popen[bytes], output: bytearray) -> bool:
        """Collect the start of the output until the process exits; tell whether it did so in time."""
        assert process.stdout is not None
        deadline = monotonic() + self.timeout
        os.set_blocking(process.stdout.fileno(), False)
        exited = os.pidfd_open(process.pid)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                selector.register(exited, selectors.EVENT_READ)
                while (left := deadline - monotonic()) > 0:
                    ready = [key.fd for key, _ in selector.select(left)]
                    if process.stdout.fileno() in ready and not _collect(process.stdout.fileno(), output):
                        selector.unregister(process.stdout)
                    elif exited in ready:
                        return True
                return False
        finally:
            os.close(exited)


def _end(process: subprocess.Popen[bytes]) -> bool:
    """End every process of the command; return False if it continues because we may not stop it."""
    assert process.stdout is not None
    process.stdout.close()
    try:
        # Before the leader is reaped, so that its group cannot belong to another process yet; also after
        # success: a wrapper script may have left children behind.
        os.killpg(process.pid, signal.SIGKILL)
    except PermissionError:  # the whole group runs as another user, as with `sudo`
        return process.poll() is not None
    process.wait()
    return True


def _collect(fd: int, output: bytearray) -> bool:
    """Read once and keep the part that fits; return False at the end of the output."""
    chunk = os.read(fd, _CHUNK)
    output += chunk[: MAX_OUTPUT_BYTES - len(output)]
    return bool(chunk)


def _reason(output: bytes, candidate: Path, shown_as: Path) -> str:
    """Return HAProxy's first error, with the real file's name; raw bytes become U+FFFD."""
    text = output.decode("utf-8", "replace").replace(str(candidate), str(shown_as))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    alerts = [line for line in lines if line.startswith("[ALERT]")]
    chosen = (alerts or lines or [""])[0]
    printable = "".join(c if c.isprintable() else "?" for c in _PREFIX.sub("", chosen))
    return printable[:MAX_REASON_LENGTH]
