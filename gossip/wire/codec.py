"""memberlist's messages as bytes: a type byte, then a msgpack map (memberlist `net.go`; serf-wire 1.4, 2.2).

The fields of each message are declared in `messages`; this module finds the declaration by type. It does not
know packets and streams, which carry these bytes, nor Serf, whose messages are the opaque payload of a user
message.

Gossip (alive, suspect, dead) reaches a member many times, so `decode_gossip` has a memo: a hit costs less
than a tenth of a decode, and equal bytes give the identical object, which callers may rely on for speed.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any

from msgspec.structs import asdict

from gossip.errors import RemoteProtocolError
from gossip.wire.address import ADDRESS_LENGTHS
from gossip.wire.dialect import Fields
from gossip.wire.layout import BYTES, VERSION_BYTES, Layout, Wire
from gossip.wire.messages import (
    USER,
    Ack,
    Alive,
    Dead,
    ErrorMessage,
    IndirectPing,
    MemberState,
    Nack,
    NodeState,
    PacketMessage,
    Ping,
    PushPull,
    PushPullHeader,
    Suspect,
    UserMessage,
    UserMessageHeader,
)

MAX_GOSSIP_BYTES = 2048
"""Longest alive, suspect or dead. Peers could not pass on more: memberlist's packets hold 1400 bytes."""

REMEMBERED_GOSSIP = 8192
"""Decoded gossip messages kept; times the limit above, this bounds the memory."""

PADDING_HEADER_BYTES = 11
"""Bytes of the field `Padding` besides its value: its name, and a length of two bytes."""
SHORTEST_PADDING = 256
"""From this many bytes on, the length takes two bytes in every dialect."""


class _PaddedPing(Ping, frozen=True, gc=False):
    """A ping padded to a given length."""

    padding: Annotated[bytes, Wire("Padding", BYTES)] = b""


PING = Layout(Ping)
_PADDED_PING = Layout(_PaddedPing)
ACK = Layout(Ack)
ERROR = Layout(ErrorMessage)
NODE_STATE = Layout(NodeState)
PUSH_PULL_HEADER = Layout(PushPullHeader)
USER_HEADER = Layout(UserMessageHeader)

_LEAVES = {layout.head: layout for layout in (PING, ACK, Layout(IndirectPing), Layout(Nack))}
_GOSSIP = {layout.head: layout for layout in (Layout(Suspect), Layout(Dead), Layout(Alive))}
_BY_KIND: dict[type, Layout[Any]] = {
    layout.kind: layout for layout in (*_LEAVES.values(), *_GOSSIP.values(), ERROR)
}


def encode(message: PacketMessage | ErrorMessage) -> bytes:
    """Return `message` as its type byte and body.

    Raises:
        LocalProtocolError: an alive's `versions` has one to five bytes, which crashes old peers.
    """
    if isinstance(message, UserMessage):
        return USER + message.payload
    return _BY_KIND[type(message)].pack(message)


def decode(part: bytes) -> PacketMessage:
    """Return the message in one leaf part of a packet.

    Raises:
        RemoteProtocolError: `part` is empty, of a type that no packet carries, or malformed.
    """
    kind = part[:1]
    if kind in _LEAVES:
        return _LEAVES[kind].decode(part)
    if kind in _GOSSIP:
        if len(part) > MAX_GOSSIP_BYTES:
            raise RemoteProtocolError(f"gossip of {len(part)} bytes: expected at most {MAX_GOSSIP_BYTES}")
        return _GOSSIP[kind].decode(part)
    if kind == USER:
        return UserMessage(part[1:])
    raise RemoteProtocolError(f"message type {kind.hex() or 'missing'}: no packet carries it")


@lru_cache(maxsize=REMEMBERED_GOSSIP)
def decode_gossip(part: bytes) -> Alive | Suspect | Dead:
    """Return the alive, suspect or dead message in `part`: the identical object for equal bytes.

    Raises:
        RemoteProtocolError: `part` is another message, malformed, or longer than `MAX_GOSSIP_BYTES`.
    """
    message = decode(part)
    if not isinstance(message, Alive | Suspect | Dead):
        raise RemoteProtocolError(f"message type {part[:1].hex()} is not gossip")
    return message


def encode_push_pull(state: PushPull) -> bytes:
    """Return `state` as type byte, header, rows and user state.

    Raises:
        LocalProtocolError: a row's `versions` has one to five bytes, which crashes old peers.
    """
    header = PushPullHeader(len(state.nodes), len(state.user_state), state.join)
    return PUSH_PULL_HEADER.pack(header) + b"".join(map(NODE_STATE.pack, state.nodes)) + state.user_state


def read_node_state(fields: Fields) -> NodeState | None:
    """Return the row of a push/pull, or None if it is well-formed but describes no possible member.

    A Go peer may keep, and repeat, a row with an impossible address or state; if the exchange were refused
    because of it, one bad member could cut off all others.

    Raises:
        RemoteProtocolError: a field has the wrong type or range.
    """
    row = NODE_STATE.read(fields)
    is_possible = (
        type(row.state) is MemberState
        and len(row.addr) in ADDRESS_LENGTHS
        and len(row.versions) in (0, VERSION_BYTES)
    )
    return row if is_possible else None


def padded_ping(ping: Ping, length: int, padding: Callable[[int], bytes]) -> bytes:
    """Return `ping` as `length` bytes, the rest in a field that every receiver skips (serf-wire 0.2).

    `padding` returns the given number of bytes. A ping that is almost as long, or longer, is returned as it
    is.
    """
    missing = length - len(encode(ping)) - PADDING_HEADER_BYTES
    if missing < SHORTEST_PADDING:
        return encode(ping)
    return _PADDED_PING.pack(_PaddedPing(**asdict(ping), padding=padding(missing)))
