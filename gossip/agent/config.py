"""Configuration: defaults, TOML files, environment, flags, in this order; later ones win.

Keys carry Serf's names where Serf has them (serf-wire 8.2). As in Serf, lists of later sources are appended
and tables are merged. Every source is checked on its own, so that an error names the source and the key; what
several keys must agree on is checked once at the end. After that a configuration is trusted.
"""

import base64
import binascii
import os
import re
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from gossip.agent.duration import Seconds, parse_duration
from gossip.agent.endpoint import (
    GOSSIP_PORT,
    Endpoint,
    Seed,
    parse_endpoint,
    parse_rpc_address,
    parse_seed,
)
from gossip.agent.event_filter import parse_handlers
from gossip.agent.key_file import read_key_file
from gossip.errors import ConfigError, LocalProtocolError
from gossip.serf.tags import encode_tags
from gossip.toml_file import read_bounded, read_toml
from gossip.wire.messages import MAX_NAME_BYTES

ENVIRONMENT_PREFIX = "GOSSIP_"
SERF_VARIABLES = {"SERF_RPC_ADDR": "rpc_addr", "SERF_RPC_AUTH": "rpc_auth"}
KEY_SIZES = (16, 24, 32)
MAX_KEY_FILE_BYTES = 1024
PROFILES = ("lan", "wan", "local")
LOG_FORMATS = ("logfmt", "json")
LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERR")
_LEVEL_ALIASES = {"WARNING": "WARN", "ERROR": "ERR"}
_SECRET_FLAGS = (
    ("encrypt_key", "--encrypt", "--encrypt-file or GOSSIP_ENCRYPT_KEY"),
    ("rpc_auth", "--rpc-auth", "GOSSIP_RPC_AUTH"),
)
_OTHER_PREFIX = "GOSSIP_LB_"
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$")
"""What Kubernetes, and Docker's links, tell containers of each service."""
_LISTS = ("start_join", "retry_join")
_LINES = ("event_handlers",)
"""Lists whose elements may contain commas: one a line in the environment."""


class AgentConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an agent is told at its start. Times are in seconds."""

    node_name: str = ""
    bind: str = f"0.0.0.0:{GOSSIP_PORT}"
    advertise: str = ""
    interface: str = ""
    tags: dict[str, str] = {}
    encrypt_key: str = ""
    encrypt_file: str = ""
    keyring_file: str = ""
    profile: str = "lan"
    disable_compression: bool = False
    start_join: tuple[str, ...] = ()
    replay_on_join: bool = False
    retry_join: tuple[str, ...] = ()
    retry_interval: Seconds = Seconds(30)
    retry_max_attempts: int = 0
    broadcast_timeout: Seconds = Seconds(5)
    reconnect_interval: Seconds = Seconds(30)
    reconnect_timeout: Seconds = Seconds(86400)
    tombstone_timeout: Seconds = Seconds(86400)
    rpc_addr: str = "127.0.0.1:7373"
    rpc_auth: str = ""
    log_level: str = "INFO"
    log_format: str = "logfmt"
    event_handlers: tuple[str, ...] = ()
    event_handler_timeout: Seconds = Seconds(60)
    ready_fd: int | None = None
    record: bool = False
    record_dir: str = "."
    control: str = ""

    @property
    def bind_endpoint(self) -> Endpoint:
        """Where gossip listens."""
        return parse_endpoint(self.bind, GOSSIP_PORT)

    @property
    def advertise_endpoint(self) -> Endpoint | None:
        """What peers are told, if it differs from `bind`; without a port of its own it takes `bind`'s."""
        return parse_endpoint(self.advertise, self.bind_endpoint.port) if self.advertise else None

    @property
    def rpc_endpoint(self) -> Endpoint | Path | None:
        """Where the RPC listens; None when it is switched off."""
        return parse_rpc_address(self.rpc_addr)

    @property
    def secret_key(self) -> bytes | None:
        """The gossip encryption key, 16, 24 or 32 bytes, or None when gossip is in the clear."""
        return _decode_key(self.encrypt_key) if self.encrypt_key else None

    def seeds(self, texts: Iterable[str]) -> list[Seed]:
        """Parse join addresses; a seed without a port is asked at our own gossip port."""
        return [parse_seed(text, self.bind_endpoint.port) for text in texts]


def load_config(
    overrides: Mapping[str, object] = {},
    config_files: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
) -> AgentConfig:
    """Read every source, merge them and check the result.

    `overrides` are the flags: keys are the fields of `AgentConfig`, None means "not given"; `tags` may be a
    mapping or a list of ``key=value``.

    Raises:
        ConfigError: one line that names the source, the key, the value and what is expected.
    """
    environ = os.environ if environ is None else environ
    merged: dict[str, object] = {}
    for path in config_files:
        _merge(merged, str(path), read_toml(path), strict=True)
    _merge(merged, "environment", _read_environment(environ), strict=False)
    _merge(merged, "command line", _read_overrides(overrides), strict=True)
    config = _convert("configuration", merged, strict=False)
    if "node_name" not in merged:
        config = msgspec.structs.replace(config, node_name=os.uname().nodename)
    if config.encrypt_file:
        config = _with_key_from_file(config)
    config = msgspec.structs.replace(config, log_level=normal_level(config.log_level))
    check_config(config)
    return config


def check_variables(environ: Mapping[str, str]) -> None:
    """Refuse a variable with our prefix that sets nothing: a misspelt one would be ignored without a word.

    Those of the load balancer are its own business; those that an orchestrator sets for each service are let
    through, because a service may be called ``gossip``.

    Raises:
        ConfigError: there is one.
    """
    ours = [name for name in environ if not name.startswith(_OTHER_PREFIX)]
    refuse_unknown(ours, _variables(), ENVIRONMENT_PREFIX)


def refuse_unknown(names: Iterable[str], known: Collection[str], prefix: str) -> None:
    """Refuse the first of `names` that begins with `prefix`, is not `known` and is no orchestrator's.

    Raises:
        ConfigError: there is one; the text says which known one is nearest.
    """
    for name in sorted(names):
        if name.startswith(prefix) and name not in known and not _SERVICE_LINK.search(name):
            raise ConfigError(f"environment variable {name} sets nothing{_nearest(name, known, prefix)}")


def _nearest(name: str, known: Iterable[str], prefix: str) -> str:
    import difflib  # only on the way out with an error

    ends = {variable.removeprefix(prefix): variable for variable in known}
    close = difflib.get_close_matches(name.removeprefix(prefix), ends, n=1)
    return f" (did you mean {ends[close[0]]}?)" if close else ""


def secret_warnings(overrides: Mapping[str, object], config: AgentConfig) -> list[str]:
    """Return what other users of this machine may learn: secrets among the flags, a key file open to all."""
    warnings = [
        f"{flag} stands on the command line, where other users of this machine can read it (use {remedy})"
        for key, flag, remedy in _SECRET_FLAGS
        if overrides.get(key)
    ]
    for path in filter(None, (config.encrypt_file, config.keyring_file)):
        with suppress(OSError):  # read a moment ago
            if Path(path).stat().st_mode & stat.S_IROTH:
                warnings.append(f"every user of this machine can read the key in {path} (chmod o-r)")
    return warnings


def check_config(config: AgentConfig) -> None:
    """Check values, alone and together.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    _check_name(config.node_name)
    _check_addresses(config)
    _check_tags(config.tags)
    _check_secret(config)
    for handler in config.event_handlers:
        parse_handlers(handler)
    _check_choice("profile", config.profile, PROFILES)
    _check_choice("log_format", config.log_format, LOG_FORMATS)
    _check_choice("log_level", config.log_level, LOG_LEVELS)
    for key in ("retry_interval", "broadcast_timeout", "reconnect_interval", "event_handler_timeout"):
        if (seconds := getattr(config, key)) < 1:
            raise ConfigError(f"{key} ({seconds:g}s) must be at least 1s")
    if config.retry_max_attempts < 0:
        raise ConfigError(f"retry_max_attempts ({config.retry_max_attempts}) must be 0 (no limit) or more")
    if config.record and not Path(config.record_dir).is_dir():
        raise ConfigError(f"record_dir {config.record_dir!r} is not a directory: create it, or name another")
    if config.ready_fd is not None and config.ready_fd < 1:
        raise ConfigError(f"ready_fd ({config.ready_fd}) must be the number of an open descriptor above 0")


def normal_level(level: str) -> str:
    """Return Serf's spelling of a log level; unknown ones come back in capitals."""
    upper = level.upper()
    return _LEVEL_ALIASES.get(upper, upper)


def parse_tag(text: str) -> tuple[str, str]:
    """Split ``key=value``.

    Raises:
        ConfigError: there is no ``=``, or nothing before it.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"tag {text!r} is not key=value")
    return key, value


def _variables() -> dict[str, str]:
    fields = AgentConfig.__struct_fields__
    return SERF_VARIABLES | {ENVIRONMENT_PREFIX + field.upper(): field for field in fields}


def _read_environment(environ: Mapping[str, str]) -> dict[str, object]:
    raw: dict[str, object] = {}
    for variable, field in _variables().items():
        text = environ.get(variable)
        if text is None:
            continue
        if field in _LINES:
            raw[field] = [line.strip() for line in text.splitlines() if line.strip()]
        elif field in _LISTS:
            raw[field] = [part.strip() for part in text.split(",") if part.strip()]
        elif field == "tags":
            raw[field] = dict(parse_tag(part) for part in text.split(",") if part)
        else:
            raw[field] = text
    return raw


def _read_overrides(overrides: Mapping[str, object]) -> dict[str, object]:
    raw = {key: value for key, value in overrides.items() if value is not None}
    tags = raw.get("tags")
    if isinstance(tags, list | tuple):
        raw["tags"] = dict(parse_tag(str(tag)) for tag in tags)
    return raw


def _merge(merged: dict[str, object], source: str, raw: dict[str, object], *, strict: bool) -> None:
    """Check `raw` on its own, then put it over what earlier sources said."""
    _convert(source, raw, strict=strict)
    for key, value in raw.items():
        earlier = merged.get(key)
        if isinstance(earlier, list) and isinstance(value, list | tuple):
            merged[key] = [*earlier, *value]
        elif isinstance(earlier, dict) and isinstance(value, Mapping):
            merged[key] = {**earlier, **value}
        else:
            merged[key] = list(value) if isinstance(value, tuple) else value


def _convert(source: str, raw: Mapping[str, object], *, strict: bool) -> AgentConfig:
    try:
        return msgspec.convert(raw, AgentConfig, strict=strict, dec_hook=_decode_seconds)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {_explain(str(error))}") from None


def _decode_seconds(_kind: type, value: object) -> Seconds:
    return parse_duration(value)


def _explain(text: str) -> str:
    """Put msgspec's error into the house form: the key first, then what is wrong with it."""
    if (unknown := text.removeprefix("Object contains unknown field ")) != text:
        key = unknown.split("`")[1]
        return f"unknown key {key!r}{_suggestion(key)}"
    reason, _, path = text.partition(" - at `$.")
    reason = reason.replace("`array`", "a list").replace("`object`", "a table").replace("`", "")
    return f"{path.rstrip('`')}: {_lowered(reason)}"


def _suggestion(key: str) -> str:
    import difflib  # only on the way out with an error

    close = difflib.get_close_matches(key, AgentConfig.__struct_fields__, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _check_name(name: str) -> None:
    size = len(name.encode("utf-8", "surrogateescape"))
    if not name:
        raise ConfigError("node_name is empty: give this agent a name that is unique in the cluster")
    if size > MAX_NAME_BYTES:
        raise ConfigError(f"node_name is {size} bytes long: at most {MAX_NAME_BYTES} are allowed")
    if not name.isprintable():
        raise ConfigError(f"node_name {name!r} contains control or undecodable characters")


def _check_addresses(config: AgentConfig) -> None:
    try:
        key = "bind"
        _ = config.bind_endpoint
        key = "advertise"
        _ = config.advertise_endpoint
        key = "rpc_addr"
        _ = config.rpc_endpoint
        key = "start_join"
        config.seeds(config.start_join)
        key = "retry_join"
        config.seeds(config.retry_join)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from None


def _check_tags(tags: Mapping[str, str]) -> None:
    if "" in tags:
        raise ConfigError("tags: a tag needs a name")
    try:
        encode_tags(tags)
    except LocalProtocolError as error:
        raise ConfigError(f"tags: {error}") from None


def _check_secret(config: AgentConfig) -> None:
    try:
        _ = config.secret_key
    except ValueError as error:
        raise ConfigError(f"encrypt_key: {error}") from None
    if config.keyring_file:
        if config.encrypt_key:
            raise ConfigError("encrypt_key and keyring_file are both given: choose one")
        read_key_file(Path(config.keyring_file))


def _decode_key(text: str) -> bytes:
    """Decode a base64 key; the error never repeats the key itself."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("expected base64 of 16, 24 or 32 bytes, got something else") from None
    if len(key) not in KEY_SIZES:
        raise ValueError(f"expected base64 of 16, 24 or 32 bytes, got {len(key)} bytes")
    return key


def _with_key_from_file(config: AgentConfig) -> AgentConfig:
    if config.encrypt_key:
        raise ConfigError("encrypt_key and encrypt_file are both given: choose one")
    path = Path(config.encrypt_file)
    try:
        text = read_bounded(path, "encrypt_file", MAX_KEY_FILE_BYTES).decode("ascii").strip()
        _decode_key(text)
    except ValueError:
        raise ConfigError(f"encrypt_file {path}: expected base64 of 16, 24 or 32 bytes") from None
    return msgspec.structs.replace(config, encrypt_key=text)


def _check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ConfigError(f"{key} {value!r} is unknown: expected one of {', '.join(choices)}")
