"""memberlist's messages as bytes: a type byte, then a msgpack map (memberlist `net.go`; serf-wire 1.4, 2.2).

Knows nothing of packets and streams, which carry these bytes, nor of Serf, whose messages are the opaque
payload of a user message. Fields are written in ASCII order, which reproduces what Go writes byte for byte.

Gossip (alive, suspect, dead) reaches a member many times over, so `decode_gossip` remembers: a hit costs
less than a tenth of a decode, and equal bytes give the identical object, which callers may rely on for speed.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.wire.dialect import (
    MAX_U16,
    Fields,
    pack_struct,
    read_bool,
    read_bytes,
    read_optional_bytes,
    read_text,
    read_uint,
    unpack_struct,
)
from gossip.wire.messages import (
    MAX_U32,
    PROTOCOL_VERSIONS,
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
    Suspect,
    UserMessage,
)

MAX_GOSSIP_BYTES = 2048
"""Longest alive, suspect or dead. Nobody could pass a longer one on: memberlist's packets hold 1400 bytes."""

REMEMBERED_GOSSIP = 8192
"""How many decoded gossip messages are kept; times the limit above, this bounds the memory."""

ADDRESS_LENGTHS = (4, 16)
VERSIONS = len(PROTOCOL_VERSIONS)

PADDING_HEADER_BYTES = 11
"""What the field `Padding` takes beside its bytes: its name, and a length of two bytes."""
SHORTEST_PADDING = 256
"""Bytes from which on their length takes two bytes in every dialect."""

PING_FIELDS = (b"SeqNo", b"Node", b"SourceAddr", b"SourcePort", b"SourceNode")
INDIRECT_PING_FIELDS = (
    b"SeqNo", b"Target", b"Port", b"Node", b"Nack", b"SourceAddr", b"SourcePort", b"SourceNode",
)  # fmt: skip
ACK_FIELDS = (b"SeqNo", b"Payload")
NACK_FIELDS = (b"SeqNo",)
ACCUSATION_FIELDS = (b"Incarnation", b"Node", b"From")
ALIVE_FIELDS = (b"Incarnation", b"Node", b"Addr", b"Port", b"Meta", b"Vsn")
ERROR_FIELDS = (b"Error",)
NODE_STATE_FIELDS = (b"Name", b"Addr", b"Port", b"Meta", b"Incarnation", b"State", b"Vsn")


_STATES = tuple(MemberState)


def encode(message: PacketMessage | ErrorMessage) -> bytes:
    """Return `message` as its type byte and body.

    Raises:
        LocalProtocolError: an alive's `versions` has one to five bytes, which crashes old peers.
    """
    return _ENCODERS[type(message)](message)


def decode(part: bytes) -> PacketMessage:
    """Return the message in one leaf part of a packet.

    Raises:
        RemoteProtocolError: `part` is empty, of a type that no packet carries, or malformed.
    """
    decoder = _DECODERS.get(part[:1])
    if decoder is None:
        raise RemoteProtocolError(f"message type {part[:1].hex() or 'missing'}: no packet carries it")
    return decoder(part)


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
    header = {"Join": state.join, "Nodes": len(state.nodes), "UserStateLen": len(state.user_state)}
    rows = b"".join(map(_pack_node_state, state.nodes))
    return b"\x06" + pack_struct(header) + rows + state.user_state


def read_node_state(fields: Fields) -> NodeState | None:
    """Return the row of a push/pull, or None if it is well-formed but describes no possible member.

    A Go peer may keep, and repeat, a row whose address or state makes no sense; refusing the exchange for
    it would let one bad member cut everybody off.

    Raises:
        RemoteProtocolError: a field has the wrong type or range.
    """
    state = read_uint(fields, b"State", MAX_U32)
    addr = read_bytes(fields, b"Addr")
    versions = read_bytes(fields, b"Vsn")
    row = NodeState(
        name=read_text(fields, b"Name"),
        addr=addr,
        port=read_uint(fields, b"Port", MAX_U16),
        meta=read_bytes(fields, b"Meta"),
        incarnation=read_uint(fields, b"Incarnation", MAX_U32),
        state=_STATES[min(state, MemberState.LEFT)],
        versions=versions[:VERSIONS],
    )
    possible = state < len(_STATES) and len(addr) in ADDRESS_LENGTHS and not 0 < len(versions) < VERSIONS
    return row if possible else None


def _pack_ping(ping: Ping) -> bytes:
    return b"\x00" + pack_struct({"Node": ping.node, "SeqNo": ping.seq} | _source(ping))


def padded_ping(ping: Ping, length: int, padding: Callable[[int], bytes]) -> bytes:
    """Return `ping` as `length` bytes, the missing ones in a field that every receiver skips (serf-wire 0.2).

    `padding` returns that many bytes. A ping that is nearly as long, or longer, is returned as it is.
    """
    missing = length - len(encode(ping)) - PADDING_HEADER_BYTES
    if missing < SHORTEST_PADDING:
        return encode(ping)
    fields: dict[str, object] = {"Node": ping.node, "Padding": padding(missing), "SeqNo": ping.seq}
    return b"\x00" + pack_struct(fields | _source(ping))


def _pack_indirect_ping(ping: IndirectPing) -> bytes:
    fields = {"Nack": ping.nack, "Node": ping.node, "Port": ping.port, "SeqNo": ping.seq}
    return b"\x01" + pack_struct(fields | _source(ping) | {"Target": ping.target})


def _source(ping: Ping | IndirectPing) -> dict[str, object]:
    """Return the fields that say who asks; only these are left out when empty."""
    fields = {"SourceAddr": ping.source_addr, "SourceNode": ping.source_node, "SourcePort": ping.source_port}
    return {key: value for key, value in fields.items() if value}


def _pack_ack(ack: Ack) -> bytes:
    return b"\x02" + pack_struct({"Payload": ack.payload, "SeqNo": ack.seq})


def _pack_nack(nack: Nack) -> bytes:
    return b"\x0b" + pack_struct({"SeqNo": nack.seq})


def _pack_suspect(suspect: Suspect) -> bytes:
    return b"\x03" + _pack_accusation(suspect)


def _pack_dead(dead: Dead) -> bytes:
    return b"\x05" + _pack_accusation(dead)


def _pack_accusation(message: Suspect | Dead) -> bytes:
    return pack_struct({"From": message.reporter, "Incarnation": message.incarnation, "Node": message.node})


def _pack_alive(alive: Alive) -> bytes:
    return b"\x04" + pack_struct(
        {
            "Addr": alive.addr,
            "Incarnation": alive.incarnation,
            "Meta": alive.meta,
            "Node": alive.node,
            "Port": alive.port,
            "Vsn": _harmless(alive.versions),
        }
    )


def _pack_node_state(row: NodeState) -> bytes:
    return pack_struct(
        {
            "Addr": row.addr,
            "Incarnation": row.incarnation,
            "Meta": row.meta,
            "Name": row.name,
            "Port": row.port,
            "State": int(row.state),
            "Vsn": _harmless(row.versions),
        }
    )


def _harmless(versions: bytes) -> bytes:
    if 0 < len(versions) < VERSIONS:
        raise LocalProtocolError(f"cannot send {len(versions)} version bytes: a peer would crash; send six")
    return versions


def _pack_user(message: UserMessage) -> bytes:
    return b"\x08" + message.payload


def _pack_error(message: ErrorMessage) -> bytes:
    return b"\x0d" + pack_struct({"Error": message.text})


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    Ping: _pack_ping,
    IndirectPing: _pack_indirect_ping,
    Ack: _pack_ack,
    Nack: _pack_nack,
    Suspect: _pack_suspect,
    Dead: _pack_dead,
    Alive: _pack_alive,
    UserMessage: _pack_user,
    ErrorMessage: _pack_error,
}


def read_ping(fields: Fields) -> Ping:
    """Return the ping with `fields`; raise `RemoteProtocolError` if one has the wrong type or range."""
    return Ping(
        seq=read_uint(fields, b"SeqNo", MAX_U32),
        node=read_text(fields, b"Node"),
        source_addr=_read_source_addr(fields),
        source_port=read_uint(fields, b"SourcePort", MAX_U16),
        source_node=read_text(fields, b"SourceNode"),
    )


def read_ack(fields: Fields) -> Ack:
    """Return the ack with `fields`; raise `RemoteProtocolError` if one has the wrong type or range."""
    return Ack(read_uint(fields, b"SeqNo", MAX_U32), read_optional_bytes(fields, b"Payload"))


def _unpack_ping(part: bytes) -> Ping:
    return read_ping(unpack_struct(part[1:], PING_FIELDS))


def _unpack_indirect_ping(part: bytes) -> IndirectPing:
    fields = unpack_struct(part[1:], INDIRECT_PING_FIELDS)
    return IndirectPing(
        seq=read_uint(fields, b"SeqNo", MAX_U32),
        target=_read_addr(fields, b"Target"),
        port=read_uint(fields, b"Port", MAX_U16),
        node=read_text(fields, b"Node"),
        nack=read_bool(fields, b"Nack"),
        source_addr=_read_source_addr(fields),
        source_port=read_uint(fields, b"SourcePort", MAX_U16),
        source_node=read_text(fields, b"SourceNode"),
    )


def _read_source_addr(fields: Fields) -> bytes:
    """Return the address to answer to, empty if the sender leaves it to the packet's own source."""
    return _read_addr(fields, b"SourceAddr") if fields.get(b"SourceAddr") else b""


def _read_addr(fields: Fields, key: bytes) -> bytes:
    addr = read_bytes(fields, key)
    if len(addr) not in ADDRESS_LENGTHS:
        raise RemoteProtocolError(f"{key.decode()} has {len(addr)} bytes, expected 4 or 16")
    return addr


def _unpack_ack(part: bytes) -> Ack:
    return read_ack(unpack_struct(part[1:], ACK_FIELDS))


def _unpack_nack(part: bytes) -> Nack:
    return Nack(read_uint(unpack_struct(part[1:], NACK_FIELDS), b"SeqNo", MAX_U32))


def _unpack_gossip(part: bytes, order: tuple[bytes, ...]) -> Fields:
    if len(part) > MAX_GOSSIP_BYTES:
        raise RemoteProtocolError(f"gossip of {len(part)} bytes: expected at most {MAX_GOSSIP_BYTES}")
    return unpack_struct(part[1:], order)


def _unpack_suspect(part: bytes) -> Suspect:
    return Suspect(*_read_accusation(_unpack_gossip(part, ACCUSATION_FIELDS)))


def _unpack_dead(part: bytes) -> Dead:
    return Dead(*_read_accusation(_unpack_gossip(part, ACCUSATION_FIELDS)))


def _read_accusation(fields: Fields) -> tuple[int, str, str]:
    incarnation = read_uint(fields, b"Incarnation", MAX_U32)
    return incarnation, read_text(fields, b"Node"), read_text(fields, b"From")


def _unpack_alive(part: bytes) -> Alive:
    fields = _unpack_gossip(part, ALIVE_FIELDS)
    versions = read_bytes(fields, b"Vsn")
    if 0 < len(versions) < VERSIONS:
        raise RemoteProtocolError(f"Vsn has {len(versions)} bytes, expected {VERSIONS} or none")
    return Alive(
        incarnation=read_uint(fields, b"Incarnation", MAX_U32),
        node=read_text(fields, b"Node"),
        addr=_read_addr(fields, b"Addr"),
        port=read_uint(fields, b"Port", MAX_U16),
        meta=read_bytes(fields, b"Meta"),
        versions=versions[:VERSIONS],
    )


def _unpack_user(part: bytes) -> UserMessage:
    return UserMessage(part[1:])


_DECODERS: dict[bytes, Callable[[bytes], PacketMessage]] = {
    b"\x00": _unpack_ping,
    b"\x01": _unpack_indirect_ping,
    b"\x02": _unpack_ack,
    b"\x03": _unpack_suspect,
    b"\x04": _unpack_alive,
    b"\x05": _unpack_dead,
    b"\x08": _unpack_user,
    b"\x0b": _unpack_nack,
}
