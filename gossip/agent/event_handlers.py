"""Event handlers: scripts that run when members come, go or change, and for user events (serf-wire 7).

A handler written for a Serf agent runs unchanged: the same specification, environment and standard input,
after the same coalescing. Unlike Serf's, a slow script delays only the later events of its own handler, and
a script that never ends is stopped after a time limit.
"""

import logging
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from gossip.agent.coalescence import Coalescence, MemberChanges
from gossip.agent.event_filter import EventHandler, parse_handlers
from gossip.agent.ipc_streams import MEMBER_EVENTS, describe
from gossip.errors import LocalProtocolError
from gossip.ipc.bodies import Member
from gossip.serf.effects import (
    Effect,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberReaped,
    MemberUpdated,
    UserEventReceived,
)
from gossip.serf.queries import IncomingQuery
from gossip.settings.duration import Seconds
from gossip.wire.address import unpack_address
from gossip.wire.serf_messages import UserEvent

if TYPE_CHECKING:
    from gossip.agent.service import Agent

DEFAULT_TIME_LIMIT = 60.0
"""Seconds that a script may run; then its process group gets SIGTERM, and SIGKILL after `KILL_DELAY`."""
KILL_DELAY = 2.0
MAX_CONCURRENT_SCRIPTS = 8
"""Scripts that run at the same time, for all handlers together; the others wait their turn."""
MAX_QUEUED_EVENTS = 512
"""Events that wait for one handler; beyond that, new events are dropped, counted and logged."""
MAX_OUTPUT_BYTES = 8192
"""Length of the end of a script's output that is kept for the log, as in Serf."""
SLOW_SCRIPT = 1.0
"""Seconds after which Serf warns of a slow script."""

log = logging.getLogger("gossip.agent")

_NOT_IN_VARIABLE = re.compile(r"[^A-Z0-9_]")


class Invocation(Struct, frozen=True):
    """One run of a script: the event, in the form that the script sees."""

    kind: str
    name: str  # of a user event, else ""
    variables: dict[str, str]
    stdin: bytes
    query: IncomingQuery | None = None  # to be answered with the script's output


class _Lane:
    """The events that wait for one handler, in order."""

    __slots__ = ("handler", "receive", "send")

    def __init__(self, handler: EventHandler) -> None:
        self.handler = handler
        self.send, self.receive = trio.open_memory_channel[Invocation](MAX_QUEUED_EVENTS)


class EventScripts:
    """Runs the handlers' scripts. An observer of the driver (`observe`) with a panel beside it (`run`)."""

    def __init__(
        self,
        specifications: Sequence[str],
        respond: Callable[[IncomingQuery, bytes], None],
        time_limit: float = DEFAULT_TIME_LIMIT,
    ) -> None:
        """Answer queries through `respond`; `time_limit` in seconds.

        Raises:
            ConfigError: one of the specifications cannot be read.
        """
        self.dropped = 0
        self.failed = 0
        self._respond = respond
        self._time_limit = time_limit
        self._coalescence = Coalescence()
        self._wake = trio.Event()
        self._lanes: list[_Lane] = []
        self._retired: list[_Lane] = []  # replaced handlers whose last events still wait
        self._limiter = trio.CapacityLimiter(MAX_CONCURRENT_SCRIPTS)
        self.replace(specifications)

    def replace(self, specifications: Sequence[str]) -> None:
        """Use other handlers from now on; events already queued for the old ones are still handled.

        Raises:
            ConfigError: one of them cannot be read; the current ones stay.
        """
        lanes = [_Lane(handler) for text in specifications for handler in parse_handlers(text)]
        for lane in self._lanes:
            lane.send.close()
        self._retired += self._lanes
        self._lanes = lanes
        self._wake.set()

    def describe(self) -> dict[str, str]:
        """Return the handlers in the form of Serf's stats: ``EVENT:NAME`` to script."""
        shown = {}
        for lane in self._lanes:
            kind, _, name = lane.handler.text.partition(":")
            shown[f"{kind}:{name}"] = lane.handler.script
        return shown

    def observe(self, effects: Sequence[Effect], now: float) -> None:
        """Process a batch of the node's effects."""
        if not self._lanes:
            return
        for effect in effects:
            if isinstance(effect, UserEventReceived):
                if effect.event.coalesce:
                    self._coalescence.add_event(effect.event, now)
                else:
                    self._dispatch(_about_event(effect.event))
            elif isinstance(effect, MemberJoined | MemberLeft | MemberFailed | MemberUpdated | MemberReaped):
                self._coalescence.add_member(MEMBER_EVENTS[type(effect)], describe(effect.member), now)
        self._wake.set()

    def query(self, query: IncomingQuery) -> None:
        """Run the scripts for a query; the first output of any of them is the answer."""
        self._dispatch(_about_query(query))

    async def run(self, agent: "Agent") -> None:
        """Run scripts until cancelled, then stop those that are still running."""
        served: set[_Lane] = set()
        async with trio.open_nursery() as nursery:
            while True:
                self._wake = trio.Event()
                for lane in {*self._lanes, *self._retired} - served:
                    served.add(lane)
                    nursery.start_soon(self._serve, agent, lane)
                if trio.current_time() >= self._coalescence.next_deadline():
                    changes, events = self._coalescence.flush()
                    for invocation in (*map(_about_members, changes), *map(_about_event, events)):
                        self._dispatch(invocation)
                with trio.move_on_at(self._coalescence.next_deadline()):
                    await self._wake.wait()

    def _dispatch(self, invocation: Invocation) -> None:
        for lane in self._lanes:
            handler = lane.handler
            if not handler.wanted.admits(invocation.kind, invocation.name):
                continue
            try:
                lane.send.send_nowait(invocation)
            except trio.WouldBlock:
                self.dropped += 1
                if self.dropped.bit_count() == 1:  # at 1, 2, 4, 8 …: a flood is logged less and less often
                    log.warning(
                        "event handler is too slow: event dropped",
                        extra={"script": handler.script, "event": invocation.kind, "dropped": self.dropped},
                    )

    async def _serve(self, agent: "Agent", lane: _Lane) -> None:
        """Run the script of one handler for one event after the other, until the handler is replaced."""
        async for invocation in lane.receive:
            node = agent.driver.node
            variables = self_variables(node.name, node.tags) | invocation.variables
            async with self._limiter:
                await self._invoke(lane.handler, invocation, variables)
        self._retired.remove(lane)

    async def _invoke(
        self, handler: EventHandler, invocation: Invocation, variables: Mapping[str, str]
    ) -> None:
        extra: dict[str, object] = {"event": invocation.kind, "script": handler.script}
        start = trio.current_time()
        try:
            status, output = await run_script(handler.script, variables, invocation.stdin, self._time_limit)
        except OSError as error:
            self.failed += 1
            log.error("cannot start event script", extra=extra | {"reason": error.strerror})  # noqa: TRY400
            return
        took = trio.current_time() - start
        if output:
            log.debug("event script output", extra=extra | {"output": output.decode("utf-8", "replace")})
        if status is None:
            self.failed += 1
            log.error("event script timed out: stopped", extra=extra | {"after": Seconds(self._time_limit)})
        elif status:
            self.failed += 1
            log.error("event script failed", extra=extra | {"status": status})
        elif invocation.query is not None and output:
            self._answer(invocation.query, output, extra)
        elif took > SLOW_SCRIPT:
            log.warning("event script is slow", extra=extra | {"took": Seconds(took)})

    def _answer(self, query: IncomingQuery, output: bytes, extra: dict[str, object]) -> None:
        try:
            self._respond(query, output)
        except LocalProtocolError as error:
            log.warning("cannot send the event script's answer", extra=extra | {"reason": str(error)})


def self_variables(name: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that describe this agent to a script."""
    variables = {"SERF_SELF_NAME": name, "SERF_SELF_ROLE": tags.get("role", "")}
    for key, value in tags.items():
        variables["SERF_TAG_" + _NOT_IN_VARIABLE.sub("_", key.upper())] = value
    return variables


async def run_script(
    script: str, variables: Mapping[str, str], stdin: bytes, time_limit: float
) -> tuple[int | None, bytes]:
    """Run `script` in a shell; return its exit status and the end of its output.

    The status is None if it ran for longer than `time_limit` seconds and was stopped. The script has its own
    process group, which is stopped as a whole, also if the caller is cancelled.

    Raises:
        OSError: there is no shell, or no process can be created.
    """
    environment = os.environ | variables
    process = await trio.lowlevel.open_process(
        ["/bin/sh", "-c", script],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    output = bytearray()
    try:
        with trio.move_on_after(time_limit) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_feed, process, stdin)
                nursery.start_soon(_collect, process, output)
                await process.wait()
                # A background child may keep the pipes open indefinitely.
                nursery.cancel_scope.deadline = trio.current_time() + KILL_DELAY
    finally:
        with trio.CancelScope(shield=True):
            await _stop_group(process)
    return (None if scope.cancelled_caught else process.returncode), bytes(output)


async def _feed(process: trio.Process, data: bytes) -> None:
    assert process.stdin is not None
    with suppress(trio.BrokenResourceError):  # a script need not read its input
        await process.stdin.send_all(data)
    await process.stdin.aclose()


async def _collect(process: trio.Process, output: bytearray) -> None:
    assert process.stdout is not None
    async for chunk in process.stdout:
        output += chunk
        del output[:-MAX_OUTPUT_BYTES]


async def _stop_group(process: trio.Process) -> None:
    """End a script that is still running, with its children; those of a finished script live on."""
    if process.returncode is None:
        _signal_group(process, signal.SIGTERM)
        with trio.move_on_after(KILL_DELAY):
            await process.wait()
        _signal_group(process, signal.SIGKILL)
        await process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            await pipe.aclose()


def _signal_group(process: trio.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _about_members(change: MemberChanges) -> Invocation:
    lines = "".join(map(_line, change.members))
    return Invocation(change.kind, "", {"SERF_EVENT": change.kind}, lines.encode("utf-8", "surrogateescape"))


def _line(member: Member) -> str:
    tags = ",".join(f"{key}={value}" for key, value in sorted(member.tags.items()))
    host = unpack_address(member.addr, member.port).host
    fields = (_escaped(member.name), host, _escaped(member.tags.get("role", "")), _escaped(tags))
    return "\t".join(fields) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\t", "\\t").replace("\n", "\\n")


def _about_event(event: UserEvent) -> Invocation:
    variables = {
        "SERF_EVENT": "user",
        "SERF_USER_EVENT": event.name,
        "SERF_USER_LTIME": str(event.ltime),
    }
    return Invocation("user", event.name, variables, _line_of(event.payload))


def _about_query(query: IncomingQuery) -> Invocation:
    variables = {
        "SERF_EVENT": "query",
        "SERF_QUERY_NAME": query.name,
        "SERF_QUERY_LTIME": str(query.ltime),
    }
    return Invocation("query", query.name, variables, _line_of(query.payload), query)


def _line_of(payload: bytes) -> bytes:
    return payload + b"\n" if payload and not payload.endswith(b"\n") else payload
