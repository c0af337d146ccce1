"""Clusters with labels on real sockets: foreign members never get in, whatever they are told to join."""

import socket

import pytest
import trio

from gossip.wire.address import Address
from gossip.wire.codec import encode
from gossip.wire.label import label_header
from gossip.wire.messages import PROTOCOL_VERSIONS, Alive
from gossip.wire.packet import seal
from tests.agent.harness import eventually, join, running, statuses, where

KEY = "AAECAwQFBgcICQoLDA0ODw=="


def forged(header, **options):
    """Return a datagram behind `header` that announces a member."""
    alive = Alive(1, "ghost", b"\x7f\x01\x50\x63", 7946, b"", PROTOCOL_VERSIONS)
    return header + seal([encode(alive)], compress=False, crc=False, encryption=None, nonce=b"")


async def send(datagram, to: Address):
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        await sender.sendto(datagram, (to.host, to.port))


@pytest.mark.parametrize("secret", [{}, {"encrypt_key": KEY}], ids=["plain", "encrypted"])
@pytest.mark.parametrize("labels", [("blue", "green"), ("blue", "")], ids=["two labels", "one without"])
async def test_two_clusters_that_are_told_to_join_each_other_stay_apart(labels, secret, caplog):
    ours, theirs = labels
    async with (
        running("a", "127.1.80.1", label=ours, **secret) as a,
        running("b", "127.1.80.2", label=ours, **secret) as b,
        running("c", "127.1.80.3", label=theirs, **secret) as c,
        running("d", "127.1.80.4", label=theirs, **secret) as d,
    ):
        await join(b, a)
        await join(d, c)
        for one, other in ((a, c), (c, a), (b, d), (d, b)):
            result = await one.driver.join([str(where(other))])
            assert (result.contacted, len(result.errors)) == (0, 1)
            assert "label" in result.errors[0] or secret
        for agent, names in ((a, "ab"), (b, "ab"), (c, "cd"), (d, "cd")):
            await eventually(
                lambda agent=agent, names=names: statuses(agent) == dict.fromkeys(names, "alive"),
                "each cluster to know its own members and no other",
            )
            assert agent.driver.refusals.wrong_label > 0
    assert any("label" in getattr(record, "reason", "") for record in caplog.records)


async def test_members_of_one_label_share_tags_and_see_a_death():
    async with running("a", "127.1.80.5", label="blue", encrypt_key=KEY) as a:
        async with running("b", "127.1.80.6", label="blue", encrypt_key=KEY, tags={"role": "web"}) as b:
            await join(b, a)
            await eventually(lambda: statuses(a) == {"a": "alive", "b": "alive"}, "both to be alive")
            assert a.driver.node.member("b").tags == {"role": "web"}
        await eventually(lambda: statuses(a)["b"] == "failed", "the death of b")
        assert a.driver.refusals.wrong_label == 0


@pytest.mark.parametrize(
    "header",
    [b"", label_header(b"green"), label_header(b"blue") * 2, b"\xf4", b"\xf4\x00", b"\xf4\x05blue"],
    ids=["missing", "another", "double", "cut before its length", "empty", "cut"],
)
async def test_a_packet_with_a_wrong_missing_or_double_label_only_counts(header, caplog):
    async with running("a", "127.1.80.7", label="blue") as a:
        await send(forged(header), where(a))
        await eventually(lambda: a.driver.refusals.wrong_label == 1, "the packet to be counted")
        assert a.driver.rejected_packets == 1
        assert statuses(a) == {"a": "alive"}
        await send(forged(label_header(b"blue")), where(a))
        await eventually(lambda: "ghost" in statuses(a), "a packet of the same label to be heard")
    assert [record.reason for record in caplog.records if hasattr(record, "reason")]


async def test_without_the_check_only_packets_without_label_are_taken():
    async with running("a", "127.1.80.8", label="blue", skip_inbound_label_check=True) as a:
        await send(forged(label_header(b"blue")), where(a))
        await eventually(lambda: a.driver.refusals.wrong_label == 1, "the labelled packet to be counted")
        assert statuses(a) == {"a": "alive"}
        await send(forged(b""), where(a))
        await eventually(lambda: "ghost" in statuses(a), "the packet whose label was taken off to be heard")


async def test_the_budget_of_packets_leaves_room_for_label_and_encryption():
    async with running("a", "127.1.80.9", label="x" * 255, encrypt_key=KEY) as a:
        assert a.driver.node.config.swim.packet_overhead == 2 + 255 + 29
