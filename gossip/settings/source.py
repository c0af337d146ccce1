"""The sources of settings: files, the environment, flags. Each has the values it sets and their location.

A source only finds values and gives them the names of settings; `gossip.settings.conversion` reads them.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from gossip.errors import ConfigError
from gossip.settings.absent import absent_key
from gossip.settings.setting import settings_of
from gossip.toml_file import parse_toml

_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$")
"""Suffixes of the variables that Kubernetes and Docker links set in containers for each service."""


class Source(NamedTuple):
    """The values that one source sets.

    `where` has the location of each setting in the source, which begins each error. If `is_text`, the values
    are texts that must still be parsed as numbers and so on.
    """

    values: Mapping[str, object]
    where: Callable[[str], str]
    is_text: bool = False


def flag_source(kind: type[Struct], given: Mapping[str, object]) -> Source:
    """Return the source for flags: `given` has values by setting, None or an empty tuple if not given."""
    declared = settings_of(kind)
    values = {name: value for name, value in given.items() if value is not None and value != ()}
    return Source(values, lambda name: declared[name].setting.flag or name, is_text=True)


def environment_source(
    kind: type[Struct], environ: Mapping[str, str], prefix: str, other_prefixes: tuple[str, ...] = ()
) -> Source:
    """Return the source for variables: `prefix` and the setting's name in capitals; ours override Serf's.

    An unknown variable with our prefix is refused: otherwise a misspelt one would be ignored silently.
    Exempt are variables that begin with one of `other_prefixes`, and those that an orchestrator sets for each
    service, because a service may have our name.

    Raises:
        ConfigError: a variable with our prefix is unknown.
    """
    variables: dict[str, str] = {}  # to the setting
    for name, item in settings_of(kind).items():
        if not item.setting.is_table:
            if item.setting.serf_variable:
                variables[item.setting.serf_variable] = name
            variables[prefix + name.upper()] = name
    ours = [name for name in environ if name.startswith(prefix) and not name.startswith(other_prefixes)]
    for name in sorted(ours):
        if name not in variables and not _SERVICE_LINK.search(name):
            raise ConfigError(f"environment variable {name} sets nothing{_nearest(name, variables, prefix)}")
    found = {name: variable for variable, name in variables.items() if variable in environ}
    values = {name: environ[variable] for name, variable in found.items()}
    return Source(values, lambda name: f"environment variable {found[name]}", is_text=True)


def toml_source(kind: type[Struct], path: Path, text: str, table: str = "") -> Source:
    """Return the source for a TOML file with the content `text`: its top level, or its table `table`.

    Raises:
        ConfigError: it is not TOML, or has unknown keys.
    """
    content = parse_toml(text, str(path))
    if table:
        content = _only_table(path, content, table)
    prefix = f"{table}." if table else ""
    inside = f" in [{table}]" if table else ""
    for key in content:
        if key not in settings_of(kind):
            raise ConfigError(f"{path}: {unknown_key(key, settings_of(kind), inside)}")
    return Source(content, lambda name: f"{path}: {prefix}{name}")


def unknown_key(key: str, known: Iterable[str], inside: str = "") -> str:
    """Return the error for an unknown key; `inside` is its location."""
    if advice := absent_key(key):
        return f"{key} is left out on purpose: {advice}"
    return f"unknown key {key!r}{inside}{_nearest(key, known)}"


def _only_table(path: Path, content: dict[str, object], table: str) -> dict[str, object]:
    inside = content.pop(table, {})
    if content:
        names = ", ".join(sorted(content))
        raise ConfigError(f"{path}: unexpected {names}: only [{table}] is read from this file")
    if not isinstance(inside, dict):
        raise ConfigError(f"{path}: {table} must be a table: write [{table}]")
    return inside


def _nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    import difflib  # only for errors

    ends = {each.removeprefix(prefix): each for each in known}
    close = difflib.get_close_matches(name.removeprefix(prefix), ends, n=1)
    return f" (did you mean {ends[close[0]]}?)" if close else ""
