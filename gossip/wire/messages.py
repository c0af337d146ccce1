"""memberlist's messages, one Struct each (memberlist `net.go`, type bytes 0-13).

These are values only: what they look like as bytes is the business of `gossip.wire.codec`. Text fields
hold UTF-8 decoded with ``surrogateescape``, so that any byte string a peer uses as a name survives a
round trip unchanged. Numbers are unsigned; incarnations and sequence numbers are 32 bits wide.
"""

from enum import IntEnum

from msgspec import Struct

MAX_U32 = 2**32 - 1

MAX_NAME_BYTES = 128
"""Longest name of a member in UTF-8; Serf's limit where it validates names (`serf.go`)."""

MAX_META_BYTES = 512
"""Longest metadata of a member; memberlist's own limit (`net.go`, MetaMaxSize)."""

PROTOCOL_VERSIONS = bytes((1, 5, 2, 2, 5, 5))
"""What we announce: memberlist protocol minimum, maximum, current; Serf's minimum, maximum, current."""


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


USER = bytes((MessageType.USER,))
"""The type byte in front of every message of the layer above."""


class MemberState(IntEnum):
    """A member's state as push/pull carries it; the numbers are the wire's."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


class Ping(Struct, frozen=True, gc=False):
    """A probe; `node` names the intended target (empty: whoever listens there)."""

    seq: int
    node: str = ""
    source_addr: bytes = b""
    source_port: int = 0
    source_node: str = ""


class IndirectPing(Struct, frozen=True, gc=False):
    """A request to probe `target`:`port` on behalf of the sender; `nack` asks for a nack when late."""

    seq: int
    target: bytes
    port: int
    node: str
    nack: bool = False
    source_addr: bytes = b""
    source_port: int = 0
    source_node: str = ""


class Ack(Struct, frozen=True, gc=False):
    """The answer to a ping; the payload carries coordinates, or nothing."""

    seq: int
    payload: bytes | None = None


class Nack(Struct, frozen=True, gc=False):
    """A relay's answer that its own probe is late (Lifeguard)."""

    seq: int


class Suspect(Struct, frozen=True, gc=False):
    """`reporter` could not reach `node` at `incarnation`."""

    incarnation: int
    node: str
    reporter: str


class Dead(Struct, frozen=True, gc=False):
    """`reporter` declares `node` dead at `incarnation`; a node that reports itself has left."""

    incarnation: int
    node: str
    reporter: str


class Alive(Struct, frozen=True, gc=False):
    """`node` lives at `addr`:`port` with `incarnation`; `versions` is six bytes."""

    incarnation: int
    node: str
    addr: bytes
    port: int
    meta: bytes
    versions: bytes


class UserMessage(Struct, frozen=True, gc=False):
    """Bytes for the layer above: one Serf message."""

    payload: bytes


class ErrorMessage(Struct, frozen=True, gc=False):
    """Why the far side of a stream refuses to go on."""

    text: str


class NodeState(Struct, frozen=True, gc=False):
    """One row of a push/pull."""

    name: str
    addr: bytes
    port: int
    meta: bytes
    incarnation: int
    state: MemberState
    versions: bytes


class PushPull(Struct, frozen=True, gc=False):
    """A full exchange of state: every row, and the upper layer's own bytes."""

    join: bool
    nodes: tuple[NodeState, ...]
    user_state: bytes


PacketMessage = Ping | IndirectPing | Ack | Nack | Suspect | Dead | Alive | UserMessage
StreamMessage = Ping | Ack | PushPull | UserMessage | ErrorMessage
