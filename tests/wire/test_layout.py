"""Every message is declared once, and what is declared is what is written and read."""

from typing import get_args

import pytest
from msgpack import unpackb

from gossip.wire import layout, messages, serf_messages
from gossip.wire.codec import decode, encode
from gossip.wire.layout import Layout
from gossip.wire.messages import IndirectPing, MessageType, Nack, PacketMessage, Ping, UserMessage
from gossip.wire.serf_messages import SerfMessageType

DECLARED = [
    kind
    for module in (messages, serf_messages)
    for kind in vars(module).values()
    if isinstance(kind, type) and hasattr(kind, "TYPE") and kind is not UserMessage
]


@pytest.mark.parametrize("kind", DECLARED, ids=lambda kind: kind.__name__)
def test_a_layout_writes_the_declared_fields_in_ascii_order_behind_the_declared_type(kind):
    made = Layout(kind)
    empty = made.read({name: b"\x7f\0\0\1" for name in made.order if name in (b"Addr", b"Target")})
    body = made.pack(empty)
    assert body[0] == kind.TYPE
    names = list(unpackb(body[1:], raw=True))
    assert names == sorted(names)
    sources = {b"SourceAddr", b"SourceNode", b"SourcePort"}
    assert set(made.order) - set(names) == (sources if kind in (Ping, IndirectPing) else set())
    assert made.decode(body) == empty


def test_no_two_messages_of_a_layer_share_a_type():
    for types in (MessageType, SerfMessageType):
        taken = [kind.TYPE for kind in DECLARED if isinstance(kind.TYPE, types)]
        assert len(taken) == len(set(taken))
        assert all(types(number) is number for number in taken)


def test_every_message_of_a_packet_is_declared():
    assert set(get_args(PacketMessage)) - {UserMessage} <= set(DECLARED)


def test_the_fields_of_a_ping_that_say_who_asks_are_left_out_when_empty():
    assert set(unpackb(encode(Ping(1))[1:])) == {"Node", "SeqNo"}
    assert set(unpackb(encode(Ping(1, source_port=7946))[1:])) == {"Node", "SeqNo", "SourcePort"}


def test_a_struct_may_come_as_an_array_in_the_order_of_its_declaration():
    assert decode(b"\x00\x92\x07\xa1n") == Ping(7, "n")
    assert decode(b"\x0b\x91\x07") == Nack(7)


def test_a_message_without_a_type_has_no_head():
    assert Layout(messages.NodeState).head == b""
    assert len(messages.PROTOCOL_VERSIONS) == layout.VERSION_BYTES
