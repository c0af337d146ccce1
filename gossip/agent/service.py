"""One agent from start to end: listeners, then the RPC, then joining; signals; the graceful leave.

The order is Serf's (serf-wire 8.3). A failure before the first nursery opens is one line: a `StartError` and
exit code 1, or a `ConfigError` and exit code 2. A bug in the core itself ends the process with its traceback.
"""

import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from random import Random
from time import time
from typing import TYPE_CHECKING, NamedTuple

import trio

from gossip.agent.address_watch import watch_address
from gossip.agent.bugs import Bugs, sole
from gossip.agent.case_history import CaseHistory
from gossip.agent.config import AgentConfig
from gossip.agent.config_check import config_warnings
from gossip.agent.config_sources import load_config
from gossip.agent.driver import Driver, Observer
from gossip.agent.envelope import Envelope
from gossip.agent.interfaces import (
    address_of_interface,
    check_interface,
    choose_address,
    interface_addresses,
)
from gossip.agent.ipc_server import IpcServer
from gossip.agent.key_file import read_key_file
from gossip.agent.keys import Keys
from gossip.agent.log import LEVELS, LogRing, logging_to_stderr
from gossip.agent.memory import return_large_buffers
from gossip.agent.name_conflict import NameConflictVote
from gossip.agent.panel import run_panel
from gossip.agent.protocol_config import serf_config
from gossip.agent.query_desk import QueryDesk
from gossip.agent.readiness import STOPPING, check_ready_fd, notify
from gossip.agent.resolve import resolve
from gossip.agent.rpc_listener import RpcListener, open_rpc_listener, open_unix_listener
from gossip.agent.signals import obey_signals
from gossip.agent.start_join import join_at_start, report_rejoin
from gossip.agent.start_report import UNSPECIFIED, report_start
from gossip.agent.transport import StartError, Transport, open_transport
from gossip.errors import ConfigError, GossipError
from gossip.printable import one_line
from gossip.serf.node import LocalMember, SerfNode
from gossip.serf.saved_state import FIRST_START
from gossip.settings.duration import Seconds
from gossip.swim.incarnation import first_incarnation
from gossip.wire.address import Address, pack_address
from gossip.wire.keyring import Keyring

if TYPE_CHECKING:
    from gossip.agent.control import Routes
    from gossip.agent.doctor import Doctor
    from gossip.agent.event_handlers import EventScripts
    from gossip.agent.record import FlightRecorder
    from gossip.agent.snapshot import SnapshotFile

PROGRAM = "gossip agent"
DRAIN_TIMEOUT = 7.5
"""Seconds between the announcement of a leave and the leave itself (the load balancer drains meanwhile)."""
LEAVE_SLACK = 2.0
"""Added to the sum of a leave's own time-outs; after that the agent stops, whether it has left or not."""
EXIT_LEFT, EXIT_FAILED, EXIT_USAGE = 0, 1, 2

log = logging.getLogger("gossip.agent")


class Agent:
    """A running agent, for code in the same process."""

    def __init__(
        self, config: AgentConfig, driver: Driver, ring: LogRing, flight_recorder: "FlightRecorder | None"
    ) -> None:
        self.config = config
        self.driver = driver
        self.ring = ring
        self.flight_recorder = flight_recorder
        self.routes: Routes = flight_recorder.routes if flight_recorder else {}  # of the control socket
        self.queries = QueryDesk(driver)
        self.cases = CaseHistory()
        key_file = Path(config.keyring_file) if config.keyring_file else None
        self.keys = Keys(driver, self.queries, key_file)
        self.event_scripts: EventScripts | None = None  # until the first handler is configured
        self._has_handlers = trio.Event()
        self.use_handlers(config.event_handlers)
        self.readers: list[Observer] = [self.queries.observe, self.cases.observe, driver.symptoms.observe]
        self.rpc_address = ""
        self.ready = trio.Event()  # serves, and has completed its first join
        self.before_finish_leave: Callable[[], Awaitable[None]] | None = None
        self.exit_code = EXIT_LEFT
        self._leave_requested = trio.Event()
        self._stops_when_left = False
        self._left = trio.Event()
        self._stopping = trio.Event()
        self._failure: Exception | None = None
        self.bugs = Bugs()

    def use_handlers(self, specifications: Sequence[str]) -> None:
        """Run the scripts of these event handlers from now on, instead of those of earlier ones.

        Raises:
            ConfigError: one of the specifications cannot be read; the earlier handlers stay.
        """
        if self.event_scripts is not None:
            self.event_scripts.replace(specifications)
        elif specifications:
            from gossip.agent.event_handlers import EventScripts  # many agents have no handlers

            scripts = EventScripts(specifications, self.queries.respond, self.config.event_handler_timeout)
            self.event_scripts = scripts
            self.queries.respondents.append(scripts.query)
            self.driver.observers.append(scripts.observe)
            self._has_handlers.set()

    async def run_event_scripts(self) -> None:
        """Run scripts from the first configured handler on."""
        await self._has_handlers.wait()
        assert self.event_scripts is not None
        await self.event_scripts.run(self)

    def request_leave(self) -> None:
        """Leave gracefully, then stop; returns at once. If the agent has already left, it stops now."""
        self._stops_when_left = True
        self._leave_requested.set()
        if self._left.is_set():
            self.stop()

    @cached_property
    def doctor(self) -> "Doctor":
        """Looks for faults between this agent and its peers."""
        from gossip.agent.doctor import Doctor  # rarely asked for

        return Doctor(self.driver, self.queries)

    @property
    def is_leaving(self) -> bool:
        """Whether a leave was requested."""
        return self._leave_requested.is_set()

    async def leave(self) -> None:
        """Leave gracefully and wait until the leave is complete; the caller stops the agent afterwards."""
        self._leave_requested.set()
        await self._left.wait()

    def stop(self, exit_code: int = EXIT_LEFT) -> None:
        """Shut down at once, whether the agent has left or not."""
        self.exit_code = max(self.exit_code, exit_code)
        self._stopping.set()

    def abort(self) -> None:
        """Shut down at once, with the exit code of a failure."""
        self.stop(EXIT_FAILED)

    async def wait_stopped(self) -> None:
        """Wait until `stop` is called.

        Raises:
            ConfigError, StartError: a panel cannot run.
        """
        await self._stopping.wait()
        if self._failure is not None:
            raise self._failure

    async def run_panel(self, panel: "Panel") -> None:
        """Run `panel` beside the agent; only an error that a person must fix ends the agent."""
        try:
            await run_panel(panel, self, self.bugs)
        except (ConfigError, StartError) as error:
            self._failure = error
            self.stop(EXIT_FAILED)

    async def leave_when_asked(self) -> None:
        """Wait for the request, then go through all stages of the leave, within a time limit."""
        await self._leave_requested.wait()
        log.info("leaving gracefully", extra={"member": self.driver.node.name})
        notify(STOPPING, os.environ)
        serf = self.driver.node.config
        bound = 2 * serf.broadcast_timeout + serf.leave_propagate_delay + DRAIN_TIMEOUT + LEAVE_SLACK
        with trio.move_on_after(bound) as scope:
            await self._go_through_leave()
        if scope.cancelled_caught:
            log.warning("leave timed out: stopping anyway", extra={"after": Seconds(bound)})
        self._left.set()
        if self._stops_when_left:
            self.stop()

    async def _go_through_leave(self) -> None:
        driver = self.driver
        driver.apply(lambda node, now: node.begin_leave(now))
        await driver.leave_announced.wait()
        if self.before_finish_leave is not None:
            with trio.move_on_after(DRAIN_TIMEOUT):
                try:
                    await self.before_finish_leave()
                except Exception as error:
                    self.bugs.report("drain", error, "the leave goes on without")
        driver.apply(lambda node, now: node.finish_leave(now))
        await driver.leave_finished.wait()


Panel = Callable[[Agent], Awaitable[None]]


def main(overrides: Mapping[str, object], config_files: Sequence[Path] = ()) -> int:
    """Run an agent until it leaves; return the exit code.

    0 left, 1 failed, 2 wrong configuration, 3 no interface has the agent's address any more.
    `overrides` are the flags, keyed by the fields of `AgentConfig`; None means "not given".
    """

    def load() -> AgentConfig:
        return load_config(overrides, config_files, os.environ)

    try:
        config = load()
        check_ready_fd(config.ready_fd)
    except ConfigError as error:
        return _fail(error, EXIT_USAGE)
    with logging_to_stderr(config.log_format, config.log_level) as handler:
        for warning in config_warnings(overrides, config):
            log.warning(warning)

        def reload() -> AgentConfig:
            fresh = load()
            handler.setLevel(LEVELS[fresh.log_level])
            return fresh

        # Messages here go through the handler: stderr itself may be stuck.
        try:
            return trio.run(_run_with_reload, config, reload)
        except ConfigError as error:
            handler.say(f"{PROGRAM}: {one_line(str(error))}")
            return EXIT_USAGE
        except StartError as error:
            handler.say(f"{PROGRAM}: {one_line(str(error))}")
        except KeyboardInterrupt:  # before the signal handlers were installed
            pass
        except Exception:
            handler.say(
                f"{traceback.format_exc()}this is a bug in gossip: please report it with the traceback"
            )
        return EXIT_FAILED


async def run(
    config: AgentConfig,
    *,
    observers: Sequence[Observer] = (),
    panels: Sequence[Panel] = (),
    reload: Callable[[], AgentConfig] | None = None,
    handle_signals: bool = True,
    task_status: trio.TaskStatus[Agent] = trio.TASK_STATUS_IGNORED,
) -> int:
    """Run an agent until it has left or must stop, and return its exit code.

    `observers` see every batch of the node's effects, without packets. Each of `panels` gets the agent's
    handle and runs beside it, at most as long; it is restarted when it fails (`gossip.agent.panel`). `reload`
    is called on SIGHUP. `task_status` gets the handle as soon as the agent serves; `ready` is set once it has
    joined. Its `before_finish_leave` may be set, and its `routes` may be added to.

    Raises:
        ConfigError, StartError: it could not start, or a panel could not.
    """
    return_large_buffers()
    with LogRing(config.log_level) as ring:
        opened = await _open(config)
        opened.driver.observers.extend(observers)
        agent = Agent(config, opened.driver, ring, opened.flight_recorder)
        opened.driver.observers += agent.readers
        try:
            async with trio.open_nursery() as nursery:
                if handle_signals:
                    await nursery.start(obey_signals, agent, reload, nursery, agent.bugs)
                if not config.disable_name_resolution:
                    opened.driver.observers.append(NameConflictVote(agent, nursery).observe)
                await _start_servers(agent, opened, nursery)
                report_start(agent)
                nursery.start_soon(agent.leave_when_asked)
                for panel in (*_own_panels(agent, opened), *panels):
                    nursery.start_soon(agent.run_panel, panel)
                task_status.started(agent)
                nursery.start_soon(join_at_start, agent)
                await agent.wait_stopped()
                nursery.cancel_scope.cancel()
        except Exception as error:
            if isinstance(sole(error), ConfigError | StartError):
                raise sole(error) from None
            if opened.flight_recorder is not None:
                opened.flight_recorder.write_last()
            raise
        finally:
            if opened.snapshot is not None:
                opened.snapshot.close()
    return agent.exit_code


def _own_panels(agent: Agent, opened: "_Opened") -> tuple[Panel, ...]:
    """Return the panels of every agent, and those that its settings ask for."""
    panels: tuple[Panel, ...] = (Agent.run_event_scripts, watch_address, *opened.panels)
    if not agent.config.discover:
        return panels
    from gossip.agent.discovery import discover  # most agents are given addresses

    return (*panels, discover)


async def _start_servers(agent: Agent, opened: "_Opened", nursery: trio.Nursery) -> None:
    """Start gossip, then accept commands."""
    await nursery.start(opened.driver.run)
    if opened.flight_recorder is not None:
        nursery.start_soon(run_panel, type(opened.flight_recorder).run, opened.flight_recorder, agent.bugs)
    if opened.rpc is not None:
        agent.rpc_address = opened.rpc.address
        nursery.start_soon(IpcServer(agent, opened.rpc).run)
    if opened.control is not None:
        from gossip.agent.control import ControlServer  # most agents have none

        nursery.start_soon(ControlServer(opened.control, agent.routes).run)


async def _run_with_reload(config: AgentConfig, reload: Callable[[], AgentConfig]) -> int:
    return await run(config, reload=reload)


class _Opened(NamedTuple):
    """The parts of an agent before it runs."""

    driver: Driver
    flight_recorder: "FlightRecorder | None"
    rpc: RpcListener | None
    control: RpcListener | None
    snapshot: "SnapshotFile | None"

    @property
    def panels(self) -> tuple["Panel", ...]:
        """The parts that run beside the agent."""
        return (self.snapshot.run, report_rejoin) if self.snapshot is not None else ()


async def _open(config: AgentConfig) -> _Opened:
    """Open all sockets and create the node.

    Raises:
        ConfigError, StartError: one of them cannot be opened; none is left open.
    """
    rpc = control = snapshot = None
    with ExitStack() as opened:
        if config.snapshot_path:
            from gossip.agent.snapshot import open_snapshot  # most agents have none

            path, rejoin = Path(config.snapshot_path), config.rejoin_after_leave
            snapshot = open_snapshot(path, config.node_name, rejoin=rejoin)
            opened.callback(snapshot.close)
        transport, me = await _open_gossip(config)
        opened.callback(transport.close)
        if config.rpc_endpoint:
            rpc = await open_rpc_listener(config.rpc_endpoint)
            opened.callback(rpc.close)
        if config.control:
            control = await open_unix_listener(Path(config.control), "control", "--control")
        opened.pop_all()
    envelope = _envelope(config)
    saved = snapshot.snapshot.saved if snapshot is not None else FIRST_START
    settings = serf_config(config, envelope.overhead)
    node = SerfNode(settings, me, rng=Random(), now=trio.current_time(), saved=saved)
    flight_recorder = None
    if config.record or config.control:
        from gossip.agent.record import FlightRecorder  # most agents do without

        flight_recorder = FlightRecorder(Path(config.record_dir))
        if config.record:
            node = flight_recorder.record(node)
    driver = Driver(node, transport, envelope, rpc.port if rpc is not None else 0)
    if flight_recorder is not None:
        driver.on_bug = flight_recorder.show_bug
    if snapshot is not None:
        driver.observers.append(snapshot.observe)
    return _Opened(driver, flight_recorder, rpc, control, snapshot)


def _envelope(config: AgentConfig) -> Envelope:
    return Envelope(
        compress=not config.disable_compression,
        keyring=_keyring(config),
        label=config.label_bytes,
        check_label=not config.skip_inbound_label_check,
    )


def _keyring(config: AgentConfig) -> Keyring | None:
    if config.keyring_file:
        return read_key_file(Path(config.keyring_file))
    return Keyring([config.secret_key]) if config.secret_key else None


async def _open_gossip(config: AgentConfig) -> tuple[Transport, LocalMember]:
    """Open the gossip sockets and decide which address to announce."""
    bind = config.bind_endpoint
    if config.interface:
        check_interface(config.interface)
    host = await _lookup("bind", bind.host)
    if config.interface and host in UNSPECIFIED:
        host = address_of_interface(interface_addresses(), config.interface, ipv6=":" in host)
    transport = open_transport(host, bind.port)
    try:
        shown = await _advertised(config, transport.address)
    except GossipError:
        transport.close()
        raise
    return transport, LocalMember(
        config.node_name,
        pack_address(shown.host),
        shown.port,
        config.tags,
        config.protocol,
        first_incarnation(time()),
    )


async def _advertised(config: AgentConfig, bound: Address) -> Address:
    """Return the address that peers are told for `bound`."""
    if (advertise := config.advertise_endpoint) is not None:
        host = await _lookup("advertise", advertise.host)
        if host in UNSPECIFIED:
            raise ConfigError(f"cannot advertise {host}: peers could not reach it (see --advertise)")
        return Address(host, advertise.port or bound.port)
    if bound.host in UNSPECIFIED:
        return Address(choose_address(interface_addresses(), ipv6=":" in bound.host), bound.port)
    return bound


async def _lookup(key: str, host: str) -> str:
    try:
        return (await resolve(host, 0))[0].host
    except OSError as error:
        raise StartError(f"cannot use {key} address {host}: {error}") from None


def _fail(error: Exception, exit_code: int) -> int:
    sys.stderr.write(f"{PROGRAM}: {one_line(str(error))}\n")
    return exit_code
