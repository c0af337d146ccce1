"""The declaration of a setting: its meaning, and its name in each source.

The settings of a program are the fields of a Struct. A field gives the name, the type and the default; the
`Setting` in its annotation gives the rest. Flags, file reading, the environment, help texts and the reference
in the documentation are all made from these declarations.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from types import UnionType
from typing import NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from gossip.settings.duration import Seconds, duration_text


class Serf(Enum):
    """The names of a setting in ``serf agent`` (serf-wire 8.1, 8.2)."""

    NOT = "not at all"
    KEY = "as a key of its files"
    FLAG = "as a key and, with one dash, as the same flag"


class Words(Enum):
    """How a list is written in one line of text."""

    COMMAS = "separated by commas"
    LINES = "one a line"
    SHELL = "split like a shell command"


class Setting(Struct, frozen=True):
    """The meaning and names of a setting; the name of the field is its key in our own files.

    `default` describes a default that the value itself does not show. `is_live` settings are applied when a
    running program reloads its configuration; the others need a restart.
    """

    help: str
    flag: str = ""  # such as "--node"; empty if it has none
    metavar: str = ""
    serf: Serf = Serf.NOT
    off_flag: str = ""  # the flag that switches it off; empty for "--no-" and the flag
    default: str = ""
    serf_opposite: str = ""  # Serf's key, if that has the opposite meaning
    serf_variable: str = ""  # Serf's environment variable that also sets it
    words: Words = Words.COMMAS
    adds: bool = False  # extends the value of earlier sources instead of replacing it
    is_table: bool = False  # in files only: neither flag nor variable
    is_secret: bool = False
    is_live: bool = False
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    refine: Callable[[str], str] | None = None
    """Returns a text, or each text of a list, in its final spelling; raises ValueError with the reason."""


class Declared(NamedTuple):
    """A setting, with the name, type and default of its field."""

    name: str
    kind: object  # a type as in annotations
    default: object
    setting: Setting

    @property
    def serf_key(self) -> str:
        """The key in Serf's files; empty if Serf has none."""
        return self.setting.serf_opposite or ("" if self.setting.serf is Serf.NOT else self.name)

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off."""
        return self.kind is bool

    @property
    def is_list(self) -> bool:
        """Whether it has any number of values."""
        return get_origin(self.kind) is tuple

    @property
    def is_map(self) -> bool:
        """Whether its values have names."""
        return get_origin(self.kind) is dict

    @property
    def is_duration(self) -> bool:
        """Whether it is a length of time."""
        return self.kind is Seconds

    @property
    def is_number(self) -> bool:
        """Whether it is a whole number, possibly None."""
        return self.kind is int or (isinstance(self.kind, UnionType) and int in get_args(self.kind))

    @property
    def off_flag(self) -> str:
        """The flag that switches it off; empty if the setting is not a switch."""
        flag = self.setting.flag
        return self.setting.off_flag or f"--no-{flag.removeprefix('--')}" if self.is_switch and flag else ""

    @property
    def default_text(self) -> str:
        """The default in words; empty if there is none to mention."""
        if self.setting.default:
            return self.setting.default
        match self.default:
            case bool():
                text = "yes" if self.default else "no"
            case Seconds():
                text = duration_text(self.default)
            case tuple():
                text = ", ".join(map(str, self.default))
            case None | dict() | Struct():
                text = ""
            case _:
                text = str(self.default)
        return text


@lru_cache
def settings_of(kind: type[Struct]) -> Mapping[str, Declared]:
    """Return the settings that the fields of `kind` declare, by name, in their order."""
    hints: Mapping[str, object] = get_type_hints(kind, include_extras=True)
    declared = {}
    for field in msgspec.structs.fields(kind):
        kind_of_value, setting = get_args(hints[field.name])
        assert isinstance(setting, Setting), field.name
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        declared[field.name] = Declared(field.name, kind_of_value, default, setting)
    return declared


def live_settings(kind: type[Struct]) -> tuple[str, ...]:
    """Return the names of the settings that a reload applies."""
    return tuple(name for name, item in settings_of(kind).items() if item.setting.is_live)
