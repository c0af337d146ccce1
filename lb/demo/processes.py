"""The processes of the demonstration: each in a session of its own, each with its log, none left behind."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import trio

STOP_TIMEOUT = 6.0
KILL_TIMEOUT = 5.0


class Processes:
    """Starts processes by name; `stop_all` ends those still running."""

    def __init__(self) -> None:
        self._running: dict[str, trio.Process] = {}

    async def start(self, name: str, command: Sequence[str], log: Path) -> trio.Process:
        """Start `command` with its output in `log`.

        Raises:
            OSError: it cannot be executed.
        """
        with log.open("wb") as sink:
            return await self._start(name, command, sink.fileno(), sink.fileno())

    async def start_with_pipe(self, name: str, command: Sequence[str]) -> trio.Process:
        """Start `command` with its standard error in a pipe that the caller must read.

        Raises:
            OSError: it cannot be executed.
        """
        return await self._start(name, command, subprocess.DEVNULL, subprocess.PIPE)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process; does nothing if it is gone."""
        self._running[name].send_signal(number)

    async def wait(self, name: str) -> int:
        """Wait until the process has ended, and return its status."""
        return await self._running[name].wait()

    def is_known(self, name: str) -> bool:
        """Whether the process was started."""
        return name in self._running

    def has_ended(self, name: str) -> bool:
        """Whether the process ran and is gone."""
        return self._running[name].poll() is not None

    async def stop(self, name: str) -> bool:
        """Ask the process to stop, insist once, and wait; return False if it is still running."""
        process = self._running[name]
        for _ in range(2):
            process.terminate()
            with trio.move_on_after(STOP_TIMEOUT):
                await process.wait()
                return True
        return False

    async def stop_all(self) -> None:
        """Kill the processes that are still running, with their children."""
        for process in self._running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        with trio.move_on_after(KILL_TIMEOUT):
            for process in self._running.values():
                await process.wait()

    async def _start(self, name: str, command: Sequence[str], stdout: int, stderr: int) -> trio.Process:
        process = await trio.lowlevel.open_process(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            # A Ctrl-C in the terminal is for the demonstration, which stops them in order.
            start_new_session=True,
        )
        self._running[name] = process
        return process
