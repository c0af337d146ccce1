"""The agent's flight recorder: hands out what `gossip.recording` remembers, on a signal or over the control.

The snapshot is taken between two inputs, in one go; hashing and writing are done in a thread meanwhile.
"""

import logging
import time
from http import HTTPStatus
from pathlib import Path

import trio

from gossip.agent.control import BINARY, Request, Response, Routes, refusal
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
        self._wanted = trio.Event()

    def record(self, node: SerfNode) -> SerfNode:
        """Begin to record `node`; return it as the driver shall hold it."""
        self.recorder = Recorder(node)
        return record(node, self.recorder)

    @property
    def routes(self) -> Routes:
        """What the control socket offers."""
        return {("POST", DUMP_PATH): self._answer}

    def request_dump(self) -> None:
        """Write a file soon; returns at once. Further requests meanwhile are the same one."""
        self._wanted.set()

    async def run(self) -> None:
        """Write the files that are asked for, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            await self._write()

    def write_last(self) -> None:
        """Write a file now, blocking: the agent is about to end with a bug."""
        if self.recorder is not None:
            at = time.gmtime()
            try:
                path = self._path(at)
                write_recording(path, encode_recording(self.recorder.snapshot(), _shown(at)))
            except OSError as error:
                _complain(self._folder, error)
            else:
                log.error("what led to this is recorded", extra={"file": path})

    async def _write(self) -> None:
        if self.recorder is None:
            log.warning("cannot dump a recording: the agent does not record (see --record)")
            return
        at = time.gmtime()
        path = self._path(at)
        async with self._busy:
            data = await self._encode(self.recorder.snapshot(), at)
            try:
                await trio.to_thread.run_sync(write_recording, path, data)
            except OSError as error:
                _complain(path, error)
                return
        log.info("recording written", extra={"file": path, "bytes": len(data)})

    async def _answer(self, _request: Request) -> Response:
        if self.recorder is None:
            return refusal(HTTPStatus.CONFLICT, "this agent does not record: start it with --record")
        async with self._busy:
            return Response(await self._encode(self.recorder.snapshot(), time.gmtime()), content_type=BINARY)

    async def _encode(self, snapshot: Snapshot, at: time.struct_time) -> bytes:
        return await trio.to_thread.run_sync(encode_recording, snapshot, _shown(at))

    def _path(self, at: time.struct_time) -> Path:
        assert self.recorder is not None
        return self._folder / recording_name(self.recorder.node, time.strftime("%Y%m%dT%H%M%SZ", at))


def _shown(at: time.struct_time) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", at)


def _complain(path: Path, error: OSError) -> None:
    reason = (error.strerror or str(error)).lower()
    log.error("cannot write the recording (see --record-dir)", extra={"file": path, "reason": reason})
