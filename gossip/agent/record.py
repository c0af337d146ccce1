"""The agent's flight recorder: dumps its recording (`gossip.recording`) on a signal or a control request.

The snapshot is taken between two inputs, all at once; a thread then hashes and writes it.
"""

import logging
import time
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import trio

from gossip.agent.control import BINARY, Request, Response, Routes, refusal
from gossip.errors import os_reason
from gossip.recording.recorder import Recorder, Snapshot, record
from gossip.recording.recording import encode_recording, recording_name, write_recording
from gossip.serf.node import SerfNode

DUMP_PATH = "/v1/record/dump"

log = logging.getLogger("gossip.agent")


class FlightRecorder:
    """Dumps of one agent, one at a time; without `record` there is nothing to dump."""

    def __init__(self, folder: Path) -> None:
        self.recorder: Recorder | None = None
        self._folder = folder
        self._busy = trio.Lock()
        self._thread = trio.CapacityLimiter(1)
        self._wanted = trio.Event()
        self._has_shown_bug = False

    def record(self, node: SerfNode) -> SerfNode:
        """Begin to record `node`; return the node that the driver must use."""
        self.recorder = Recorder(node)
        return record(node, self.recorder)

    @property
    def routes(self) -> Routes:
        """The routes for the control socket."""
        return {("POST", DUMP_PATH): self._answer}

    def request_dump(self) -> None:
        """Write a file soon; returns at once. Further requests before that count as the same one."""
        self._wanted.set()

    def show_bug(self) -> None:
        """Write a file soon, once in the agent's life: clients that repeat a bug must not fill the disk."""
        if self.recorder is not None and not self._has_shown_bug:
            self._has_shown_bug = True
            self.request_dump()

    async def run(self) -> None:
        """Write the requested files, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            await self._write()

    def write_last(self) -> None:
        """Write a file now, blocking: the agent is about to end because of a bug."""
        if self.recorder is None:
            return
        taken = _take(self.recorder)
        path = self._path(taken)
        try:
            write_recording(path, taken.encoded())
        except OSError as error:
            _complain(path, error)
        else:
            log.error("recording of the bug written", extra={"file": path})

    async def _write(self) -> None:
        if self.recorder is None:
            log.warning("cannot dump a recording: the agent does not record (see --record)")
            return
        async with self._busy:
            taken = _take(self.recorder)
            path = self._path(taken)
            data = await trio.to_thread.run_sync(taken.encoded, limiter=self._thread)
            try:
                # A disk that hangs must not delay the end of the agent.
                await trio.to_thread.run_sync(
                    write_recording, path, data, abandon_on_cancel=True, limiter=self._thread
                )
            except OSError as error:
                _complain(path, error)
                return
        log.info("recording written", extra={"file": path, "bytes": len(data)})

    async def _answer(self, _request: Request) -> Response:
        if self.recorder is None:
            return refusal(HTTPStatus.CONFLICT, "this agent does not record: start it with --record")
        async with self._busy:
            taken = _take(self.recorder)
            data = await trio.to_thread.run_sync(taken.encoded, limiter=self._thread)
            return Response(data, content_type=BINARY)

    def _path(self, taken: "_Taken") -> Path:
        return self._folder / recording_name(taken.snapshot.node, taken.at)


class _Taken(NamedTuple):
    """A snapshot and its time, by the wall clock and by the node's clock."""

    snapshot: Snapshot
    at: str
    now: float

    def encoded(self) -> bytes:
        return encode_recording(*self)


def _take(recorder: Recorder) -> _Taken:
    return _Taken(recorder.snapshot(), _wall_clock(), trio.current_time())


def _wall_clock() -> str:
    now = time.time()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}Z"


def _complain(path: Path, error: OSError) -> None:
    log.error(
        "cannot write the recording (see --record-dir)", extra={"file": path, "reason": os_reason(error)}
    )
