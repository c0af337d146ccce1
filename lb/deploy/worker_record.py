"""Which content a worker was made from, and which of its servers we drained: kept beside the file.

A digest in the worker's environment proves nothing: an edited file still has its old digest line. A worker is
trusted if a reload of ours made it while the file had this content, or if HAProxy was started after the last
change of the file and never reloaded. It is identified by its process id and the second of its start.
"""

import os
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from lb.deploy.config_file import ConfigFile, content_digest
from lb.deploy.directory import SwapError
from lb.haproxy.config_text import ServerName
from lb.haproxy.runtime import WorkerIdentity

RECORD_NAME = ".lb.worker"
MAX_RECORDED_DRAINS = 1000
PROCESS_NAME = "haproxy"


class WorkerRecord(Struct, frozen=True):
    """The content of the last worker; `drained` are the servers that we drained, not those of a person."""

    worker: WorkerIdentity | None = None
    content: str = ""  # sha256 of the file, in hex
    drained: tuple[ServerName, ...] = ()

    def is_about(self, worker: WorkerIdentity | None, content: bytes) -> bool:
        """Return whether this worker was made from this content."""
        return worker is not None and worker == self.worker and content_digest(content) == self.content


def read_record(file: ConfigFile) -> WorkerRecord:
    """Return the last record; if it cannot be read, an empty one, which trusts no worker."""
    try:
        content = file.read_beside(RECORD_NAME)
        return WorkerRecord() if content is None else msgspec.json.decode(content, type=WorkerRecord)
    except (SwapError, msgspec.DecodeError):
        return WorkerRecord()


def write_record(file: ConfigFile, record: WorkerRecord) -> None:
    """Write `record` beside the file.

    Raises:
        SwapError: it could not be written.
    """
    kept = msgspec.structs.replace(record, drained=record.drained[-MAX_RECORDED_DRAINS:])
    file.write_beside(RECORD_NAME, msgspec.json.encode(kept) + b"\n")


def started_after_change(master: int, target: Path) -> bool:
    """Return whether the process `master` was started after `target` was last changed.

    False if that cannot be determined: the process is in another namespace, or is not HAProxy.
    """
    try:
        name, _, rest = Path(f"/proc/{master}/stat").read_text("utf-8", "replace").rpartition(")")
        ticks = int(rest.split()[19])
        changed = target.stat().st_ctime
    except (OSError, ValueError, IndexError):
        return False
    # A tick is 10 ms; within the tick of its start, HAProxy is far from reading its file.
    since_boot = (ticks + 1) / os.sysconf("SC_CLK_TCK")
    started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot
    return name.partition("(")[2] == PROCESS_NAME and started > changed
