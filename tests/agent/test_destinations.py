import pytest
import trio

from gossip.agent.destinations import Destinations
from gossip.agent.transport import open_transport
from gossip.swim.effects import OpenPushPull, OpenStreamPing
from gossip.wire.address import Address, pack_address
from gossip.wire.codec import encode
from gossip.wire.messages import PROTOCOL_VERSIONS, Alive, Ping
from tests.agent.harness import eventually, ipc, running, where

ELSEWHERE = Destinations(Address("0.0.0.0", 7946), Address("10.0.0.5", 7946), 7373)
ON_LOOPBACK = Destinations(Address("127.0.0.2", 7946), Address("127.0.0.2", 7946), 7373)


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("224.0.0.1", 7946, "multicast"),
        ("ff02::1", 7946, "multicast"),
        ("255.255.255.255", 7946, "broadcast"),
        ("0.0.0.0", 7946, "unspecified"),
        ("::", 7946, "unspecified"),
        ("169.254.169.254", 80, "a metadata service"),
        ("fd00:ec2::254", 80, "a metadata service"),
        ("127.0.0.1", 6379, "loopback"),
        ("::1", 7946, "loopback"),
        ("10.0.0.5", 7946, "this agent's own"),
        ("10.0.0.5", 7373, "own IPC"),
    ],
)
def test_no_member_can_be_there(host, port, reason):
    assert reason in ELSEWHERE.refusal(Address(host, port))


@pytest.mark.parametrize("host", ["10.0.0.6", "8.8.8.8", "169.254.7.7", "fd00:ec2::253", "2001:db8::1"])
def test_any_other_address_may_be_a_members(host):
    assert ELSEWHERE.refusal(Address(host, 7946)) == ""


def test_an_agent_on_loopback_has_members_there():
    assert ON_LOOPBACK.refusal(Address("127.0.0.3", 7946)) == ""
    assert "own IPC" in ON_LOOPBACK.refusal(Address("127.0.0.1", 7373))


def test_without_a_tcp_port_of_the_ipc_none_is_refused():
    destinations = Destinations(Address("127.0.0.2", 7946), Address("127.0.0.2", 7946))
    assert destinations.refusal(Address("127.0.0.1", 0)) == ""


async def test_what_a_forged_member_names_gets_neither_packets_nor_streams(caplog):
    sender = open_transport("127.1.29.9", 0)
    async with running("a", "127.1.29.1") as a:
        rpc_host, _, rpc_port = a.rpc_address.rpartition(":")
        forged = {
            "multicast": ("224.0.0.1", 7946),
            "ipc": (rpc_host, int(rpc_port)),
            "itself": (where(a).host, where(a).port),
        }
        for name, (host, port) in forged.items():
            sender.send(encode(Alive(1, name, pack_address(host), port, b"", PROTOCOL_VERSIONS)), where(a))
        sender.send(encode(Ping(1, "", pack_address("224.0.0.1"), 7946)), where(a))
        await eventually(lambda: a.driver.misdirected > 10, "probes of the forged members")
        # The only bytes sent went to whoever sent the ping: nobody.
        assert a.driver.transport.traffic.packets_sent == 0
        assert a.driver.transport.traffic.packets_dropped == 0
        lines = [record.reason for record in caplog.records if hasattr(record, "reason")]
        assert "nothing is sent there: the address is multicast" in lines
        async with ipc(a) as client:
            assert await client.ask("stats", 2) == ""
    sender.close()


async def test_whoever_really_asks_is_answered_wherever_it_is():
    sender = open_transport("127.1.29.8", 0)
    answers = []
    async with running("a", "127.1.29.2") as a, trio.open_nursery() as nursery:
        a.driver.destinations = ELSEWHERE
        nursery.start_soon(sender.receive, lambda data, _source: answers.append(data))
        sender.send(encode(Ping(7, "a")), where(a))
        await eventually(lambda: bool(answers), "the ack")
        assert a.driver.misdirected == 0
        nursery.cancel_scope.cancel()
    sender.close()


async def test_a_push_pull_is_not_opened_to_where_no_member_can_be():
    async with running("a", "127.1.29.3") as a:
        a.driver._carry_out(OpenPushPull(Address("169.254.169.254", 80), "x", False))
        a.driver._carry_out(OpenStreamPing(Address("169.254.169.254", 80), "x", 1, b"", 1.0))
        assert (a.driver.misdirected, a.driver._outgoing) == (2, 0)
