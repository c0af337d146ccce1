"""The IPC commands (serf-wire 6.3, 6.5): one function per command, which knows nothing of bytes.

A function returns the response's body, or None if the command has none, and raises `CommandError` with the
text for the client. `RemoteProtocolError` means: close the connection without an answer.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import trio

from gossip.agent import tags_file
from gossip.agent.case_history import CaseHistory
from gossip.agent.config import AgentConfig
from gossip.agent.driver import Driver
from gossip.agent.ipc_streams import describe
from gossip.agent.key_change import change_on_all
from gossip.agent.log import LogRing, dropped_lines
from gossip.agent.query_desk import QueryDesk
from gossip.errors import GossipError, LocalProtocolError, RemoteProtocolError, os_reason
from gossip.ipc.bodies import (
    ForceLeave,
    Join,
    JoinCount,
    MemberFilter,
    MemberList,
    ResponseBody,
    Stats,
    TagChange,
)
from gossip.ipc.case_bodies import Explain
from gossip.ipc.coordinate_bodies import FoundCoordinate, GetCoordinate
from gossip.ipc.protocol import Command, Request
from gossip.ipc.query_bodies import KeyChange, KeyReport, SendEvent
from gossip.serf.members import MemberStatus, SerfMember
from gossip.serf.pattern import anchored

if TYPE_CHECKING:
    from gossip.agent.doctor import Doctor
    from gossip.agent.event_handlers import EventScripts

FILTER_SLICE = 0.02
"""Seconds after which a long filter run lets other tasks run."""
_GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class CommandError(GossipError):
    """The command was understood but failed; the text goes to the client."""

    def __init__(self, text: str, body: ResponseBody | None = None) -> None:
        super().__init__(text)
        self.body = body  # sent with the error, if there is anything to report


class IpcHost(Protocol):
    """The agent, as the IPC needs it."""

    driver: Driver
    config: AgentConfig
    ring: LogRing
    event_scripts: EventScripts | None
    queries: QueryDesk
    cases: CaseHistory

    @property
    def doctor(self) -> Doctor:
        """Looks for faults between this agent and its peers."""

    async def leave(self) -> None:
        """Leave the cluster gracefully; returns when the leave is complete."""

    def stop(self) -> None:
        """Shut the agent down."""


async def list_members(host: IpcHost, _request: Request) -> ResponseBody:
    """Return all members."""
    return MemberList(tuple(map(describe, host.driver.node.members())))


async def list_filtered_members(host: IpcHost, request: Request) -> ResponseBody:
    """Return the members whose name, status and tags all match."""
    wanted = request.body
    assert isinstance(wanted, MemberFilter)
    try:
        tests = _member_tests(wanted)
    except ValueError as error:
        raise RemoteProtocolError(str(error)) from None
    found = []
    resumed = trio.current_time()
    for member in host.driver.node.members():
        if all(test(member) for test in tests):
            found.append(describe(member))
        if trio.current_time() - resumed > FILTER_SLICE:
            await trio.lowlevel.checkpoint()
            resumed = trio.current_time()
    return MemberList(tuple(found))


async def join(host: IpcHost, request: Request) -> ResponseBody:
    """Join through the given addresses; one that answers is enough."""
    wanted = request.body
    assert isinstance(wanted, Join)
    if host.driver.node.status is not MemberStatus.ALIVE:
        raise CommandError("Serf can't Join after Leave or Shutdown")
    result = await host.driver.join(wanted.existing, replay=wanted.replay)
    if result.errors and not result.contacted:
        raise CommandError(multierror(result.errors))
    return JoinCount(result.contacted)


async def leave(host: IpcHost, _request: Request) -> None:
    """Leave the cluster; the agent stops after the answer."""
    await host.leave()


async def force_leave(host: IpcHost, request: Request) -> None:
    """Declare that a failed member has left, or erase it."""
    wanted = request.body
    assert isinstance(wanted, ForceLeave)
    token = host.driver.apply(lambda node, now: node.force_leave(wanted.node, prune=wanted.prune, now=now))
    if not await host.driver.broadcast_done(token, host.config.broadcast_timeout):
        raise CommandError("timed out broadcasting node removal")


async def change_tags(host: IpcHost, request: Request) -> None:
    """Change this node's own tags: deletions first."""
    wanted = request.body
    assert isinstance(wanted, TagChange)
    kept = {name: value for name, value in host.driver.node.tags.items() if name not in wanted.delete}
    path = Path(host.config.tags_file) if host.config.tags_file else None
    try:
        token = tags_file.change_tags(host.driver, kept | dict(wanted.tags), path)
    except LocalProtocolError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        reason = os_reason(error)
        raise CommandError(f"tags not changed: cannot write tags_file {path}: {reason}") from None
    if not await host.driver.broadcast_done(token, host.config.broadcast_timeout):
        raise CommandError("timeout waiting for update broadcast")


async def send_event(host: IpcHost, request: Request) -> None:
    """Send a user event to all members, this one included."""
    wanted = request.body
    assert isinstance(wanted, SendEvent)
    try:
        host.driver.apply(
            lambda node, now: node.user_event(wanted.name, wanted.payload, coalesce=wanted.coalesce, now=now)
        )
    except LocalProtocolError as error:
        raise CommandError(str(error)) from None


async def change_keys(host: IpcHost, request: Request) -> KeyReport:
    """Install, use, remove or list keys on all members."""
    text = request.body.key if isinstance(request.body, KeyChange) else ""
    error, report = await change_on_all(host.driver, host.queries, request.command, text)
    if error:
        raise CommandError(error, report)
    return report


async def get_coordinate(host: IpcHost, request: Request) -> ResponseBody:
    """Return a member's network coordinate, if it ever answered a ping of this agent."""
    wanted = request.body
    assert isinstance(wanted, GetCoordinate)
    found = host.driver.node.coordinate(wanted.node)
    if found is None:
        return FoundCoordinate(is_known=False)
    return FoundCoordinate(True, found.vec, found.error, found.adjustment, found.height)


async def show_stats(host: IpcHost, _request: Request) -> ResponseBody:
    """Return figures about the agent, its process and its cluster."""
    driver = host.driver
    machine = os.uname()
    encrypted = {"encrypted": str(driver.is_encrypted).lower()}
    return Stats(
        {
            "agent": {"name": driver.node.name},
            "runtime": {
                "os": machine.sysname.lower(),
                "arch": _GO_ARCHITECTURES.get(machine.machine, machine.machine),
                "version": f"python{platform.python_version()}",
                "max_procs": str(len(os.sched_getaffinity(0))),
                "goroutines": str(trio.lowlevel.current_statistics().tasks_living),
                "cpu_count": str(os.cpu_count() or 1),
            },
            "serf": driver.node.stats() | encrypted,
            "tags": driver.node.tags,
            "counters": driver.node.counters(),
            "refused": {
                "packets": str(driver.rejected_packets),
                "replayed": str(driver.refusals.replayed),
                "wrong_label": str(driver.refusals.wrong_label),
            },
            "log": {
                "dropped_lines": str(dropped_lines()),
                "withheld_lines": str(driver.withheld_lines),
            },
            "event_handlers": host.event_scripts.describe() if host.event_scripts else {},
        }
    )


async def explain(host: IpcHost, request: Request) -> ResponseBody:
    """Return the case of a member that was suspected or failed, with the reporters."""
    from gossip.agent.explanation import explain_member  # rarely needed

    assert isinstance(request.body, Explain)
    name = request.body.node
    return explain_member(name, host.driver, host.cases.case(name))


async def examine(host: IpcHost, _request: Request) -> ResponseBody:
    """Look for faults between this agent and its peers."""
    return await host.doctor.examine()


COMMANDS: dict[str, Callable[[IpcHost, Request], Awaitable[ResponseBody | None]]] = {
    Command.MEMBERS: list_members,
    Command.MEMBERS_FILTERED: list_filtered_members,
    Command.JOIN: join,
    Command.LEAVE: leave,
    Command.FORCE_LEAVE: force_leave,
    Command.TAGS: change_tags,
    Command.STATS: show_stats,
    Command.EVENT: send_event,
    Command.INSTALL_KEY: change_keys,
    Command.USE_KEY: change_keys,
    Command.REMOVE_KEY: change_keys,
    Command.LIST_KEYS: change_keys,
    Command.EXPLAIN: explain,
    Command.GET_COORDINATE: get_coordinate,
    Command.DOCTOR: examine,
}


def multierror(errors: tuple[str, ...]) -> str:
    """Return several errors in the form that Serf's clients print."""
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    return f"{count} occurred:\n" + "".join(f"\t* {error}\n" for error in errors) + "\n"


def _member_tests(wanted: MemberFilter) -> list[Callable[[SerfMember], bool]]:
    """Return the tests that a member must pass; raise `ValueError` for an unusable pattern."""
    tests: list[Callable[[SerfMember], bool]] = []
    if wanted.name:
        name = anchored(wanted.name)
        tests.append(lambda member: name(member.name))
    if wanted.status:
        status = anchored(wanted.status)
        tests.append(lambda member: status(member.status.name.lower()))
    for tag, pattern in wanted.tags.items():
        tests.append(_tag_test(tag, anchored(pattern)))
    return tests


def _tag_test(tag: str, matches: Callable[[str], bool]) -> Callable[[SerfMember], bool]:
    return lambda member: matches(member.tags.get(tag, ""))
