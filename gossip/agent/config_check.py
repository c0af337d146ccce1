"""Checks of an agent's whole configuration: how settings fit together, and the files they name."""

import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gossip.agent.config import AgentConfig
from gossip.agent.event_filter import parse_handlers
from gossip.agent.key_file import read_key_file
from gossip.errors import ConfigError, LocalProtocolError
from gossip.serf.tags import encode_tags
from gossip.settings.setting import settings_of
from gossip.wire.messages import MAX_NAME_BYTES

MAX_DNS_LABEL = 63
_SECRET_REMEDIES = {"encrypt_key": "--encrypt-file or GOSSIP_ENCRYPT_KEY", "rpc_auth": "GOSSIP_RPC_AUTH"}


def check_config(config: AgentConfig) -> None:
    """Check the configuration for mistakes that the settings one by one do not show.

    Raises:
        ConfigError: the first mistake found.
    """
    _check_name(config.node_name)
    if config.discover:
        _check_discovery(config)
    _check_tags(config.tags)
    for handler in config.event_handlers:
        parse_handlers(handler)
    if config.skip_inbound_label_check and not config.label:
        raise ConfigError("skip_inbound_label_check is given without a label: give a label, or leave it out")
    if config.keyring_file:
        if config.encrypt_key:
            raise ConfigError("encrypt_key and keyring_file are both given: choose one")
        read_key_file(Path(config.keyring_file))
    if config.record and not Path(config.record_dir).is_dir():
        raise ConfigError(f"record_dir {config.record_dir!r} is not a directory: create it, or name another")


def config_warnings(overrides: Mapping[str, object], config: AgentConfig) -> list[str]:
    """Return warnings about a valid configuration: exposed secrets, settings without effect."""
    vain = "rejoin_after_leave has no effect without snapshot_path"
    in_vain = [vain] if config.rejoin_after_leave and not config.snapshot_path else []
    return [*in_vain, *_secret_warnings(overrides, config)]


def _secret_warnings(overrides: Mapping[str, object], config: AgentConfig) -> list[str]:
    """Return the secrets that other users of this machine can see: in flags, or in a readable key file."""
    warnings = [
        f"{settings_of(AgentConfig)[key].setting.flag} stands on the command line, where other users of this "
        f"machine can read it (use {remedy})"
        for key, remedy in _SECRET_REMEDIES.items()
        if overrides.get(key)
    ]
    for path in filter(None, (config.encrypt_file, config.keyring_file)):
        with suppress(OSError):  # it was readable a moment ago
            if Path(path).stat().st_mode & stat.S_IROTH:
                warnings.append(f"every user of this machine can read the key in {path} (chmod o-r)")
    return warnings


def _check_name(name: str) -> None:
    size = len(name.encode("utf-8", "surrogateescape"))
    if not name:
        raise ConfigError("node_name is empty: give this agent a name that is unique in the cluster")
    if size > MAX_NAME_BYTES:
        raise ConfigError(f"node_name is {size} bytes long: at most {MAX_NAME_BYTES} are allowed")
    if not name.isprintable():
        raise ConfigError(f"node_name {name!r} contains control or undecodable characters")


def _check_discovery(config: AgentConfig) -> None:
    from importlib.util import find_spec  # most agents are told where others are

    if find_spec("zeroconf") is None:
        raise ConfigError("discover needs the package zeroconf: pip install 'gossip-agent[mdns]'")
    if (size := len(config.node_name.encode("utf-8", "surrogateescape"))) > MAX_DNS_LABEL:
        raise ConfigError(
            f"node_name is {size} bytes long: with discover at most {MAX_DNS_LABEL} are allowed"
        )


def _check_tags(tags: Mapping[str, str]) -> None:
    if "" in tags:
        raise ConfigError("tags: a tag needs a name")
    try:
        encode_tags(tags)
    except LocalProtocolError as error:
        raise ConfigError(f"tags: {error}") from None
