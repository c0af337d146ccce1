"""From a message's declaration to its bytes: the one codec for all structs on the wire (serf-wire 0.1, 0.2).

A message is declared once, as a Struct in `messages` and `serf_messages`: its fields in the order of Go's
declaration, each with its name and type on the wire,

    seq: Annotated[int, Wire("SeqNo", U32)]

and the type byte that precedes it as `TYPE`. A `Layout` is made from that. It writes the fields in ASCII
order, which reproduces Go's bytes, and reads them under the rules of `dialect`.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

from msgspec import Struct

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.wire.address import ADDRESS_LENGTHS
from gossip.wire.dialect import Fields, as_bool, as_bytes, as_int, as_text, pack_struct, unpack_struct

VERSION_BYTES = 6
"""pmin, pmax, pcur, dmin, dmax, dcur; with fewer bytes, memberlist 0.2.2 panics."""

M = TypeVar("M", bound=Struct)


class WireType(Struct, frozen=True):
    """How to read and write the value of a field.

    `read` takes the unpacked value, None if the field is absent or nil, and the field's name for its error.
    `write` turns the value into one that msgpack packs; None if no conversion is needed.
    """

    read: Callable[[object, bytes], object]
    write: Callable[[Any], object] | None = None
    omit_empty: bool = False


class Wire(Struct, frozen=True):
    """A field's name and type on the wire."""

    name: str
    type: WireType


def uint(highest: int) -> WireType:
    """Return the type of unsigned numbers up to `highest`."""

    def read(value: object, key: bytes) -> int:
        if type(value) is int and 0 <= value <= highest:
            return value
        return as_int(value, key, 0, highest)

    return WireType(read)


def _read_text(value: object, key: bytes) -> str:
    if type(value) is bytes:
        return value.decode("utf-8", "surrogateescape")
    return "" if value is None else as_text(value, key)


def _read_bytes(value: object, key: bytes) -> bytes:
    if type(value) is bytes:
        return value
    return as_bytes(value, key) or b""


def _read_i64(value: object, key: bytes) -> int:
    return as_int(value, key, -(2**63), 2**63 - 1)


def _read_address(value: object, key: bytes) -> bytes:
    addr = as_bytes(value, key) or b""
    if len(addr) not in ADDRESS_LENGTHS:
        raise RemoteProtocolError(f"{key.decode()} has {len(addr)} bytes, expected 4 or 16")
    return addr


def _read_source_address(value: object, key: bytes) -> bytes:
    return _read_address(value, key) if value else b""


def _read_versions(value: object, key: bytes) -> bytes:
    versions = as_bytes(value, key) or b""
    if 0 < len(versions) < VERSION_BYTES:
        raise RemoteProtocolError(
            f"{key.decode()} has {len(versions)} bytes, expected {VERSION_BYTES} or none"
        )
    return versions[:VERSION_BYTES]


def _read_any_versions(value: object, key: bytes) -> bytes:
    return (as_bytes(value, key) or b"")[:VERSION_BYTES]


def _write_versions(versions: bytes) -> bytes:
    if 0 < len(versions) < VERSION_BYTES:
        raise LocalProtocolError(f"cannot send {len(versions)} version bytes: a peer would crash; send six")
    return versions


def _nil_if_empty(value: object) -> object:
    return value or None


U8 = uint(2**8 - 1)
U16 = uint(2**16 - 1)
U32 = uint(2**32 - 1)
U64 = uint(2**64 - 1)
I64 = WireType(_read_i64)
BOOL = WireType(as_bool)
TEXT = WireType(_read_text)
BYTES = WireType(_read_bytes)
BYTES_OR_NIL = WireType(as_bytes)
"""Nil and empty are distinguished."""
PAYLOAD = WireType(_read_bytes, _nil_if_empty)
"""Go writes an empty payload as nil."""
ADDRESS = WireType(_read_address)
"""4 or 16 raw bytes, as received."""
VERSIONS = WireType(_read_versions, _write_versions)
ANY_VERSIONS = WireType(_read_any_versions, _write_versions)
"""In a row: a wrong length is accepted here, and judged with the rest of the row."""
SOURCE_ADDRESS = WireType(_read_source_address, omit_empty=True)
SOURCE_PORT = WireType(U16.read, omit_empty=True)
SOURCE_NODE = WireType(TEXT.read, omit_empty=True)
"""The sender of a ping: the only fields that are left out if they are empty."""


class Layout(Generic[M]):
    """The bytes of one kind of message.

    `pack`, `read` and `decode` are functions compiled from the declaration, as `dataclasses` compiles its
    methods: a loop over the fields takes 1.5 times as long, and every packet passes through here. Each is
    compiled when it is first used: an agent at rest needs a third of them.
    """

    def __init__(self, kind: type[M]) -> None:
        """Make the layout of the messages that `kind` declares."""
        self._declared = _declared(kind)
        number: int | None = getattr(kind, "TYPE", None)
        self.kind = kind
        self.head = b"" if number is None else bytes((number,))
        self.order = tuple(wire.name.encode() for wire in self._declared.values())

    @cached_property
    def pack(self) -> Callable[[M], bytes]:
        """Return a message as its type byte, if it has one, and a map.

        Raises:
            LocalProtocolError: a value must not be sent.
        """
        names: dict[str, Any] = {"HEAD": self.head, "EMPTY": {}, "pack_struct": pack_struct}
        items = []
        for name, wire in sorted(self._declared.items(), key=lambda item: item[1].name):
            value = f"message.{name}"
            if wire.type.write is not None:
                names[f"write_{name}"] = wire.type.write
                value = f"write_{name}({value})"
            item = f"{wire.name!r}: {value}"
            if wire.type.omit_empty:
                item = f"**({{{item}}} if {value} else EMPTY)"
            items.append(item)
        return self._compiled("pack(message)", f"return HEAD + pack_struct({{{', '.join(items)}}})", names)

    @cached_property
    def read(self) -> Callable[[Fields], M]:
        """Return the message with the fields given.

        Raises:
            RemoteProtocolError: a field has the wrong type or range.
        """
        values, names = self._values()
        return self._compiled("read(fields)", f"return Kind({values})", names)

    @cached_property
    def decode(self) -> Callable[[bytes], M]:
        """Return the message in bytes of which the first is its type.

        Raises:
            RemoteProtocolError: as in `read`, or the bytes are not a whole msgpack map.
        """
        values, names = self._values()
        names |= {"ORDER": self.order, "unpack_struct": unpack_struct}
        body = f"fields = unpack_struct(part[1:], ORDER); return Kind({values})"
        return self._compiled("decode(part)", body, names)

    def _values(self) -> tuple[str, dict[str, Any]]:
        """Return the expressions that read all fields, and what their names stand for."""
        names: dict[str, Any] = {"Kind": self.kind}
        reads = []
        for name, wire in self._declared.items():
            names[f"read_{name}"] = wire.type.read
            reads.append(f"read_{name}(fields.get({wire.name.encode()!r}), {wire.name.encode()!r})")
        return ", ".join(reads), names

    def _compiled(self, head: str, body: str, names: dict[str, Any]) -> Callable[[Any], Any]:
        """Return a function. What is compiled are names from our declarations, never input."""
        code = compile(f"def {head}: {body}", f"<layout of {self.kind.__name__}>", "exec")
        exec(code, names)  # noqa: S102 - see above
        function: Callable[[Any], Any] = names[head.partition("(")[0]]
        return function


def _declared(kind: type[Struct]) -> dict[str, Wire]:
    """Return the fields of `kind` in the order of their declaration."""
    hints: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        hints |= vars(base).get("__annotations__", {})
    declared: dict[str, Wire] = {}
    for name in kind.__struct_fields__:
        assert get_origin(hints[name]) is Annotated, f"{kind.__name__}.{name}: what is it on the wire?"
        declared[name] = next(extra for extra in get_args(hints[name]) if isinstance(extra, Wire))
    return declared
