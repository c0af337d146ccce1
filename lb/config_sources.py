"""Sources of the load balancer's settings: a TOML table ``[lb]``, the environment, flags; the last wins."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from gossip.agent.config import AgentConfig
from gossip.agent.config_sources import explained_config
from gossip.errors import ConfigError
from gossip.settings.merge import Merged, merge
from gossip.settings.source import Source, environment_source, flag_source, toml_source
from gossip.toml_file import read_text
from lb.config import MAX_SOCKET_PATH, LbConfig
from lb.haproxy.config_check import FILE_PLACEHOLDER

ENVIRONMENT_PREFIX = "GOSSIP_LB_"
TABLE = "lb"
DEFAULT_TAGS = {"role": "lb"}
_RENDER_ONLY = ("admin_socket", "state_file")


def load_lb_config(
    overrides: Mapping[str, object] = {},
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> LbConfig:
    """Read every source, merge them and check the result.

    `overrides` are the flags: keys are the fields of `LbConfig`, None and () mean "not given".

    Raises:
        ConfigError: one line that names the source, the key, the value and the expected form.
    """
    return explained_lb_config(overrides, config_file, environ).config


def explained_agent_config(
    overrides: Mapping[str, object] = {},
    config_files: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
) -> Merged[AgentConfig]:
    """Return the settings of the load balancer's own agent, which has a default role.

    Raises:
        ConfigError: as for `gossip.agent.config_sources.load_config`.
    """
    config, origins = explained_config(overrides, config_files, environ)
    return Merged(msgspec.structs.replace(config, tags=DEFAULT_TAGS | config.tags), origins)


def explained_lb_config(
    overrides: Mapping[str, object] = {},
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Merged[LbConfig]:
    """Like `load_lb_config`, with the origin of each value."""
    environ = os.environ if environ is None else environ
    files = [] if config_file is None else [_read_file(config_file)]
    environment = environment_source(LbConfig, environ, ENVIRONMENT_PREFIX)
    merged = merge(LbConfig, [*files, environment, flag_source(LbConfig, overrides)])
    _check(merged.config)
    return merged


def _read_file(path: Path) -> Source:
    source = toml_source(LbConfig, path, read_text(path, "configuration"), TABLE)
    haproxy = source.values.get("haproxy")
    for key in _RENDER_ONLY:
        if isinstance(haproxy, dict) and key in haproxy:
            raise ConfigError(f"{path}: set {key} in [lb], not in [lb.haproxy]")
    return source


def _check(config: LbConfig) -> None:
    """Check what the parts cannot check on their own; constructing them checks the rest."""
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
    frontends = [frontend.name for frontend in config.render.frontends if not frontend.binds]
    if frontends:
        raise ConfigError(f"frontend {frontends[0]} has no binds: say where it listens")
    for frontend in config.render.frontends:
        if frontend.backend not in config.backends:
            raise ConfigError(
                f"frontend {frontend.name} wants backend {frontend.backend!r}: "
                f"configured are {', '.join(config.backends)}"
            )
