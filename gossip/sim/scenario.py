"""A scenario: sizes, network and timed acts, in TOML that a person can read and a run can replay.

A run has two phases (after TigerBeetle's VOPR). In the first, `duration` seconds long, `acts` happen; only
the rules that hold at all times are checked. Then every fault ends, and the `core` has `settle` seconds to
agree on the truth.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from gossip.errors import ConfigError, LocalProtocolError
from gossip.serf.config import SerfConfig
from gossip.serf.tags import encode_tags
from gossip.sim.acts import AnyAct, Names
from gossip.sim.network import LONGEST, Conditions, Latency, Seconds
from gossip.swim.config import SwimConfig
from gossip.toml_file import parse_toml
from gossip.toml_text import toml_text
from gossip.wire.keyring import OVERHEAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_NODES = 4096
"""Nodes of one scenario: all of them run in one process, with all their tables."""

SHORTEST_INTERVAL = 0.001
"""Seconds; with shorter intervals, time hardly passes."""
MAX_COUNT = 1000
"""Highest multiplier, and highest number of members chosen at once."""

Profile = Literal["lan", "wan", "local"]

_RANGE = re.compile(r"n(\d+)\.\.n(\d+)")


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Everything that determines a run, apart from the seed. Hosts are called n0, n1 and so on."""

    name: str = ""
    seed: int = 0
    nodes: Annotated[int, Meta(ge=1, le=MAX_NODES)] = 5
    profile: Profile = "lan"
    swim: dict[str, float] = {}  # protocol parameters that differ from the profile
    serf: dict[str, float] = {}  # the same for Serf's layer
    start: Literal["join", "agreed"] = "join"  # join through the seeds, or know each other already
    spread: Seconds = 1.0  # seconds within which agents start
    seeds: Annotated[int, Meta(ge=1)] = 1  # how many of the first hosts are seeds for the others
    retry_interval: Annotated[float, Meta(ge=SHORTEST_INTERVAL, le=LONGEST)] = 30.0
    tags: dict[str, dict[str, str]] = {}  # tags announced by agents, by host or group of hosts
    clocks: Seconds = 0.0  # the largest difference between hosts' clocks
    encrypt: bool = False
    compress: bool = True
    duration: Seconds = 60.0
    settle: Seconds = 600.0
    core: Names = ("*",)
    latency: Latency = Latency()
    network: Conditions = Conditions()
    acts: tuple[AnyAct, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all hosts."""
        return tuple(f"n{number}" for number in range(self.nodes))

    @property
    def seed_names(self) -> tuple[str, ...]:
        """The names of the seed hosts."""
        return self.names[: self.seeds]

    def config(self) -> SerfConfig:
        """Return the nodes' configuration."""
        base = msgspec.to_builtins(getattr(SwimConfig, self.profile)())
        base["packet_overhead"] = OVERHEAD if self.encrypt else 0
        swim = msgspec.convert(base | self.swim, SwimConfig, strict=False)
        return msgspec.structs.replace(msgspec.convert(self.serf, SerfConfig, strict=False), swim=swim)

    def expand(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the hosts that `names` stands for, each once, in the scenario's order."""
        wanted = {name: None for text in names for name in self._each(text)}
        return tuple(name for name in self.names if name in wanted)

    def starting_tags(self) -> dict[str, dict[str, str]]:
        """Return the tags that the agent on each host announces when it starts."""
        tags = {name: {"host": name} for name in self.names}
        for names, given in self.tags.items():
            for name in self.expand((names,)):
                tags[name] |= given
        return tags

    def text(self) -> str:
        """Return the scenario as TOML."""
        return toml_text(msgspec.to_builtins(self))

    def _each(self, text: str) -> Iterator[str]:
        if text == "*":
            yield from self.names
        elif (match := _RANGE.fullmatch(text)) is not None:
            yield from self.names[int(match[1]) : int(match[2]) + 1]
        else:
            yield text


def read_scenario(text: str, source: str = "scenario") -> Scenario:
    """Return the scenario in `text`, which came from `source`.

    Raises:
        ConfigError: one line with the source, the position and the mistake.
    """
    try:
        scenario = msgspec.convert(parse_toml(text, source), Scenario)
    except msgspec.ValidationError as error:
        reason = str(error)
        raise ConfigError(f"{source}: {reason[:1].lower()}{reason[1:]}") from None
    _check(scenario, source)
    return scenario


def _check(scenario: Scenario, source: str) -> None:
    if scenario.seeds > scenario.nodes:
        raise ConfigError(f"{source}: seeds ({scenario.seeds}) must be at most nodes ({scenario.nodes})")
    _check_parameters("swim", scenario.swim, SwimConfig, source)
    _check_parameters("serf", scenario.serf, SerfConfig, source)
    known = frozenset(scenario.names)
    for where, name in _mentioned(scenario):
        if name not in known and name != "*" and not _RANGE.fullmatch(name):
            last = scenario.names[-1]
            raise ConfigError(f"{source}: {where} names {name!r}; hosts are n0 to {last}, n1..n3, or *")
    for host, tags in scenario.starting_tags().items():
        try:
            encode_tags(tags)
        except LocalProtocolError as error:
            raise ConfigError(f"{source}: tags of {host}: {error}") from None
    for number, act in enumerate(scenario.acts):
        if act.at > scenario.duration:
            raise ConfigError(
                f"{source}: act {number} happens at {act.at:g}, after the duration ({scenario.duration:g})"
            )


def _check_parameters(table: str, given: Mapping[str, float], kind: type[Struct], source: str) -> None:
    for key in given:
        if key not in kind.__struct_fields__:
            raise ConfigError(f"{source}: {table}.{key} is not a protocol parameter")
    try:
        msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {table}: {error}") from None
    for key, value in given.items():
        low, high = _limits(key)
        if not low <= value <= high:
            raise ConfigError(f"{source}: {table}.{key} is {value:g}: expected {low:g} to {high:g}")


def _limits(key: str) -> tuple[float, float]:
    """Return the range of a parameter within which a run can end."""
    if key.endswith("_interval"):
        return SHORTEST_INTERVAL, LONGEST
    if key.endswith(("_mult", "_checks", "_nodes", "_max")):
        return (1 if key in ("awareness_max", "suspicion_max_mult") else 0), MAX_COUNT
    return (1 if key.startswith("max_") else 0), LONGEST


def _mentioned(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield every name in the scenario, with its position."""
    for name in scenario.core:
        yield "core", name
    for name in scenario.tags:
        yield "tags", name
    for number, act in enumerate(scenario.acts):
        single = [getattr(act, field, "") for field in ("node", "about", "to_address_of")]
        several = [getattr(act, field, ()) for field in ("nodes", "one", "other", "sources", "targets", "to")]
        for name in (*filter(None, single), *(name for names in several for name in names)):
            yield f"act {number}", name
