"""The load balancer's agent: the gossip agent with a balancer beside it, in one nursery.

Order of a start: the file is locked and there is one (a starter configuration, if need be) before gossip
begins; HAProxy is started or looked for; then members enter as they come. At the end the agent leaves first,
while HAProxy still serves.
"""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path

import msgspec
import trio

from gossip.agent import service
from gossip.agent.config import AgentConfig, check_variables, load_config, secret_warnings
from gossip.agent.log import LEVELS, logging_to_stderr
from gossip.agent.readiness import check_ready_fd
from gossip.agent.service import EXIT_FAILED, EXIT_USAGE, Agent
from gossip.agent.transport import StartError
from gossip.errors import ConfigError
from lb.config import LbConfig, load_lb_config
from lb.controller import Balancer
from lb.deploy.bootstrap import Inheritance, Origin, inherit
from lb.deploy.config_file import ConfigFile, SwapError
from lb.deploy.deployer import Deployment
from lb.deploy.foreign_edit import OnForeignEdit, keep_edit
from lb.deploy.take_over import take_over
from lb.haproxy.cli_socket import HAProxyError
from lb.haproxy.client import HAProxy
from lb.haproxy.config_text import configured_servers, listeners
from lb.haproxy.process import Supervisor, haproxy_command
from lb.policy.plan import Claim, PlanConfig, make_plan
from lb.policy.settle import Settle
from lb.render.renderer import Renderer

log = logging.getLogger("lb")

PROGRAM = "gossip-lb"
DEFAULT_TAGS = {"role": "lb"}


class LoadBalancer:
    """All parts of one load balancer, wired together.

    `open` it before the agent starts, give `observe` and `run` to the agent, `close` it at the end.
    """

    def __init__(self, config: LbConfig, plan_config: PlanConfig) -> None:
        sockets = config.sockets
        self._config = config
        self._renderer = Renderer(config.render_here(), config.read_template())
        plan_config = self._plan_config = with_template(plan_config, self._renderer)
        self._file = ConfigFile(config.target, config.validator)
        self._haproxy = HAProxy(
            sockets, runtime_timeout=config.runtime_timeout, reload_timeout=config.reload_timeout
        )
        command = haproxy_command(config.haproxy_binary, config.target, sockets.master)
        self._supervisor = Supervisor(command, self._haproxy.master, config.stop_timeout)
        self._settle = Settle(config.settle)
        self._deployment = Deployment(
            self._file, self._haproxy, config.deployment, lambda: self._supervisor.last_alert
        )
        self._balancer = Balancer(self._settle, plan_config, self._renderer, self._deployment, self._haproxy)
        self._origin = Origin.NOWHERE
        self._haproxy_scope = trio.CancelScope()
        self.observe = self._balancer.observe

    def open(self) -> Inheritance:
        """Lock the file and make sure that there is one; blocks.

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
                # HAProxy may be started with it at any moment, by us or by somebody else.
                self._file.swap(self._render(inheritance.claims))
            else:
                self._render(())  # a template that does not work should say so now
        except BaseException:
            self._file.close()
            raise
        return inheritance

    def _must_repair(self, origin: Origin) -> bool:
        """Tell whether the file has to be written before HAProxy reads it; keep a copy of what goes then."""
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
        """Start from what a former life left; call it when Trio's clock runs."""
        self._origin = inheritance.origin
        if inheritance.claims:
            self._settle.seed(inheritance.claims, trio.current_time())
        if inheritance.origin is not Origin.FOREIGN:
            self._balancer.start_from(inheritance.claims, "start")

    async def run(self, agent: Agent) -> None:
        """Balance until cancelled; if HAProxy cannot be run at all, stop the agent."""
        log.info("configuration file", extra={"file": self._config.target, "origin": self._origin.value})
        try:
            async with trio.open_nursery() as nursery:
                try:
                    if self._config.start_haproxy:
                        await self._start_haproxy(nursery)
                    async with trio.open_nursery() as working:
                        working.start_soon(self._deployment.run)
                        working.start_soon(self._balancer.run, agent)
                finally:
                    # Told to stop in the middle of a reload, HAProxy would overhear it.
                    self._haproxy_scope.cancel()
        except* HAProxyError as group:
            log.error("cannot go on without haproxy", extra={"reason": str(group.exceptions[0])})  # noqa: TRY400
            agent.stop(EXIT_FAILED)

    def _render(self, claims: Sequence[Claim]) -> bytes:
        return self._renderer.render(make_plan(claims, self._plan_config).plan).content

    async def _start_haproxy(self, nursery: trio.Nursery) -> None:
        if await self._haproxy.processes() is None:
            self._haproxy.forget_state()
        is_adopted = await nursery.start(self._supervise)
        # From here on HAProxy is stopped by `run`, when nobody works with it any more.
        self._haproxy_scope.shield = True
        # Before anybody compares: HAProxy needs a moment until it can say what it runs.
        is_ready = await self._haproxy.wait_ready()
        log.info("haproxy started", extra={"adopted": is_adopted, "answers": is_ready})

    async def _supervise(self, task_status: trio.TaskStatus[bool]) -> None:
        with self._haproxy_scope:
            await self._supervisor.run(task_status)


def prepare(config: LbConfig) -> None:
    """Settle what becomes of a file that somebody else wrote, before anything is rendered; blocks.

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
    agent_config: AgentConfig, config: LbConfig, reload: Callable[[], AgentConfig] | None = None
) -> int:
    """Run a load balancer with its agent until it has left; return the exit code.

    Raises:
        ConfigError: the file's directory or the template cannot be used.
        StartError: the agent could not start.
        SwapError: there is no file yet, and the starter configuration could not be put there.
    """
    await trio.to_thread.run_sync(prepare, config)
    plan_config = config.plan(
        allow_loopback=_is_on_loopback(agent_config), agent_listeners=_agent_listeners(agent_config)
    )
    balancer = LoadBalancer(config, plan_config)
    inheritance = await trio.to_thread.run_sync(balancer.open)
    try:
        balancer.begin(inheritance)
        return await service.run(
            agent_config, observers=[balancer.observe], panels=[balancer.run], reload=reload
        )
    finally:
        balancer.close()


def main(
    overrides: Mapping[str, object],
    lb_overrides: Mapping[str, object],
    config_files: Sequence[Path] = (),
    lb_config_file: Path | None = None,
) -> int:
    """Run a load balancer from its flags; return the exit code: 0 left, 1 failed, 2 wrong configuration."""

    def load() -> AgentConfig:
        config = load_config(overrides, config_files, os.environ)
        return msgspec.structs.replace(config, tags=DEFAULT_TAGS | config.tags)

    try:
        check_variables(os.environ)
        agent_config = load()
        check_ready_fd(agent_config.ready_fd)
        config = load_lb_config(lb_overrides, lb_config_file, os.environ)
    except ConfigError as error:
        return _fail(error, EXIT_USAGE)
    with logging_to_stderr(agent_config.log_format, agent_config.log_level) as handler:
        for warning in secret_warnings(overrides, agent_config):
            log.warning(warning)

        def reload() -> AgentConfig:
            fresh = load()
            handler.setLevel(LEVELS[fresh.log_level])
            return fresh

        try:
            return trio.run(run, agent_config, config, reload)
        # What is said here goes through the handler: stderr itself may be stuck.
        except ConfigError as error:
            handler.say(f"{PROGRAM}: {error}")
            return EXIT_USAGE
        except (StartError, SwapError) as error:
            handler.say(f"{PROGRAM}: {error}")
        except KeyboardInterrupt:  # before the signal handlers were in place
            pass
        except Exception:
            bug = "this is a bug in gossip-lb: please report it with the traceback"
            handler.say(traceback.format_exc() + bug)
        return EXIT_FAILED


def _check_directories(config: LbConfig) -> None:
    """HAProxy would only say that it cannot bind a socket.

    Raises:
        ConfigError: the directory of one of the sockets does not exist.
    """
    for socket in (config.sockets.master, config.sockets.admin):
        if not socket.parent.is_dir():
            raise ConfigError(
                f"haproxy cannot make its socket {socket}: create the directory {socket.parent}"
            )


def _is_on_loopback(config: AgentConfig) -> bool:
    """Return whether the agent is bound to a loopback address: then its peers are on this machine, too."""
    host = config.bind_endpoint.host
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def with_template(config: PlanConfig, renderer: Renderer) -> PlanConfig:
    """Return `config` with what the template has: its listeners are no servers, its servers no members.

    Raises:
        ConfigError: the template cannot be rendered.
    """
    content = renderer.render(make_plan([], config).plan).content
    own = config.own_listeners | {(listener.host, listener.port) for listener in listeners(content)}
    reserved = config.reserved_names | {place.name.server for place in configured_servers(content)}
    return msgspec.structs.replace(config, own_listeners=own, reserved_names=reserved)


def _agent_listeners(config: AgentConfig) -> list[tuple[str, int]]:
    """Return where the agent itself listens: a server there would be told to speak our own protocols."""
    endpoints = (config.bind_endpoint, config.advertise_endpoint, config.rpc_endpoint)
    return [(e.host, e.port) for e in endpoints if e is not None and not isinstance(e, Path)]


def _fail(error: Exception, exit_code: int) -> int:
    sys.stderr.write(f"{PROGRAM}: {error}\n")
    return exit_code
