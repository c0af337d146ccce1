"""Merges sources into one configuration: later sources win, and the origin of each value is kept.

As in Serf (serf-wire 8.2), lists of later sources are appended and tables are merged, if the setting is
declared so. Each source is checked on its own, so that an error names the source, the key and the value.
"""

from collections.abc import Iterable, Mapping
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct

from gossip.errors import ConfigError
from gossip.settings.conversion import convert
from gossip.settings.setting import Declared, settings_of
from gossip.settings.source import Source

C = TypeVar("C", bound=Struct)


class Merged(NamedTuple, Generic[C]):
    """A configuration, and the origin of each setting that a source gave."""

    config: C
    origins: Mapping[str, tuple[str, ...]]


def merge(kind: type[C], sources: Iterable[Source]) -> Merged[C]:
    """Return the configuration `kind` that `sources` give; later ones take priority.

    Raises:
        ConfigError: a value is invalid; one line with its origin and the expected value.
    """
    declared = settings_of(kind)
    values: dict[str, object] = {}
    origins: dict[str, tuple[str, ...]] = {}
    for source in sources:
        for name, given in source.values.items():
            item = declared[name]
            try:
                value = convert(item, given, is_text=source.is_text)
            except ValueError as error:
                raise ConfigError(f"{source.where(name)}: {error}") from None
            values[name], is_sum = _added(item, values.get(name), value)
            origins[name] = (*(origins[name] if is_sum else ()), source.where(name))
    return Merged(kind(**values), origins)


def _added(item: Declared, earlier: object, value: object) -> tuple[object, bool]:
    """Return `value` added to the `earlier` one, and whether the earlier one is part of the result."""
    if item.setting.adds:
        if isinstance(earlier, tuple) and isinstance(value, tuple):
            return (*earlier, *value), True
        if isinstance(earlier, dict) and isinstance(value, dict):
            return earlier | value, True
    return value, False
