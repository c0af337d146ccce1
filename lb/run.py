"""The load balancer's agent: the gossip agent with a balancer beside it, in one nursery.

Order of a start: the file is locked and created if necessary (a starter configuration) before gossip begins;
HAProxy is started, adopted or looked for; then members enter as they appear. At the end the agent leaves
first, while HAProxy still serves; HAProxy itself is stopped only on request.
"""

import logging
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path

import msgspec
import trio

from gossip.agent import service
from gossip.agent.config import AgentConfig
from gossip.agent.config_check import config_warnings
from gossip.agent.log import LEVELS, logging_to_stderr
from gossip.agent.readiness import check_ready_fd
from gossip.agent.service import EXIT_FAILED, EXIT_LEFT, EXIT_USAGE, Agent, Panel
from gossip.agent.transport import StartError
from gossip.errors import ConfigError
from gossip.printable import one_line
from gossip.settings.setting import live_settings
from lb.config import LbConfig
from lb.config_sources import explained_agent_config, load_lb_config
from lb.controller import Balancer
from lb.deploy.bootstrap import Inheritance, Origin, inherit
from lb.deploy.config_file import ConfigFile
from lb.deploy.deployer import Deployment
from lb.deploy.directory import SwapError
from lb.deploy.foreign_edit import OnForeignEdit, keep_edit
from lb.deploy.last_view import keep_view, read_view, seeds
from lb.deploy.lock import DirectoryLock
from lb.deploy.take_over import take_over
from lb.haproxy.cli_socket import HAProxyError
from lb.haproxy.client import HAProxy
from lb.haproxy.config_text import configured_servers, listeners
from lb.haproxy.incumbent import RECORD_NAME, Record
from lb.haproxy.outage import OutageWatch
from lb.haproxy.process import haproxy_command
from lb.haproxy.supervisor import Supervisor
from lb.policy.plan import Claim, PlanConfig, make_plan
from lb.policy.settle import Settle
from lb.render.renderer import Renderer

log = logging.getLogger("lb")

PROGRAM = "gossip-lb"
LIVE_SETTINGS = live_settings(LbConfig)
"""Settings that a reload changes in a running load balancer; all others need a restart."""


class LoadBalancer:
    """All parts of one load balancer, wired together.

    `open` it before the agent starts, pass `observe` and `panels` to the agent, `close` it at the end.
    """

    def __init__(self, config: LbConfig, plan_config: PlanConfig) -> None:
        self._config = config
        self._renderer = Renderer(config.render_here(), config.read_template())
        plan_config = self._plan_config = with_template(plan_config, self._renderer)
        self._file = ConfigFile(config.target, config.validator)
        self._haproxy = HAProxy(
            config.sockets, runtime_timeout=config.runtime_timeout, reload_timeout=config.reload_timeout
        )
        self._supervisor = _supervisor(config, self._haproxy)
        self._settle = Settle(config.settle)
        self._deployment = Deployment(
            self._file, self._haproxy, config.deployment, lambda: self._supervisor.last_alert
        )
        self._balancer = Balancer(self._settle, plan_config, self._renderer, self._deployment, self._haproxy)
        self._origin = Origin.NOWHERE
        self._settled = trio.Event()  # HAProxy answers, or is not under our supervision
        self._outages = OutageWatch(self._haproxy.runtime, self._deployment.look_again)
        self.signals: AsyncIterator[int] | None = None  # SIGUSR2, if it is handled
        self._supervisor.on_exit = self._outages.note_exit
        self.observe = self._balancer.observe

    def open(self) -> Inheritance:
        """Lock the file and make sure that it exists; blocks.

        Raises:
            ConfigError: the directory cannot be used, or the template cannot be rendered.
            SwapError: HAProxy refuses the starter configuration, or it cannot be written.
        """
        if self._config.start_haproxy:
            _check_directories(self._config)
        self._file.open()
        try:
            inheritance = inherit(self._file, self._plan_config.backends, self._plan_config.reserved_names)
            if self._must_repair(inheritance.origin):
                # HAProxy may be started with it at any time, by us or by somebody else.
                self._file.swap(self._render(inheritance.claims))
            else:
                self._render(())  # a broken template should be reported now
        except BaseException:
            self._file.close()
            raise
        return inheritance

    def _must_repair(self, origin: Origin) -> bool:
        """Tell whether the file must be written before HAProxy reads it; keep a copy of lost content."""
        present = self._file.read()
        if origin is not Origin.REPAIRED or present is None:
            return present is None
        if self._config.on_foreign_edit is OnForeignEdit.HOLD:
            return False
        keep_edit(self._file, self._file.read_good(), present)
        return True

    def close(self) -> None:
        """Unlock the file."""
        self._file.close()

    def begin(self, inheritance: Inheritance) -> None:
        """Start from the inheritance of an earlier life; call it once Trio's clock is running."""
        self._origin = inheritance.origin
        if inheritance.claims:
            self._settle.seed(inheritance.claims, trio.current_time())
        if inheritance.origin is not Origin.FOREIGN:
            self._balancer.start_from(inheritance.claims, "start")

    @property
    def panels(self) -> Sequence[Panel]:
        """The tasks to run beside the agent; a panel that fails is restarted, and disturbs no other."""
        return (self.supervise, self.deploy, self.decide, self.watch, self.remember, self.obey)

    async def check(self) -> None:
        """Check whether HAProxy can be run at all, before gossip begins.

        Raises:
            ConfigError: another HAProxy is in the way, or there is none to start.
        """
        if self._config.start_haproxy:
            try:
                await self._supervisor.check()
            except HAProxyError as error:
                raise ConfigError(str(error)) from error

    async def supervise(self, _agent: Agent) -> None:
        """Keep HAProxy running, if configured; if cancelled, leave HAProxy as it is."""
        log.info(
            "configuration file inspected", extra={"file": self._config.target, "origin": self._origin.value}
        )
        if not self._config.start_haproxy:
            self._settled.set()
            return
        async with trio.open_nursery() as nursery:
            await nursery.start(self._supervisor.run)
            # Before any comparison: HAProxy needs a moment until it can report what it runs.
            is_ready = await self._haproxy.wait_ready()
            found = {"adopted": self._supervisor.is_adopted, "answers": is_ready}
            log.info("haproxy supervised", extra={"pid": self._supervisor.pid, **found})
            self._settled.set()

    async def deploy(self, _agent: Agent) -> None:
        """Bring decisions into effect."""
        await self._settled.wait()
        await self._deployment.run()

    async def decide(self, agent: Agent) -> None:
        """Turn members into decisions."""
        await self._settled.wait()
        await self._balancer.run(agent)

    async def remember(self, agent: Agent) -> None:
        """Keep the members' addresses for the next start."""
        await keep_view(agent.driver.node, self._config.view_file)

    async def watch(self, _agent: Agent) -> None:
        """Report when HAProxy does not serve."""
        await self._settled.wait()
        await self._outages.run()

    async def obey(self, _agent: Agent) -> None:
        """Treat SIGUSR2, which is meant for HAProxy's master, as a request to check everything."""
        if self.signals is not None:
            async for _ in self.signals:
                log.warning("SIGUSR2: checking file and worker; haproxy is reloaded when its file changes")
                self._deployment.look_again()

    def reconfigure(self, fresh: LbConfig, renderer: Renderer) -> None:
        """Apply the settings that may change at run time, and name those that need a restart."""
        before = self._config
        changed = [key for key in LbConfig.__struct_fields__ if getattr(before, key) != getattr(fresh, key)]
        live = {key: getattr(fresh, key) for key in LIVE_SETTINGS}
        self._config = msgspec.structs.replace(before, **live)
        self._deployment.reconfigure(self._config.deployment)
        self._renderer = renderer
        self._balancer.use_renderer(renderer)
        applied = ",".join(key for key in changed if key in LIVE_SETTINGS)
        log.info("load balancer configuration reloaded", extra={"changed": applied})
        if needs_restart := [key for key in changed if key not in LIVE_SETTINGS]:
            log.warning("configuration changed: restart to apply", extra={"keys": ",".join(needs_restart)})

    def renderer_for(self, fresh: LbConfig) -> Renderer:
        """Return a tested renderer for the live part of `fresh`; blocks.

        Raises:
            ConfigError: the template cannot be read or rendered.
        """
        live = {key: getattr(fresh, key) for key in LIVE_SETTINGS}
        config: LbConfig = msgspec.structs.replace(self._config, **live)
        renderer = Renderer(config.render_here(), config.read_template())
        renderer.render(make_plan((), self._plan_config).plan)
        return renderer

    async def end(self, exit_code: int) -> None:
        """Stop HAProxy if configured and the leave was clean, otherwise log that it continues to serve."""
        if not self._config.start_haproxy:
            return
        if self._config.stop_haproxy_on_exit and exit_code == EXIT_LEFT:
            with trio.CancelScope(shield=True):
                stopped = await self._supervisor.stop()
            if stopped is not None:
                log.info("haproxy stopped", extra={"pid": stopped})
        elif self._supervisor.pid is not None:
            extra = {"pid": self._supervisor.pid, "stop_with": "gossip-lb stop-haproxy"}
            log.info("haproxy keeps serving", extra=extra)

    def _render(self, claims: Sequence[Claim]) -> bytes:
        return self._renderer.render(make_plan(claims, self._plan_config).plan).content


def prepare(config: LbConfig) -> None:
    """Take over a file that somebody else wrote, if permitted, before anything is rendered; blocks.

    Raises:
        ConfigError: it may not be taken over, or the directory cannot be used.
        SwapError: no copy of it can be kept.
    """
    file = ConfigFile(config.target, config.validator)
    file.open()
    try:
        take_over(file, str(config.sockets.admin), allowed=config.take_over)
    finally:
        file.close()


async def run(
    agent_config: AgentConfig,
    config: LbConfig,
    reload: "Callable[[LoadBalancer], AgentConfig] | None" = None,
) -> int:
    """Run a load balancer with its agent until it has left; return the exit code.

    HAProxy continues to serve, unless it was started here and is configured to stop after a clean leave.

    Raises:
        ConfigError: the file's directory, the template, or the existing HAProxy cannot be used.
        StartError: the agent could not start.
        SwapError: there is no file yet, and the starter configuration could not be written.
    """
    await trio.to_thread.run_sync(prepare, config)
    plan_config = config.plan(
        allow_loopback=_is_on_loopback(agent_config), agent_listeners=_agent_listeners(agent_config)
    )
    balancer = LoadBalancer(config, plan_config)
    inheritance = await trio.to_thread.run_sync(balancer.open)
    try:
        await balancer.check()
        balancer.begin(inheritance)
        extra = seeds(await trio.to_thread.run_sync(read_view, config.view_file), inheritance.claims)
        fresh = None if reload is None else lambda: _with_seeds(reload(balancer), extra)
        code = await _serve(_with_seeds(agent_config, extra), balancer, fresh)
        await balancer.end(code)
    finally:
        balancer.close()
    return code


def _with_seeds(config: AgentConfig, extra: Sequence[str]) -> AgentConfig:
    """Return the configuration with more seeds to retry; if none of these answers, the agent goes on."""
    attempts = config.retry_max_attempts if config.retry_join else 0
    retry_join = tuple(dict.fromkeys((*config.retry_join, *extra)))
    return msgspec.structs.replace(config, retry_join=retry_join, retry_max_attempts=attempts)


async def _serve(
    agent_config: AgentConfig, balancer: LoadBalancer, reload: Callable[[], AgentConfig] | None
) -> int:
    with trio.open_signal_receiver(signal.SIGUSR2) as signals:
        balancer.signals = signals
        return await service.run(
            agent_config, observers=[balancer.observe], panels=balancer.panels, reload=reload
        )


def stop(
    lb_overrides: Mapping[str, object], lb_config_file: Path | None, echo: Callable[[str], object]
) -> int:
    """Stop the HAProxy that a gossip-lb started and left running; return 1 if there is none.

    Raises:
        ConfigError: the configuration is wrong, or a gossip-lb keeps HAProxy running.
    """
    config = load_lb_config(lb_overrides, lb_config_file, os.environ)
    lock = DirectoryLock(config.target.parent)
    lock.acquire()
    try:
        haproxy = HAProxy(config.sockets, runtime_timeout=config.runtime_timeout)
        stopped = trio.run(_supervisor(config, haproxy).stop)
    finally:
        lock.release()
    if stopped is None:
        echo(f"no haproxy that gossip-lb started runs with {config.target}")
        return EXIT_FAILED
    echo(f"stopped haproxy process {stopped}")
    return EXIT_LEFT


def _supervisor(config: LbConfig, haproxy: HAProxy) -> Supervisor:
    command = haproxy_command(config.haproxy_binary, config.target, config.sockets.master)
    record = Record(config.target.parent / RECORD_NAME)
    return Supervisor(
        command, config.target, haproxy.master, record, config.stop_timeout, haproxy.forget_state
    )


def main(
    overrides: Mapping[str, object],
    lb_overrides: Mapping[str, object],
    config_files: Sequence[Path] = (),
    lb_config_file: Path | None = None,
) -> int:
    """Run a load balancer from its flags; return the exit code: 0 left, 1 failed, 2 wrong configuration."""

    def load() -> AgentConfig:
        return explained_agent_config(overrides, config_files, os.environ).config

    try:
        agent_config = load()
        check_ready_fd(agent_config.ready_fd)
        config = load_lb_config(lb_overrides, lb_config_file, os.environ)
    except ConfigError as error:
        return _fail(error, EXIT_USAGE)
    with logging_to_stderr(agent_config.log_format, agent_config.log_level) as handler:
        for warning in config_warnings(overrides, agent_config):
            log.warning(warning)

        def reload(balancer: LoadBalancer) -> AgentConfig:
            fresh = load()
            fresh_lb = load_lb_config(lb_overrides, lb_config_file, os.environ)
            renderer = balancer.renderer_for(fresh_lb)
            trio.from_thread.run_sync(balancer.reconfigure, fresh_lb, renderer)
            handler.setLevel(LEVELS[fresh.log_level])
            return fresh

        try:
            return trio.run(run, agent_config, config, reload)
        # Messages here go through the handler: stderr itself may be stuck.
        except ConfigError as error:
            handler.say(f"{PROGRAM}: {one_line(str(error))}")
            return EXIT_USAGE
        except (StartError, SwapError) as error:
            handler.say(f"{PROGRAM}: {one_line(str(error))}")
        except KeyboardInterrupt:  # before the signal handlers were installed
            pass
        except Exception:
            bug = "this is a bug in gossip-lb: please report it with the traceback"
            handler.say(traceback.format_exc() + bug)
        return EXIT_FAILED


def _check_directories(config: LbConfig) -> None:
    """Check the directories of sockets; HAProxy would only report that it cannot bind a socket.

    Raises:
        ConfigError: the directory of one of the sockets does not exist.
    """
    for socket in (config.sockets.master, config.sockets.admin):
        if not socket.parent.is_dir():
            raise ConfigError(
                f"haproxy cannot create its socket {socket}: create the directory {socket.parent}"
            )


def _is_on_loopback(config: AgentConfig) -> bool:
    """Return whether the agent is bound to a loopback address: its peers are then on this machine, too."""
    host = config.bind_endpoint.host
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def with_template(config: PlanConfig, renderer: Renderer) -> PlanConfig:
    """Return `config` with the template's content: its listeners are no servers, its servers no members.

    Raises:
        ConfigError: the template cannot be rendered.
    """
    content = renderer.render(make_plan([], config).plan).content
    own = config.own_listeners | {(listener.host, listener.port) for listener in listeners(content)}
    reserved = config.reserved_names | {place.name.server for place in configured_servers(content)}
    return msgspec.structs.replace(config, own_listeners=own, reserved_names=reserved)


def _agent_listeners(config: AgentConfig) -> list[tuple[str, int]]:
    """Return the agent's own listeners: a server there would receive requests for our own protocols."""
    endpoints = (config.bind_endpoint, config.advertise_endpoint, config.rpc_endpoint)
    return [(e.host, e.port) for e in endpoints if e is not None and not isinstance(e, Path)]


def _fail(error: Exception, exit_code: int) -> int:
    sys.stderr.write(f"{PROGRAM}: {one_line(str(error))}\n")
    return exit_code
