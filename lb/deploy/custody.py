"""What belongs to us on this machine: the file as we left it, the worker we made, the drains we set.

`Deployment` makes its changes through it, so they are known to be ours. Any other change is somebody else's:
a copy of it is kept before anything is replaced, and `inspect` names it.
"""

import logging
from collections.abc import Collection

import msgspec
import trio

from lb.deploy.bootstrap import Origin, origin_of
from lb.deploy.config_file import ConfigFile, Swapped, content_digest
from lb.deploy.directory import SwapError
from lb.deploy.foreign_edit import RUNTIME, keep_edit
from lb.deploy.worker_record import WorkerRecord, read_record, started_after_change, write_record
from lb.haproxy.cli_socket import HAProxyError
from lb.haproxy.client import HAProxy
from lb.haproxy.config_text import ServerName, configured_servers, embedded_digest
from lb.haproxy.runtime import Drains, WorkerIdentity
from lb.haproxy.server_state import difference, parse_servers

log = logging.getLogger(__name__)


class Custody:
    """Our part of one configuration file and one HAProxy. Drains aside, one task at a time may call it."""

    __slots__ = (
        "_file",
        "_haproxy",
        "_kept",
        "_left",
        "_record",
        "_servers_seen",
        "_writing",
        "cause",
        "is_verified",
    )

    def __init__(self, file: ConfigFile, haproxy: HAProxy) -> None:
        self.is_verified = False  # whether the last `inspect` found file, worker and servers as in the goal
        self.cause = ""  # somebody else's change, in words; "" once it was undone
        self._file = file
        self._haproxy = haproxy
        self._record: WorkerRecord | None = None
        self._left: bytes | None = None  # the file as we left it
        self._kept: tuple[bytes | None, ...] = ()  # foreign contents of which there is a copy
        self._writing = trio.Lock()
        self._servers_seen = ""

    @property
    def way_out(self) -> str:
        """The remedy for a person while this is held."""
        good, target = self._file.good_path, self._file.target
        return f"copy {good} to {target}, or restart with --on-foreign-edit=restore"

    async def inspect(self, goal: bytes) -> str:
        """Return somebody else's change in words, "" if there is none; a copy of it is kept.

        Raises:
            SwapError: it cannot be read, or a copy cannot be written.
        """
        self.is_verified = False
        self.cause = await trio.to_thread.run_sync(self._inspect_file, goal)
        if not self.cause and self._left == goal:
            self.cause = await self._inspect_servers(goal)
        return self.cause

    async def doubt(self, content: bytes) -> str:
        """Return why a worker that shows the right digest is not trusted, "" if it is."""
        identity = await self._identity()
        record = await self._known()
        if record.is_about(identity, content):
            return ""
        processes = await self._haproxy.processes()
        if identity is not None and processes is not None and processes.reloads == 0:
            is_newer = await trio.to_thread.run_sync(
                started_after_change, processes.master, self._file.target
            )
            if is_newer and processes.worker == identity.pid:
                await self._remember(identity, content)
                return ""
        return "haproxy was reloaded or started by somebody else"

    async def swap(self, content: bytes) -> Swapped:
        """Swap the file, but only if we left its content there or have a copy of it.

        Raises:
            ChangedError: somebody else has just changed it.
            SwapError: as `ConfigFile.swap`.
        """
        may_replace = (self._left, *self._kept)
        done = await trio.to_thread.run_sync(lambda: self._file.swap(content, may_replace=may_replace))
        self._left = content
        return done

    async def take(self, content: bytes) -> float:
        """Make HAProxy run `content`, by a reload unless its worker is known to come from it.

        Raises:
            HAProxyError: as `HAProxy.take`.
        """
        must_reload = bool(await self.doubt(content))
        took = await self._haproxy.take(content, must_reload=must_reload)
        identity = await self._identity()
        is_same = await trio.to_thread.run_sync(self._file.read) == content
        if identity is not None and identity.pid == self._haproxy.made_worker and is_same:
            await self._remember(identity, content)
        return took

    async def drain_exactly(self, wanted: Collection[ServerName]) -> Drains:
        """Drain `wanted`, and set the servers ready that we drained before; a person's drains stay.

        Raises:
            HAProxyError: as `HAProxy.drain_exactly`.
        """
        record = await self._known()
        done = await self._haproxy.drain_exactly(wanted, record.drained)
        ours = dict.fromkeys((*record.drained, *done.drained))
        kept = tuple(name for name in ours if name in done.present and name not in done.readied)
        await self._write(msgspec.structs.replace(await self._known(), drained=kept))
        return done

    def settle(self) -> None:
        """Forget the changes that were undone."""
        self.cause = ""
        self._servers_seen = ""
        self._kept = ()

    def _inspect_file(self, goal: bytes) -> str:
        present = self._file.read()
        if self._left is None:
            self._left = self._find_left(present)
        if present in (self._left, goal):
            self._left = present
            return ""
        if present not in self._kept:
            keep_edit(self._file, self._left, present)
            self._kept = (present,)
        return "hand edit" if present else "file was emptied" if present == b"" else "file was removed"

    def _find_left(self, present: bytes | None) -> bytes | None:
        """Return the content that an earlier life left in the file."""
        good = self._file.read_good()
        match origin_of(present, good):
            case Origin.REPAIRED:
                return good
            case Origin.EDITED:
                return None  # unknown: all of the file may be the edit
            case _:
                return present

    async def _inspect_servers(self, goal: bytes) -> str:
        """Look for servers that were added, removed or moved in a worker that is otherwise ours."""
        try:
            digest = await self._haproxy.runtime.digest()
            if digest is None or digest != embedded_digest(goal) or await self.doubt(goal):
                return ""
            table = await self._haproxy.runtime.servers_table()
            changed = difference(configured_servers(goal), parse_servers(table))
        except HAProxyError:
            return ""
        self.is_verified = not changed
        if changed and changed != self._servers_seen:
            self._servers_seen = changed
            copy = await trio.to_thread.run_sync(self._file.keep_copy, table.encode(), RUNTIME)
            extra = {"event": "lb.foreign_edit", "copy": copy, "diff": changed}
            log.warning("servers changed at run time by somebody else", extra=extra)
        return f"servers changed at runtime: {changed}" if changed else ""

    async def _identity(self) -> WorkerIdentity | None:
        try:
            return await self._haproxy.runtime.identity()
        except HAProxyError:
            return None

    async def _known(self) -> WorkerRecord:
        if self._record is None:
            self._record = await trio.to_thread.run_sync(read_record, self._file)
        return self._record

    async def _remember(self, worker: WorkerIdentity, content: bytes) -> None:
        record = await self._known()
        await self._write(msgspec.structs.replace(record, worker=worker, content=content_digest(content)))

    async def _write(self, record: WorkerRecord) -> None:
        if record == self._record:
            return
        self._record = record
        async with self._writing:  # two tasks write; the last write must have the latest record
            try:
                await trio.to_thread.run_sync(write_record, self._file, self._record)
            except SwapError as error:
                log.warning("cannot record the worker", extra={"reason": str(error)})
