"""Reading an agent's settings: defaults, files, environment, flags; later ones override earlier ones.

Every source is checked on its own, and the result once at the end. After that, a configuration is trusted.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from gossip.agent.config import AgentConfig
from gossip.agent.config_check import check_config
from gossip.agent.tags_file import read_tags_file
from gossip.errors import ConfigError
from gossip.settings.config_files import read_config_files
from gossip.settings.merge import Merged, merge
from gossip.settings.source import Source, environment_source, flag_source
from gossip.toml_file import read_bounded
from gossip.wire.keyring import decode_key

ENVIRONMENT_PREFIX = "GOSSIP_"
OTHER_PREFIXES = ("GOSSIP_LB_",)
"""Prefixes of the load balancer's variables, which the agent ignores."""
MAX_KEY_FILE_BYTES = 1024


def load_config(
    overrides: Mapping[str, object] = {},
    config_files: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
) -> AgentConfig:
    """Read every source, merge them and check the result.

    `overrides` are the flags: keys are the fields of `AgentConfig`, None means "not given"; `tags` may be a
    mapping or a list of ``key=value``.

    Raises:
        ConfigError: one line that names the source, the key, the value and the expected form.
    """
    return explained_config(overrides, config_files, environ).config


def explained_config(
    overrides: Mapping[str, object] = {},
    config_files: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
) -> Merged[AgentConfig]:
    """Like `load_config`, with the origin of each value."""
    environ = os.environ if environ is None else environ
    merged = merge(AgentConfig, agent_sources(overrides, config_files, environ))
    config, origins = merged
    if "node_name" not in origins:
        config = msgspec.structs.replace(config, node_name=os.uname().nodename)
    if config.role:  # it overrides the tag from any source, as in Serf
        config = msgspec.structs.replace(config, tags=config.tags | {"role": config.role}, role="")
    if config.tags_file:
        config = _with_tags_from_file(config)
    if config.encrypt_file:
        config = _with_key_from_file(config)
    check_config(config)
    return Merged(config, origins)


def agent_sources(
    overrides: Mapping[str, object], config_files: Sequence[Path], environ: Mapping[str, str]
) -> list[Source]:
    """Return all sources of an agent's settings, in order of increasing priority.

    Raises:
        ConfigError: a file cannot be read, or a source has an unknown setting.
    """
    return [
        *read_config_files(AgentConfig, config_files),
        environment_source(AgentConfig, environ, ENVIRONMENT_PREFIX, OTHER_PREFIXES),
        flag_source(AgentConfig, overrides),
    ]


def _with_tags_from_file(config: AgentConfig) -> AgentConfig:
    if config.tags:
        names = ", ".join(sorted(config.tags))
        raise ConfigError(f"tags_file is given, and so are tags ({names}): put them into the file")
    return msgspec.structs.replace(config, tags=read_tags_file(Path(config.tags_file)))


def _with_key_from_file(config: AgentConfig) -> AgentConfig:
    if config.encrypt_key:
        raise ConfigError("encrypt_key and encrypt_file are both given: choose one")
    path = Path(config.encrypt_file)
    try:
        text = read_bounded(path, "encrypt_file", MAX_KEY_FILE_BYTES).decode("ascii").strip()
        decode_key(text)
    except ValueError:
        raise ConfigError(f"encrypt_file {path}: expected base64 of 16, 24 or 32 bytes") from None
    return msgspec.structs.replace(config, encrypt_key=text)
