"""Configuration of the load balancer's side: one TOML table ``[lb]``, the environment, flags; later ones win.

Keys of the agent are read by `gossip.agent.config`; what the template may print stands in ``[lb.haproxy]``.
"""

import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from gossip.agent.config import refuse_unknown
from gossip.agent.duration import Seconds, parse_duration
from gossip.errors import ConfigError
from gossip.toml_file import read_text, read_toml
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

ENVIRONMENT_PREFIX = "GOSSIP_LB_"
MAX_SOCKET_PATH = 91
"""A Unix socket's path has 107 bytes, and HAProxy appends its process id and ``.tmp`` while it binds."""
STATE_NAME = ".lb.state"
_COMMAND = "validate_command"
MASTER_SOCKETS = (Path("/run/haproxy/master.sock"), Path("/run/haproxy-master.sock"))
"""Ours, and that of Debian's systemd unit."""
LIVE_KEYS = (
    *("template", "haproxy", "listen", "stats_bind", "stop_haproxy_on_exit", "on_foreign_edit"),
    *("min_reload_interval", "max_old_workers", "max_old_workers_wait", "reconcile_interval"),
)
"""What a reload of the configuration changes in a running load balancer; every other key needs a restart."""
_RENDER_ONLY = ("admin_socket", "state_file")


class LbConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the load balancer's side is told at its start. Times are in seconds."""

    config_path: str = "/etc/haproxy/haproxy.cfg"
    template: str = ""
    master_socket: str = ""  # nothing: the first of MASTER_SOCKETS that exists, else the first
    admin_socket: str = "/run/haproxy/admin.sock"
    state_file: str = ""
    start_haproxy: bool = False
    stop_haproxy_on_exit: bool = False
    take_over: bool = False
    on_foreign_edit: OnForeignEdit = OnForeignEdit.RESTORE
    haproxy_binary: str = "haproxy"
    stop_timeout: Seconds = Seconds(5)
    validate_command: tuple[str, ...] = ()  # nothing: haproxy_binary -c -f {file}
    validate_timeout: Seconds = Seconds(10)
    runtime_timeout: Seconds = Seconds(1)
    reload_timeout: Seconds = Seconds(5)
    min_reload_interval: Seconds = Seconds(5)
    max_old_workers: int = 4
    max_old_workers_wait: Seconds = Seconds(30)
    reconcile_interval: Seconds = Seconds(30)
    arrive_calm: Seconds = Seconds(2)
    arrive_quiet: Seconds = Seconds(0.5)
    arrive_at_most: Seconds = Seconds(2)
    settle_max: Seconds = Seconds(30)
    join_wait: Seconds = Seconds(15)
    min_backends: int = 1
    role_tag: str = "role"
    role: str = "backend"
    port_tag: str = "port"
    weight_tag: str | None = None
    backend_tag: str | None = None
    backends: tuple[str, ...] = ("web",)
    allowed_networks: tuple[str, ...] = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
    listen: tuple[str, ...] = ()
    stats_bind: str | None = None  # nothing: as in [lb.haproxy]
    haproxy: RenderConfig = RenderConfig()

    @property
    def target(self) -> Path:
        """The file that HAProxy reads."""
        return Path(self.config_path).absolute()

    @property
    def sockets(self) -> Sockets:
        """Where HAProxy listens for commands."""
        state = Path(self.state_file) if self.state_file else self.target.parent / STATE_NAME
        masters = (Path(self.master_socket),) if self.master_socket else MASTER_SOCKETS
        return Sockets(masters[0], Path(self.admin_socket), state, masters[1:])

    @property
    def view_file(self) -> Path:
        """Where the addresses of members are kept for the next start."""
        return self.sockets.state_file.parent / VIEW_NAME

    @property
    def render(self) -> RenderConfig:
        """What the template may print; `listen` stands for one frontend on the first backend."""
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
        """Return `render` with what this machine adds: lines that were carried over, a user that is not root.

        `carried` is what a take-over would carry over; nothing given: what an earlier one did.

        Raises:
            ConfigError: what an earlier take-over carried over cannot be read or used.
        """
        config = with_carried(self.render, carried or read_carried(self.target.parent))
        if config.user is None and config.group is None:
            identity = unprivileged(self.sockets.present_master(), is_started_by_us=self.start_haproxy)
            user, group = identity or (None, None)
            config = msgspec.structs.replace(config, user=user, group=group)
        return config

    def plan(self, *, allow_loopback: bool, agent_listeners: Iterable[tuple[str, int]] = ()) -> PlanConfig:
        """Return which members are servers.

        Loopback addresses are for agents that are bound to one; where the agent listens is no server.
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
        """When to change the file."""
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
        """When to reload."""
        return DeploymentConfig(
            min_reload_interval=self.min_reload_interval,
            max_old_workers=self.max_old_workers,
            max_old_workers_wait=self.max_old_workers_wait,
            reconcile_interval=self.reconcile_interval,
            on_foreign_edit=self.on_foreign_edit,
        )

    @property
    def validator(self) -> Validator:
        """How a candidate is validated."""
        command = self.validate_command or (self.haproxy_binary, "-c", "-f", FILE_PLACEHOLDER)
        return Validator(
            command, self.validate_timeout, lambda: working_directory(self.sockets.present_master())
        )

    def read_template(self) -> str | None:
        """Return the text of the template, None for the one that comes with the package.

        Raises:
            ConfigError: it cannot be read.
        """
        if not self.template:
            return None
        return read_text(Path(self.template), "template")


def load_lb_config(
    overrides: Mapping[str, object] = {},
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> LbConfig:
    """Read every source, merge them and check the result.

    `overrides` are the flags: keys are the fields of `LbConfig`, None and () mean "not given".

    Raises:
        ConfigError: one line that names the source, the key, the value and what is expected.
    """
    environ = os.environ if environ is None else environ
    merged: dict[str, object] = {}
    if config_file is not None:
        table = _read_table(config_file)
        table = _split_command(str(config_file), table)
        _convert(str(config_file), table, strict=True)
        merged |= table
    from_environment = _split_command("environment", _read_environment(environ))
    _convert("environment", from_environment, strict=False)
    given = {key: value for key, value in overrides.items() if value not in (None, ())}
    flags = _split_command("command line", given)
    _convert("command line", flags, strict=True)
    config = _convert("configuration", merged | from_environment | flags, strict=False)
    _check(config)
    return config


def _read_table(path: Path) -> dict[str, object]:
    content = read_toml(path)
    table = content.pop("lb", {})
    if content:
        raise ConfigError(
            f"{path}: unexpected {', '.join(sorted(content))}: only [lb] is read from this file"
        )
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: lb must be a table: write [lb]")
    haproxy = table.get("haproxy")
    for key in _RENDER_ONLY:
        if isinstance(haproxy, dict) and key in haproxy:
            raise ConfigError(f"{path}: set {key} in [lb], not in [lb.haproxy]")
    return table


def _split_command(source: str, raw: dict[str, object]) -> dict[str, object]:
    """Return `raw` with a validation command that is one text split into words, as a shell would."""
    command = raw.get(_COMMAND)
    if not isinstance(command, str):
        return raw
    try:
        return raw | {_COMMAND: shlex.split(command)}
    except ValueError as error:
        raise ConfigError(f"{source}: {_COMMAND} {command!r}: {str(error).lower()}") from None


def _read_environment(environ: Mapping[str, str]) -> dict[str, object]:
    raw: dict[str, object] = {}
    fields = [field for field in msgspec.structs.fields(LbConfig) if field.name != "haproxy"]
    refuse_unknown(environ, [ENVIRONMENT_PREFIX + field.name.upper() for field in fields], ENVIRONMENT_PREFIX)
    for field in fields:
        text = environ.get(ENVIRONMENT_PREFIX + field.name.upper())
        if text is None:
            continue
        is_list = isinstance(field.default, tuple) and field.name != _COMMAND
        raw[field.name] = [part.strip() for part in text.split(",") if part.strip()] if is_list else text
    return raw


def _convert(source: str, raw: Mapping[str, object], *, strict: bool) -> LbConfig:
    try:
        return msgspec.convert(raw, LbConfig, strict=strict, dec_hook=_decode_seconds)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {_explain(str(error))}") from None


def _decode_seconds(_kind: type, value: object) -> Seconds:
    return parse_duration(value)


def _explain(text: str) -> str:
    """Put msgspec's error into the house form: the key first, then what is wrong with it."""
    reason, _, path = text.partition(" - at `$.")
    where = f"lb.{path.rstrip('`')}" if path else "lb"
    if (unknown := reason.removeprefix("Object contains unknown field ")) != reason:
        return f"unknown key {unknown.strip('`')!r} in [{where}]"
    return f"{where}: {reason[:1].lower()}{reason[1:].replace('`', '')}"


def _check(config: LbConfig) -> None:
    """Check what the parts cannot know by themselves; making them checks the rest."""
    _ = config.render, config.plan(allow_loopback=False)
    config.read_template()
    master = str(config.sockets.master)
    if not Path(master).is_absolute() or len(master) > MAX_SOCKET_PATH:
        raise ConfigError(
            f"master_socket {master!r}: use an absolute path of at most {MAX_SOCKET_PATH} bytes"
        )
    if not any(FILE_PLACEHOLDER in part for part in config.validator.command):
        raise ConfigError(
            f"validate_command {' '.join(config.validate_command)!r}: it needs {FILE_PLACEHOLDER} "
            "where the candidate's path goes"
        )
    for key in ("validate_timeout", "runtime_timeout", "reload_timeout", "reconcile_interval"):
        if (seconds := getattr(config, key)) <= 0:
            raise ConfigError(f"{key} ({seconds:g}s) must be above 0")
    for key in ("max_old_workers", "min_backends"):
        if (number := getattr(config, key)) < 1:
            raise ConfigError(f"{key} ({number}) must be at least 1")
    frontends = [frontend.name for frontend in config.render.frontends if not frontend.binds]
    if frontends:
        raise ConfigError(f"frontend {frontends[0]} has no binds: say where it listens")
    for frontend in config.render.frontends:
        if frontend.backend not in config.backends:
            raise ConfigError(
                f"frontend {frontend.name} wants backend {frontend.backend!r}: "
                f"configured are {', '.join(config.backends)}"
            )
