"""Watches the load balancer through its log (JSON lines), and keeps the facts that the story needs."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import trio
from msgspec import Struct

from lb.demo.timeline import Timeline

MAX_LINE_BYTES = 65536
_HEALTH = re.compile(r" : Server web/(\S+) is (UP|DOWN)")
_GOSSIP = re.compile(r"member (joined|failed|left|leaving|suspected|updated)")


class Swap(Struct, frozen=True):
    """A configuration that was taken over. `at` in seconds since the start, `took` as logged."""

    at: float
    reason: str
    took: str


class Witness:
    """The facts so far. Times are seconds since the start."""

    def __init__(self, timeline: Timeline) -> None:
        self.swaps: list[Swap] = []
        self.refusals: list[str] = []
        self.status: dict[str, str] = {}  # by member, in gossip's words
        self.down_at: dict[str, float] = {}
        self.failed_at: dict[str, float] = {}
        self.drained_at: dict[str, float] = {}
        self.listed = 0  # servers that HAProxy was seen to run
        self.is_running = False
        self.has_ended = False
        self.last_words = ""
        self._timeline = timeline

    async def watch(self, stream: trio.abc.ReceiveStream, copy_to: Path) -> None:
        """Read the log to its end, and keep a copy of it."""
        pending = b""
        with copy_to.open("wb") as copy:
            async for chunk in stream:
                copy.write(chunk)
                copy.flush()
                *lines, pending = (pending + chunk).split(b"\n")
                pending = pending[-MAX_LINE_BYTES:]
                for line in lines:
                    self.read(line)
        self.has_ended = True

    def read(self, line: bytes) -> None:
        """Process one line of the log; a line that is not a record is kept as the last words."""
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            self.last_words = line.decode("utf-8", "replace").strip() or self.last_words
            return
        message, logger = str(record.get("msg", "")), record.get("logger")
        if logger == "haproxy":
            self._read_haproxy(message)
        elif logger == "gossip.agent":
            self._read_gossip(message, record)
        elif "event" in record:
            self._read_event(message, record)

    def _read_haproxy(self, message: str) -> None:
        if found := _HEALTH.search(message):
            name, state = found.groups()
            if state == "DOWN":
                self.down_at[name] = self._timeline.now
            self._timeline.say("haproxy", f"{name} is {state}")

    def _read_gossip(self, message: str, record: Mapping[str, object]) -> None:
        if message == "agent running":
            self.is_running = True
        elif found := _GOSSIP.fullmatch(message):
            name, what = str(record.get("member")), found[1]
            if what != "suspected":
                self.status[name] = "alive" if what in ("joined", "updated") else what
            if what == "failed":
                self.failed_at[name] = self._timeline.now
            if name != "lb":
                self._timeline.say("gossip", f"{name} {what}")

    def _read_event(self, message: str, record: Mapping[str, object]) -> None:
        say = self._timeline.say
        match record["event"]:
            case "lb.swap":
                swap = Swap(self._timeline.now, str(record.get("reason")), _seconds(record.get("took")))
                self.swaps.append(swap)
                self.listed += _count(record, "added") - _count(record, "removed")
                say("lb", f"haproxy.cfg swapped and taken over in {swap.took}: {swap.reason}")
            case "lb.server":
                name = str(record.get("server")).removeprefix("web/")
                if record.get("state") == "drain":
                    self.drained_at[name] = self._timeline.now
                say("lb", f"{name} set to {record.get('state')}")
            case "lb.refused" | "lb.rollback" | "lb.alarm":
                self.refusals.append(str(record.get("reason", message)))
                say("lb", f"{message}: {record.get('reason', '')}")


def _seconds(value: object) -> str:
    return f"{value:g}s" if isinstance(value, float | int) else "?"


def _count(record: Mapping[str, object], key: str) -> int:
    value = record.get(key)
    return value if isinstance(value, int) else 0
