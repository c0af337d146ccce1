"""memberlist's messages, each declared once (memberlist `net.go`; serf-wire 1.1, 1.4, 2.2).

Each declaration gives the type byte and the fields, in the order of Go's declaration, with their names and
types on the wire. `gossip.wire.codec` reads and writes bytes by these declarations alone. Text fields hold
UTF-8 decoded with ``surrogateescape``, so that any byte string a peer uses as a name survives unchanged.
"""

from enum import IntEnum
from typing import Annotated, ClassVar

from msgspec import Struct

from gossip.wire.layout import (
    ADDRESS,
    ANY_VERSIONS,
    BOOL,
    BYTES,
    BYTES_OR_NIL,
    SOURCE_ADDRESS,
    SOURCE_NODE,
    SOURCE_PORT,
    TEXT,
    U16,
    U32,
    VERSIONS,
    Wire,
    WireType,
    uint,
)

MAX_U32 = 2**32 - 1

MAX_NAME_BYTES = 128
"""Longest name of a member in UTF-8; Serf's limit where it validates names (`serf.go`)."""

MAX_META_BYTES = 512
"""Longest metadata of a member; memberlist's own limit (`net.go`, MetaMaxSize)."""

MAX_NODES = 2**15
"""Rows of a push/pull: twice the members that a node admits. Rows may be one byte long, and compressed."""

MAX_USER_BYTES = 8 * 2**20
"""The user state of a push/pull, or a user message over TCP; memberlist accepts 20 MiB."""

PROTOCOL_VERSIONS = bytes((1, 5, 2, 2, 5, 5))
"""Announced versions: memberlist protocol minimum, maximum, current; Serf's minimum, maximum, current."""


class MessageType(IntEnum):
    """The first byte of every memberlist message."""

    PING = 0
    INDIRECT_PING = 1
    ACK = 2
    SUSPECT = 3
    ALIVE = 4
    DEAD = 5
    PUSH_PULL = 6
    COMPOUND = 7
    USER = 8
    COMPRESS = 9
    ENCRYPT = 10
    NACK = 11
    HAS_CRC = 12
    ERROR = 13
    HAS_LABEL = 244

    @property
    def byte(self) -> bytes:
        """The type as the byte before a message."""
        return bytes((self,))


USER = MessageType.USER.byte
"""The type byte in front of every message of the layer above."""


class MemberState(IntEnum):
    """A member's state as push/pull carries it; the numbers are the wire's."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


_STATES = tuple(MemberState)


def _read_state(value: object, key: bytes) -> object:
    number = U32.read(value, key)
    return _STATES[number] if isinstance(number, int) and number < len(_STATES) else number


STATE = WireType(_read_state, int)
"""A number above those of `MemberState` is accepted here, and judged with the rest of the row."""


class Ping(Struct, frozen=True, gc=False):
    """A probe. The member named `node` answers with an ack to the source."""

    TYPE: ClassVar = MessageType.PING

    seq: Annotated[int, Wire("SeqNo", U32)]
    node: Annotated[str, Wire("Node", TEXT)] = ""  # the member addressed; empty for any
    source_addr: Annotated[bytes, Wire("SourceAddr", SOURCE_ADDRESS)] = b""
    source_port: Annotated[int, Wire("SourcePort", SOURCE_PORT)] = 0
    source_node: Annotated[str, Wire("SourceNode", SOURCE_NODE)] = ""


class IndirectPing(Struct, frozen=True, gc=False):
    """A request to probe `target`:`port` on behalf of the source."""

    TYPE: ClassVar = MessageType.INDIRECT_PING

    seq: Annotated[int, Wire("SeqNo", U32)]
    target: Annotated[bytes, Wire("Target", ADDRESS)]
    port: Annotated[int, Wire("Port", U16)]
    node: Annotated[str, Wire("Node", TEXT)]
    nack: Annotated[bool, Wire("Nack", BOOL)] = False  # whether to send a nack when the target is late
    source_addr: Annotated[bytes, Wire("SourceAddr", SOURCE_ADDRESS)] = b""
    source_port: Annotated[int, Wire("SourcePort", SOURCE_PORT)] = 0
    source_node: Annotated[str, Wire("SourceNode", SOURCE_NODE)] = ""


class Ack(Struct, frozen=True, gc=False):
    """The answer to a ping."""

    TYPE: ClassVar = MessageType.ACK

    seq: Annotated[int, Wire("SeqNo", U32)]
    payload: Annotated[bytes | None, Wire("Payload", BYTES_OR_NIL)] = None  # a coordinate, or nothing


class Nack(Struct, frozen=True, gc=False):
    """A relay's answer that its own probe is late (Lifeguard)."""

    TYPE: ClassVar = MessageType.NACK

    seq: Annotated[int, Wire("SeqNo", U32)]


class Suspect(Struct, frozen=True, gc=False):
    """`reporter` could not reach `node` at `incarnation`."""

    TYPE: ClassVar = MessageType.SUSPECT

    incarnation: Annotated[int, Wire("Incarnation", U32)]
    node: Annotated[str, Wire("Node", TEXT)]
    reporter: Annotated[str, Wire("From", TEXT)]


class Dead(Struct, frozen=True, gc=False):
    """`reporter` declares `node` dead at `incarnation`; a node that reports itself has left."""

    TYPE: ClassVar = MessageType.DEAD

    incarnation: Annotated[int, Wire("Incarnation", U32)]
    node: Annotated[str, Wire("Node", TEXT)]
    reporter: Annotated[str, Wire("From", TEXT)]


class Alive(Struct, frozen=True, gc=False):
    """`node` is alive at `addr`:`port` with `incarnation`."""

    TYPE: ClassVar = MessageType.ALIVE

    incarnation: Annotated[int, Wire("Incarnation", U32)]
    node: Annotated[str, Wire("Node", TEXT)]
    addr: Annotated[bytes, Wire("Addr", ADDRESS)]
    port: Annotated[int, Wire("Port", U16)]
    meta: Annotated[bytes, Wire("Meta", BYTES)]
    versions: Annotated[bytes, Wire("Vsn", VERSIONS)]  # six bytes, as `PROTOCOL_VERSIONS`; empty: unknown


class UserMessage(Struct, frozen=True, gc=False):
    """Bytes for the layer above, opaque here: one Serf message. In a packet it has no framing of its own."""

    TYPE: ClassVar = MessageType.USER

    payload: bytes


class UserMessageHeader(Struct, frozen=True, gc=False):
    """The header of a user message over TCP; the bytes follow."""

    TYPE: ClassVar = MessageType.USER

    size: Annotated[int, Wire("UserMsgLen", uint(MAX_USER_BYTES))]


class ErrorMessage(Struct, frozen=True, gc=False):
    """The reason why the other side of a stream refuses to go on."""

    TYPE: ClassVar = MessageType.ERROR

    text: Annotated[str, Wire("Error", TEXT)]


class NodeState(Struct, frozen=True, gc=False):
    """One row of a push/pull."""

    name: Annotated[str, Wire("Name", TEXT)]
    addr: Annotated[bytes, Wire("Addr", BYTES)]
    port: Annotated[int, Wire("Port", U16)]
    meta: Annotated[bytes, Wire("Meta", BYTES)]
    incarnation: Annotated[int, Wire("Incarnation", U32)]
    state: Annotated[MemberState, Wire("State", STATE)]
    versions: Annotated[bytes, Wire("Vsn", ANY_VERSIONS)]


class PushPullHeader(Struct, frozen=True, gc=False):
    """The header of a push/pull; `nodes` rows and `user_bytes` bytes of user state follow."""

    TYPE: ClassVar = MessageType.PUSH_PULL

    nodes: Annotated[int, Wire("Nodes", uint(MAX_NODES))]
    user_bytes: Annotated[int, Wire("UserStateLen", uint(MAX_USER_BYTES))]
    join: Annotated[bool, Wire("Join", BOOL)]


class PushPull(Struct, frozen=True, gc=False):
    """A full exchange of state: every row, and the upper layer's own bytes."""

    join: bool
    nodes: tuple[NodeState, ...]
    user_state: bytes


class Compressed(Struct, frozen=True, gc=False):
    """Another message, compressed."""

    TYPE: ClassVar = MessageType.COMPRESS

    algorithm: Annotated[int, Wire("Algo", uint(2**8 - 1))]  # 0, LZW: the only one there is
    data: Annotated[bytes, Wire("Buf", BYTES)]


PacketMessage = Ping | IndirectPing | Ack | Nack | Suspect | Dead | Alive | UserMessage
StreamMessage = Ping | Ack | PushPull | UserMessage | ErrorMessage
