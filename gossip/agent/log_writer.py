"""Writes log lines to stderr in a separate thread: a stalled reader never delays the program.

Pipes fill up: if `docker logs`, journald or a pager stops reading, the event loop would stop in the middle of
a write, and the cluster would declare this member dead. Instead, lines wait in a bounded queue; those that do
not fit are dropped, counted, and reported in one line as soon as reading resumes.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from io import UnsupportedOperation
from typing import TextIO

MAX_QUEUED_BYTES = 1024 * 1024
"""Bytes of lines that wait for the reader; further lines are dropped. About 5,000 lines."""
FLUSH_TIMEOUT = 2.0
"""Seconds that the end of the program waits for the reader."""
CHUNK_BYTES = 64 * 1024
"""Bytes written at once: the capacity of a pipe."""


class LineWriter:
    """Writes lines to `stream`; `report` makes the line with the number of dropped lines.

    The thread starts with the first line. It writes to the descriptor itself: a Python file object would be
    locked while a write is stuck, and with it the end of the interpreter.
    """

    def __init__(self, stream: TextIO | None, report: Callable[[int], str]) -> None:
        self.dropped = 0
        self._stream = stream
        self._fd = _descriptor(stream)
        self._report = report
        self._lines: deque[bytes] = deque()
        self._queued = 0  # bytes, including those being written
        self._unreported = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    def put(self, line: str) -> None:
        """Queue `line`, or drop it if the queue is full or closed; never waits for the reader."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._changed:
            if self._closing or self._queued + len(data) > MAX_QUEUED_BYTES:
                self._drop(1)
                return
            self._lines.append(data)
            self._queued += len(data)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """Wait at most `FLUSH_TIMEOUT` for the reader, then accept no more lines."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(FLUSH_TIMEOUT)

    def _run(self) -> None:
        while chunk := self._next_chunk():
            is_written = self._write(b"".join(chunk))
            with self._changed:
                self._queued -= sum(map(len, chunk))
                if not is_written:
                    self._drop(len(chunk))
                    continue
                lost, self._unreported = self._unreported, 0
            if lost:
                self._write(self._report(lost).encode() + b"\n")

    def _next_chunk(self) -> list[bytes]:
        """Return the next lines; none if the writer is closed and everything is written."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closing)
            chunk: list[bytes] = []
            size = 0
            while self._lines and (not chunk or size + len(self._lines[0]) <= CHUNK_BYTES):
                size += len(self._lines[0])
                chunk.append(self._lines.popleft())
            return chunk

    def _drop(self, lines: int) -> None:
        self.dropped += lines
        self._unreported += lines

    def _write(self, data: bytes) -> bool:
        """Write all of `data`; False if it cannot be read (a closed pipe, a full disk)."""
        try:
            if self._fd is not None:
                _write_all(self._fd, data)
            elif self._stream is not None:
                self._stream.write(data.decode())
                self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed
            return False
        return True


def _descriptor(stream: TextIO | None) -> int | None:
    """Return the descriptor of `stream`; a stream in memory has none."""
    if stream is not None:
        with suppress(OSError, ValueError, UnsupportedOperation):
            stream.flush()
            return stream.fileno()
    return None


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:  # another program that shares it made it non-blocking
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()
