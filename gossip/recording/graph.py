"""A node's whole state as bytes and back: every object in it, including the random generator.

Not pickle: a recording may come from anywhere, and loading it must not be able to run code. `kinds` lists the
classes and methods that may occur. Reading creates instances of these classes, fills their fields, and binds
these methods; it calls nothing that a file could name (ADR 12).

The bytes are a stream of msgpack rows: first the fields of each class, then one row per object, in the order
in which they are found, starting at the node. Mutable objects are numbered, so that sharing is preserved;
values are written in place. Equal states give equal bytes, independent of their history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from hashlib import blake2b
from itertools import chain, islice
from math import isnan
from random import Random
from types import BuiltinMethodType, MethodType
from typing import cast

from msgspec import Struct, ValidationError, convert
from msgspec.structs import astuple, replace

from gossip.recording.kinds import (
    DICT,
    ENUMS_BY_NAME,
    KIND,
    LIST,
    MAPPING,
    METHOD,
    METHODS,
    NUMBERED,
    PARTS_BY_NAME,
    PLAIN,
    RANDOM,
    ROWS,
    SLOTS,
    TUPLE,
    VALUES_BY_NAME,
)
from gossip.recording.redaction import redacted, redacted_incoming
from gossip.recording.rows import RecordingError, pack_row, unpack_rows
from gossip.serf.config import SerfConfig
from gossip.serf.effects import QueryAnswered
from gossip.serf.node import LocalMember, SerfNode
from gossip.serf.queries import IncomingQuery
from gossip.swim.config import SwimConfig
from gossip.swim.dissemination import Broadcast
from gossip.swim.effects import MessageRejected, SendPacket
from gossip.wire.messages import MemberState, NodeState, PushPull

MAX_DEPTH = 16
"""How deep values may be nested; our deepest, a row of a push/pull in an effect, takes 5."""
MAX_OBJECTS = 2**20
"""Most objects in one state; 16,384 members take a twentieth."""
SHORTEST, LONGEST = 0.001, 1e9
"""Limits of times in a configuration that is read, in seconds; ours range from 100 ms to a day."""
LARGEST = 2**22
"""Largest number in a configuration that is read; our largest is the bytes of buffered events."""
DIGEST_BYTES = 16


def digest(state: bytes) -> bytes:
    """Return a short identifier of a state: equal for equal states, and only for those."""
    return blake2b(state, digest_size=DIGEST_BYTES).digest()


def dump_state(node: SerfNode) -> bytes:
    """Return the whole state of `node`; changes nothing and draws no random number.

    Raises:
        TypeError: the node holds an object that `kinds` does not list, which is our mistake.
    """
    return _Writer().write(node)


def dump_value(value: object) -> object:
    """Return an argument of a call for `load_value`: a plain value, or a list that starts with its kind."""
    return _Writer().value(_frozen(value))


def load_value(raw: object) -> object:
    """Return the argument that `dump_value` wrote.

    Raises:
        RecordingError: it is not such an argument.
    """
    return _Reader([]).value(raw)


def load_state(state: bytes) -> SerfNode:
    """Return a node in `state`.

    Raises:
        RecordingError: the bytes are broken, hostile, or of another version.
    """
    rows = list(islice(unpack_rows(state), MAX_OBJECTS + 2))
    if len(rows) < 2 or not isinstance(rows[0], list):
        raise RecordingError("the checkpoint is empty")
    if len(rows) > MAX_OBJECTS + 1:
        raise RecordingError(f"the checkpoint has more than {MAX_OBJECTS} objects")
    reader = _Reader(rows[1:])
    _check_fields(rows[0], reader)
    node = reader.read()
    if not isinstance(node, SerfNode):
        raise RecordingError(f"the checkpoint is of a {type(node).__name__}, not of a node")
    return node


_Row = tuple[str, bytes, int, bytes, int, MemberState, bytes]


class _Writer:
    """Numbers objects in the order in which they are found, and writes one row for each."""

    def __init__(self) -> None:
        self._found: list[object] = []
        self._number: dict[int, int] = {}
        self._fields: dict[str, Sequence[str]] = {}

    def write(self, node: SerfNode) -> bytes:
        self._refer(node)
        rows = [pack_row(self._row(thing)) for thing in self._found]  # the list grows during the iteration
        fields = [[name, *names] for name, names in sorted(self._fields.items())]
        return b"".join((pack_row(fields), *rows))

    def value(self, value: object) -> object:
        kind = type(value)
        if kind in PLAIN:
            return value
        if kind in NUMBERED:
            return self._refer(value)
        return float(value) if isinstance(value, float) else self._tagged(value)

    def _tagged(self, value: object) -> list[object]:
        name = KIND.get(type(value), "")
        if isinstance(value, tuple):
            return [TUPLE, *self._values(value)]
        if isinstance(value, PushPull):
            # By far the longest input: its rows are packed as they are.
            return [name, value.join, [ROWS, *map(astuple, value.nodes)], value.user_state]
        if isinstance(value, Struct) and name:
            self._fields.setdefault(name, value.__struct_fields__)
            return [name, *self._values(astuple(_shown(value)))]
        if isinstance(value, Enum) and name:
            return [name, value.name]
        if isinstance(value, _Mapping):
            return [MAPPING, *self._values(chain.from_iterable(value.items))]
        if isinstance(value, MethodType | BuiltinMethodType):
            owner = value.__self__
            if (type(owner).__name__, value.__name__) in METHODS:
                return [METHOD, self._refer(owner), value.__name__]
        raise TypeError(f"{value!r} cannot be recorded")

    def _refer(self, thing: object) -> list[object]:
        number = self._number.get(id(thing))
        if number is None:
            number = self._number[id(thing)] = len(self._found)
            self._found.append(thing)
        return [number]

    def _row(self, thing: object) -> list[object]:
        if isinstance(thing, list):
            return [LIST, *self._values(thing)]
        if isinstance(thing, dict):
            return [DICT, *self._values(chain.from_iterable(thing.items()))]
        if isinstance(thing, Random):
            version, numbers, pending = thing.getstate()
            return [RANDOM, version, pending, *numbers]
        kind = type(thing)
        names: Sequence[str] = SLOTS[kind] or tuple(sorted(vars(thing)))
        self._fields.setdefault(kind.__name__, names)
        fields = [getattr(thing, name) for name in names]
        if kind is Broadcast:
            fields[names.index("data")] = redacted(cast(Broadcast, thing).data)
        return [kind.__name__, *self._values(fields)]

    def _values(self, values: Iterable[object]) -> list[object]:
        # Most values are plain: checked here to save a call for each.
        return [value if type(value) in PLAIN else self.value(value) for value in values]


class _Mapping(Struct):
    """A mapping among the arguments of a call: a value in a recording, not an object with an identity."""

    items: list[tuple[object, object]]


def _shown(value: Struct) -> Struct:
    """Return an effect without the parts that a recording leaves out."""
    if isinstance(value, SendPacket):
        return replace(value, parts=tuple(map(redacted, value.parts)))
    if isinstance(value, MessageRejected):
        return replace(value, reason="")  # it may quote a redacted part
    if isinstance(value, IncomingQuery):
        return redacted_incoming(value)
    if isinstance(value, QueryAnswered):
        return replace(value, payload=bytes(len(value.payload)))
    return value


def _frozen(value: object) -> object:
    """Return an argument of a call, its lists turned into tuples and its dicts into `_Mapping`."""
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return _Mapping(list(value.items()))
    return value


class _Reader:
    """Creates all objects empty, then fills them, so that they may refer to each other in cycles."""

    def __init__(self, rows: Sequence[object]) -> None:
        self._has_random = False
        self._rows = [self._checked(row) for row in rows]
        self._made = [self._make(str(row[0])) for row in self._rows]
        self._depth = 0

    def kinds(self) -> set[str]:
        """Return the names of all classes that have a row."""
        return {str(row[0]) for row in self._rows}

    def read(self) -> object:
        for thing, row in zip(self._made, self._rows, strict=True):
            self._fill(thing, row[1:])
        return self._made[0]

    def value(self, raw: object) -> object:
        if not isinstance(raw, list):
            if isinstance(raw, dict) or (isinstance(raw, float) and isnan(raw)):
                raise RecordingError(f"a recording holds no {raw!r:.40}")
            return raw
        if self._depth >= MAX_DEPTH or not raw:
            raise RecordingError("a value is empty or nested too deeply")
        self._depth += 1
        try:
            return self._tagged(raw[0], raw[1:])
        finally:
            self._depth -= 1

    def _tagged(self, tag: object, rest: list[object]) -> object:
        if isinstance(tag, int):
            return self._referred(tag, rest)
        if tag == ROWS:
            return tuple(map(_member_row, rest))
        values = [self.value(each) for each in rest]
        if isinstance(tag, str):
            if tag in _COMPOSED:
                return _COMPOSED[tag](values)
            if tag in VALUES_BY_NAME:
                return _struct(VALUES_BY_NAME[tag], values)
            if tag in ENUMS_BY_NAME:
                return _enum(ENUMS_BY_NAME[tag], values)
        raise RecordingError(f"there is no {tag!s:.40} in a recording")

    def _referred(self, number: int, rest: list[object]) -> object:
        if rest or not 0 <= number < len(self._made):
            raise RecordingError(f"a row refers to object {number}: there are {len(self._made)}")
        return self._made[number]

    def _checked(self, row: object) -> list[object]:
        if not isinstance(row, list) or not row or not isinstance(row[0], str):
            raise RecordingError("a row does not say what it is")
        return row

    def _make(self, kind: str) -> object:
        if kind == LIST:
            return []
        if kind == DICT:
            return {}
        if kind == RANDOM:
            # A generator takes 2.5 kB, which a file could request with ten bytes.
            if self._has_random:
                raise RecordingError("there is more than one random generator")
            self._has_random = True
            return Random(0)
        cls = PARTS_BY_NAME.get(kind)
        if cls is None:
            raise RecordingError(f"there is no {kind:.40} in a recording")
        return object.__new__(cls)

    def _fill(self, thing: object, row: list[object]) -> None:
        if isinstance(thing, Random):
            _set_random(thing, row)
            return
        values = [self.value(each) for each in row]
        if isinstance(thing, list):
            thing.extend(values)
        elif isinstance(thing, dict):
            thing.update(_pairs(values))
        else:
            names = _names(type(thing))
            _expect(type(thing).__name__, len(values), len(names))
            for name, value in zip(names, values, strict=True):
                setattr(thing, name, value)


def _pairs(values: list[object]) -> dict[object, object]:
    if len(values) % 2:
        raise RecordingError("a mapping has a key without a value")
    try:
        return dict(zip(values[::2], values[1::2], strict=True))
    except TypeError as error:
        raise RecordingError(f"a mapping has a key that cannot be one: {error}") from None


def _struct(cls: type[Struct], values: list[object]) -> Struct:
    _expect(cls.__name__, len(values), len(cls.__struct_fields__))
    if cls is SwimConfig or cls is SerfConfig:
        _check_config(values)
    return cls(**dict(zip(cls.__struct_fields__, values, strict=True)))


def _check_config(values: list[object]) -> None:
    """Refuse intervals and counts that would keep the core busy forever."""
    for value in values:
        if isinstance(value, float) and not SHORTEST <= value <= LONGEST:
            raise RecordingError(f"the configuration has a time of {value} s")
        if isinstance(value, int) and not 0 <= value <= LARGEST:
            raise RecordingError(f"the configuration has a number of {value}")


def _enum(cls: type[Enum], values: list[object]) -> Enum:
    for member in cls:
        if [member.name] == values:
            return member
    raise RecordingError(f"there is no such {cls.__name__}")


def _member_row(raw: object) -> NodeState:
    try:
        return NodeState(*convert(raw, _Row))
    except ValidationError as error:
        raise RecordingError(f"a row of a push/pull is broken: {error}") from None


def _bound(values: list[object]) -> Callable[..., object]:
    if len(values) == 2 and (type(values[0]).__name__, values[1]) in METHODS:
        return cast(Callable[..., object], getattr(values[0], str(values[1])))
    raise RecordingError("a recording refers to a method that is not listed")


_COMPOSED: dict[str, Callable[[list[object]], object]] = {TUPLE: tuple, MAPPING: _pairs, METHOD: _bound}


def _set_random(rng: Random, row: list[object]) -> None:
    try:
        rng.setstate((row[0], tuple(row[2:]), row[1]))
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        raise RecordingError(f"the state of the random generator is broken: {error}") from None


def _expect(name: str, found: int, expected: int) -> None:
    if found != expected:
        raise RecordingError(f"a {name} of {found} fields: expected {expected}")


def _names(cls: type) -> Sequence[str]:
    """Return the fields of a class in this version; for a class without slots, a new node shows them."""
    return SLOTS[cls] or _new_node_fields()[cls.__name__]


def _new_node_fields() -> dict[str, Sequence[str]]:
    if not _NEW_NODE_FIELDS:
        writer = _Writer()
        writer.write(SerfNode(SerfConfig(), LocalMember("new", bytes(4), 1), rng=Random(0), now=0.0))
        _NEW_NODE_FIELDS.update(writer._fields)
    return _NEW_NODE_FIELDS


_NEW_NODE_FIELDS: dict[str, Sequence[str]] = {}


def _check_fields(table: list[object], reader: _Reader) -> None:
    """Refuse a state written by a version whose classes have other fields."""
    said: dict[str, list[str]] = {}
    for row in table:
        if not isinstance(row, list) or not all(isinstance(name, str) for name in row) or not row:
            raise RecordingError("the table of fields is broken")
        said[row[0]] = row[1:]
    for name in said.keys() | (reader.kinds() - {LIST, DICT, RANDOM}):
        cls = PARTS_BY_NAME.get(name)
        struct = VALUES_BY_NAME.get(name)
        known = _names(cls) if cls else struct.__struct_fields__ if struct else None
        if known is None or list(known) != said.get(name):
            raise RecordingError(f"another version made it: {name:.40} has other fields in this one")
