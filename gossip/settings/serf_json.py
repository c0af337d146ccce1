"""Serf's configuration files, read unchanged (serf-wire 8.2).

A file is an object with Serf's keys, in upper or lower case. As in Serf, an empty text, zero, false and
null count as not set: a later file can add to an earlier one but not undo it. Only `enable_compression`
can be false.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from gossip.errors import ConfigError
from gossip.settings.absent import absent_key
from gossip.settings.setting import Declared, settings_of
from gossip.settings.source import Source

_WITHOUT_EFFECT = ("syslog_facility",)
"""Keys without a meaning of their own: each modifies an unsupported key."""


def serf_source(kind: type[Struct], path: Path, text: str) -> Source:
    """Return the source for the Serf file at `path` with the content `text`.

    Raises:
        ConfigError: it is not a JSON object, or has a key that Serf does not know or that is unsupported
            here.
    """
    by_key = {item.serf_key: item for item in settings_of(kind).values() if item.serf_key}
    values: dict[str, object] = {}
    spelled: dict[str, str] = {}
    for key, value in _parse(path, text).items():
        known = key.lower()
        if known not in by_key:
            if known in _WITHOUT_EFFECT or (absent_key(known) and not value):
                continue
            raise ConfigError(f"{path}: {_refusal(key)}")
        item = by_key[known]
        if says_something(item, value):
            values[item.name] = _in_our_terms(item, value)
            spelled[item.name] = key
    return Source(values, lambda name: f"{path}: {spelled[name]}")


def says_something(item: Declared, value: object) -> bool:
    """Return whether Serf uses `value`; it treats an empty, zero or false value as not set."""
    if value is False and item.setting.serf_opposite:
        return True
    return bool(value) and not (item.is_duration and value in ("0", "0s"))


def _in_our_terms(item: Declared, value: object) -> object:
    if item.setting.serf_opposite and isinstance(value, bool):
        return not value
    if item.is_number and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _refusal(key: str) -> str:
    if advice := absent_key(key.lower()):
        return f"{key} is left out on purpose: {advice}"
    return f"unknown key {key!r}: Serf has no such key (our own keys go into a TOML file)"


def _parse(path: Path, text: str) -> Mapping[str, object]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"{path} is not valid JSON: {error.msg.lower()} ({where})") from None
    except RecursionError:
        raise ConfigError(f"{path} is not valid JSON: nested too deeply") from None
    except ValueError:
        raise ConfigError(f"{path} is not valid JSON: a number has too many digits") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is not a configuration: expected an object in braces")
    return content
