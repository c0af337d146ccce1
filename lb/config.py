"""The settings of the load balancer's side: each with its type, default, flag, limits and meaning.

The settings of its agent are in `gossip.agent.config`; the values for the template are in ``[lb.haproxy]``.
`lb.config_sources` reads and checks them.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Struct

from gossip.settings.duration import Seconds
from gossip.settings.setting import Setting, Words
from gossip.toml_file import read_text
from lb.deploy.adoption import Carried
from lb.deploy.deployer import DeploymentConfig
from lb.deploy.foreign_edit import OnForeignEdit
from lb.deploy.last_view import VIEW_NAME
from lb.deploy.take_over import read_carried, with_carried
from lb.haproxy.client import Sockets
from lb.haproxy.config_check import FILE_PLACEHOLDER, Validator
from lb.haproxy.identity import unprivileged, working_directory
from lb.haproxy.local_addresses import local_addresses
from lb.policy.allowlist import parse_networks
from lb.policy.plan import PlanConfig
from lb.policy.settle import SettleConfig
from lb.render.renderer import Frontend, RenderConfig

MAX_SOCKET_PATH = 91
"""A Unix socket's path has 107 bytes, and HAProxy appends its process id and ``.tmp`` while it binds."""
STATE_NAME = ".lb.state"
MASTER_SOCKETS = (Path("/run/haproxy/master.sock"), Path("/run/haproxy-master.sock"))
"""Our path, and that of Debian's systemd unit."""


class LbConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of the load balancer's side. Times are in seconds."""

    config_path: Annotated[str, Setting("HAProxy's configuration.", "--config-path", "FILE")] = (
        "/etc/haproxy/haproxy.cfg"
    )
    template: Annotated[
        str, Setting("Jinja2 template.", "--template", "FILE", default="the built-in one", is_live=True)
    ] = ""
    listen: Annotated[
        tuple[str, ...], Setting("Address for requests.", "--listen", "HOST:PORT", is_live=True)
    ] = ()
    stats_bind: Annotated[
        str | None,
        Setting(
            "HAProxy's status page; empty: none.",
            "--stats-bind",
            "HOST:PORT",
            default="127.0.0.1:8404",
            is_live=True,
        ),
    ] = None  # default: as in [lb.haproxy]
    master_socket: Annotated[
        str,
        Setting(
            "Socket of HAProxy's master process.",
            "--master-socket",
            "PATH",
            default="/run/haproxy/master.sock, or Debian's /run/haproxy-master.sock",
        ),
    ] = ""  # default: the first of MASTER_SOCKETS that exists, else the first
    admin_socket: Annotated[
        str, Setting("Socket of HAProxy's worker for commands.", "--admin-socket", "PATH")
    ] = "/run/haproxy/admin.sock"
    state_file: Annotated[
        str,
        Setting(
            "File that keeps server states across reloads.",
            "--state-file",
            "PATH",
            default="beside the configuration",
        ),
    ] = ""
    start_haproxy: Annotated[bool, Setting("Start HAProxy and keep it running.", "--start-haproxy")] = False
    stop_haproxy_on_exit: Annotated[
        bool,
        Setting(
            "Stop the HAProxy that was started, after a clean leave.", "--stop-haproxy-on-exit", is_live=True
        ),
    ] = False
    take_over: Annotated[
        bool, Setting("Replace a file that gossip-lb did not write; keep a copy.", "--take-over")
    ] = False
    on_foreign_edit: Annotated[
        OnForeignEdit,
        Setting(
            "What to do when the file was edited: restore it, or hold.",
            "--on-foreign-edit",
            "POLICY",
            is_live=True,
        ),
    ] = OnForeignEdit.RESTORE
    haproxy_binary: Annotated[str, Setting("HAProxy's program.", "--haproxy-binary", "FILE")] = "haproxy"
    stop_timeout: Annotated[Seconds, Setting("How long a HAProxy that is stopped may finish requests.")] = (
        Seconds(5)
    )
    validate_command: Annotated[
        tuple[str, ...],
        Setting(
            "Command that checks {file}.",
            "--validate-command",
            "COMMAND",
            default="haproxy -c -f {file}",
            words=Words.SHELL,
        ),
    ] = ()  # default: haproxy_binary -c -f {file}
    validate_timeout: Annotated[Seconds, Setting("How long the check of a file may take.", above=0)] = (
        Seconds(10)
    )
    runtime_timeout: Annotated[
        Seconds, Setting("How long HAProxy may take to answer a command.", above=0)
    ] = Seconds(1)
    reload_timeout: Annotated[Seconds, Setting("How long a reload may take.", above=0)] = Seconds(5)
    min_reload_interval: Annotated[
        Seconds, Setting("Least time between two reloads.", "--min-reload-interval", "DURATION", is_live=True)
    ] = Seconds(5)
    max_old_workers: Annotated[
        int,
        Setting(
            "Workers of earlier reloads that may still finish requests before a reload waits.",
            at_least=1,
            is_live=True,
        ),
    ] = 4
    max_old_workers_wait: Annotated[Seconds, Setting("How long a reload waits for them.", is_live=True)] = (
        Seconds(30)
    )
    reconcile_interval: Annotated[
        Seconds, Setting("Time between two looks at what HAProxy runs.", above=0, is_live=True)
    ] = Seconds(30)
    arrive_calm: Annotated[
        Seconds, Setting("Time without a change after which an arrival is applied at once.")
    ] = Seconds(2)
    arrive_quiet: Annotated[
        Seconds, Setting("Time without a further arrival before arrivals are applied.")
    ] = Seconds(0.5)
    arrive_at_most: Annotated[Seconds, Setting("Longest time that an arrival waits for others.")] = Seconds(2)
    settle_max: Annotated[Seconds, Setting("Longest time to wait for members to settle.")] = Seconds(30)
    join_wait: Annotated[
        Seconds,
        Setting(
            "After a restart, how long to keep servers that gossip has not confirmed.",
            "--join-wait",
            "DURATION",
        ),
    ] = Seconds(15)
    min_backends: Annotated[
        int, Setting("Servers without which the first file is not written.", at_least=1)
    ] = 1
    role_tag: Annotated[str, Setting("Tag that says which members are servers.")] = "role"
    role: Annotated[str, Setting("Members with tag role=ROLE are servers.", "--role", "ROLE")] = "backend"
    port_tag: Annotated[str, Setting("Tag with a server's port.", "--port-tag", "TAG")] = "port"
    weight_tag: Annotated[str | None, Setting("Tag with a server's weight.", default="none")] = None
    backend_tag: Annotated[
        str | None, Setting("Tag with the backend that a server is for.", default="none")
    ] = None
    backends: Annotated[tuple[str, ...], Setting("Backend name.", "--backend", "NAME")] = ("web",)
    allowed_networks: Annotated[
        tuple[str, ...],
        Setting("Network that servers may be in.", "--allow-network", "CIDR", default="RFC 1918, fc00::/7"),
    ] = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
    haproxy: Annotated[RenderConfig, Setting("What the template may print.", is_table=True, is_live=True)] = (
        RenderConfig()
    )

    @property
    def target(self) -> Path:
        """The file that HAProxy reads."""
        return Path(self.config_path).absolute()

    @property
    def sockets(self) -> Sockets:
        """HAProxy's command sockets."""
        state = Path(self.state_file) if self.state_file else self.target.parent / STATE_NAME
        masters = (Path(self.master_socket),) if self.master_socket else MASTER_SOCKETS
        return Sockets(masters[0], Path(self.admin_socket), state, masters[1:])

    @property
    def view_file(self) -> Path:
        """The file with the addresses of members for the next start."""
        return self.sockets.state_file.parent / VIEW_NAME

    @property
    def render(self) -> RenderConfig:
        """The values for the template; `listen` stands for one frontend on the first backend."""
        sockets = self.sockets
        config = msgspec.structs.replace(
            self.haproxy, admin_socket=str(sockets.admin), state_file=str(sockets.state_file)
        )
        if self.stats_bind is not None:
            config = msgspec.structs.replace(config, stats_bind=self.stats_bind or None)
        if self.listen:
            frontend = Frontend("http", self.listen, self.backends[0])
            config = msgspec.structs.replace(config, frontends=(frontend,))
        return config

    def render_here(self, carried: Carried | None = None) -> RenderConfig:
        """Return `render` with the additions of this machine: carried lines, and a user other than root.

        `carried` is what a take-over would carry over; default: the result of an earlier take-over.

        Raises:
            ConfigError: the result of an earlier take-over cannot be read or used.
        """
        config = with_carried(self.render, carried or read_carried(self.target.parent))
        if config.user is None and config.group is None:
            identity = unprivileged(self.sockets.present_master(), is_started_by_us=self.start_haproxy)
            user, group = identity or (None, None)
            config = msgspec.structs.replace(config, user=user, group=group)
        return config

    def plan(self, *, allow_loopback: bool, agent_listeners: Iterable[tuple[str, int]] = ()) -> PlanConfig:
        """Return the rules for which members are servers.

        Loopback addresses are for agents that are bound to one; the agent's own listeners are never servers.
        """
        return PlanConfig(
            own_listeners=frozenset(agent_listeners),
            own_hosts=local_addresses(),
            role_tag=self.role_tag,
            role=self.role,
            port_tag=self.port_tag,
            weight_tag=self.weight_tag,
            backend_tag=self.backend_tag,
            backends=self.backends,
            allowed_networks=parse_networks(self.allowed_networks),
            allow_loopback=allow_loopback,
        )

    @property
    def settle(self) -> SettleConfig:
        """The timings of changes of the file."""
        return SettleConfig(
            calm=self.arrive_calm,
            quiet=self.arrive_quiet,
            at_most=self.arrive_at_most,
            settle_max=self.settle_max,
            join_wait=self.join_wait,
            min_backends=self.min_backends,
        )

    @property
    def deployment(self) -> DeploymentConfig:
        """The timings of reloads."""
        return DeploymentConfig(
            min_reload_interval=self.min_reload_interval,
            max_old_workers=self.max_old_workers,
            max_old_workers_wait=self.max_old_workers_wait,
            reconcile_interval=self.reconcile_interval,
            on_foreign_edit=self.on_foreign_edit,
        )

    @property
    def validator(self) -> Validator:
        """The validator of candidates."""
        command = self.validate_command or (self.haproxy_binary, "-c", "-f", FILE_PLACEHOLDER)
        return Validator(
            command, self.validate_timeout, lambda: working_directory(self.sockets.present_master())
        )

    def read_template(self) -> str | None:
        """Return the text of the template, None for the one in the package.

        Raises:
            ConfigError: it cannot be read.
        """
        if not self.template:
            return None
        return read_text(Path(self.template), "template")
