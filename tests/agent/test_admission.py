from random import Random

import pytest
import trio

from gossip.agent import admission as admission_module
from gossip.agent.admission import (
    BURST,
    MAX_ANSWER_RATIO,
    MAX_CHARGE,
    MAX_REQUESTS,
    MEMBER_RELAYS_PER_SECOND,
    MEMBER_SHARE,
    STRANGER_RELAYS_PER_SECOND,
    STRANGER_SHARE,
    STRANGERS_SHARE,
    Admission,
    Allowance,
)
from gossip.agent.driver import MESSAGES_A_TURN
from gossip.agent.transport import open_transport
from gossip.wire.address import Address, pack_address
from gossip.wire.codec import encode
from gossip.wire.compression import pack_compressed
from gossip.wire.messages import PROTOCOL_VERSIONS, Ack, Alive, IndirectPing, Ping
from gossip.wire.packet import seal
from tests.agent.harness import eventually, running, where

MEMBER = Address("10.0.0.1", 7946)
OTHER = Address("10.0.0.2", 7946)
STRANGER = Address("10.0.9.9", 5555)
PING = encode(Ping(1, "x"))
INDIRECT = encode(IndirectPing(1, b"\x0a\0\0\x07", 7946, "x"))


def admission():
    return Admission({MEMBER, OTHER}.__contains__, 0.0)


def use_up(admission, source, now):
    """Charge `source` until it is not admitted any more; return the seconds that it had."""
    used = 0.0
    while admission.admits(source, now):
        admission.charge(source, 0.001, now)
        used += 0.001
    return used


def test_an_allowance_grows_back_up_to_its_most():
    allowance = Allowance(2.0, 1.0, 0.0)
    allowance.use(1.5, 0.0)
    assert allowance.left(0.0) == -0.5
    assert allowance.left(0.5) == 0.5
    assert allowance.left(100.0) == 1.0


@pytest.mark.parametrize(("source", "share"), [(MEMBER, MEMBER_SHARE), (STRANGER, STRANGER_SHARE)])
def test_a_source_gets_its_share_of_the_time_and_no_more(source, share):
    limits = admission()
    assert use_up(limits, source, 0.0) == pytest.approx(BURST, abs=0.002)
    used = sum(use_up(limits, source, tenth / 10) for tenth in range(1, 101))
    assert used == pytest.approx(share * 10, rel=0.1)
    assert limits.dropped == 101


def test_all_strangers_together_have_one_share():
    limits = admission()
    use_up(limits, STRANGER, 0.0)
    used = 0.0
    for second in range(1, 11):
        for number in range(20):
            used += use_up(limits, Address(f"10.1.{second}.{number}", 1), float(second))
    assert used <= 10 * (STRANGERS_SHARE + BURST)


def test_strangers_are_told_apart_by_host_whatever_their_port():
    limits = admission()
    use_up(limits, STRANGER, 0.0)
    assert not limits.admits(Address(STRANGER.host, 1), 0.0)


def test_a_flood_from_strangers_or_from_a_member_costs_other_members_nothing():
    limits = admission()
    for number in range(50):
        use_up(limits, Address(f"10.1.1.{number}", 1), 0.0)
    use_up(limits, OTHER, 0.0)
    assert limits.admits(MEMBER, 0.0)
    assert not limits.admits(OTHER, 0.0)
    assert not limits.admits(Address("10.7.7.7", 1), 0.0)


def test_a_share_that_is_used_up_is_said_once_per_charge():
    limits = admission()
    charges = [limits.charge(STRANGER, MAX_CHARGE, 0.0) for _ in range(5)]
    assert charges == [False, False, False, False, True]


def test_a_pause_of_the_process_is_charged_up_to_a_bound():
    limits = admission()
    limits.charge(MEMBER, 60.0, 0.0)
    assert limits.admits(MEMBER, 0.0)


@pytest.mark.parametrize(("sources", "is_forgotten"), [(4, False), (5, True)])
def test_shares_are_remembered_up_to_a_bound(monkeypatch, sources, is_forgotten):
    monkeypatch.setattr(admission_module, "MAX_SOURCES", 4)
    limits = admission()
    use_up(limits, MEMBER, 0.0)
    for number in range(sources - 1):
        limits.charge(Address(f"10.1.1.{number}", 1), 0.0, 0.0)
    assert limits.admits(MEMBER, 0.0) is is_forgotten


@pytest.mark.parametrize("extra", [0, 1])
def test_few_requests_of_one_datagram_are_answered_and_its_other_messages_count(extra):
    limits = admission()
    parts = [*[PING] * (MAX_REQUESTS + extra), b"\x08event"]
    assert limits.bounded(parts, STRANGER, 0.0) == [*[PING] * MAX_REQUESTS, b"\x08event"]
    assert limits.requests_dropped == extra


@pytest.mark.parametrize(
    ("source", "rate"), [(MEMBER, MEMBER_RELAYS_PER_SECOND), (STRANGER, STRANGER_RELAYS_PER_SECOND)]
)
def test_indirect_pings_are_limited_by_the_second(source, rate):
    limits = admission()

    def carried_out(now):
        return sum(len(limits.bounded([INDIRECT], source, now)) for _ in range(1000))

    assert carried_out(0.0) == rate
    assert carried_out(0.5) == rate / 2
    assert limits.bounded([PING], source, 0.5) == [PING]


def test_strangers_do_not_use_up_the_relays_of_members():
    limits = admission()
    while limits.bounded([INDIRECT], STRANGER, 0.0):
        pass
    assert limits.bounded([INDIRECT], MEMBER, 0.0) == [INDIRECT]


def test_answers_to_strangers_are_bounded_by_the_datagram_that_asked():
    limits = admission()
    assert limits.may_send(9999, STRANGER)  # nobody asked
    limits.begin(100)
    assert limits.may_send(100 * MAX_ANSWER_RATIO, STRANGER)
    assert not limits.may_send(1, STRANGER)
    assert limits.may_send(9999, MEMBER)
    limits.end()
    assert limits.may_send(9999, STRANGER)
    assert limits.answers_dropped == 1


def compound(parts):
    lengths = b"".join(len(part).to_bytes(2, "big") for part in parts)
    return b"\x07" + bytes((len(parts),)) + lengths + b"".join(parts)


async def test_whatever_a_forged_source_asks_it_gets_at_most_three_times_the_bytes():
    victim_of_the_answers = open_transport("127.1.28.9", 0)
    third = victim_of_the_answers.address
    addr, port = pack_address(third.host), third.port
    pings = [encode(Ping(n, "", addr, port)) for n in range(100)]
    indirect = [encode(IndirectPing(n, addr, port, "", False, addr, port)) for n in range(60)]
    bare = [b"\x00\xc0", b"\x00\x90", b"\x01\x93\x01\xc4\x04" + addr + b"\xcd" + port.to_bytes(2, "big")]
    datagrams = [
        *pings[:5],
        *indirect[:5],
        *bare,
        pack_compressed(compound(pings)),
        pack_compressed(compound(indirect)),
        compound(bare * 30),
        *(Random(1).randbytes(50) for _ in range(20)),
    ]
    got = 0

    def count(data, _source):
        nonlocal got
        got += len(data)

    async with running("a", "127.1.28.1") as a, trio.open_nursery() as nursery:
        nursery.start_soon(victim_of_the_answers.receive, count)
        forged = open_transport(third.host, 0)
        received = a.driver.transport.traffic
        for number, datagram in enumerate(datagrams, 1):
            forged.send(datagram, where(a))
            await eventually(lambda number=number: received.packets_received == number, "the datagram")
        await eventually(lambda: got > 0, "some answers")
        await trio.testing.wait_all_tasks_blocked(0.01)
        sent = a.driver.transport.traffic.bytes_sent
        assert 0 < sent <= MAX_ANSWER_RATIO * received.bytes_received
        assert a.driver.admission.requests_dropped > 0
        assert a.driver.admission.answers_dropped > 0
        forged.close()
        nursery.cancel_scope.cancel()
    victim_of_the_answers.close()


async def test_a_source_that_costs_too_much_is_dropped_and_said_so(caplog, monkeypatch):
    monkeypatch.setattr(admission_module, "STRANGER_SHARE", 1e-9)
    monkeypatch.setattr(admission_module, "BURST", 1e-9)
    sender = open_transport("127.1.28.3", 0)
    async with running("a", "127.1.28.2") as a:
        ping = seal([encode(Ping(7))], compress=False, crc=False, encryption=None, nonce=b"")
        for _ in range(3):
            sender.send(ping, where(a))
        await eventually(lambda: a.driver.admission.dropped == 2, "two drops")
        reasons = [getattr(record, "reason", "") for record in caplog.records]
        assert reasons.count("its datagrams take too much time: some are dropped") == 1
    sender.close()


async def test_one_ping_of_a_stranger_is_answered():
    sender = open_transport("127.1.28.5", 0)
    answers = []
    async with running("a", "127.1.28.4") as a, trio.open_nursery() as nursery:
        nursery.start_soon(sender.receive, lambda data, _source: answers.append(data))
        sender.send(encode(Ping(7, "a", source_node="s")), where(a))
        await eventually(lambda: answers == [encode(Ack(7))], "the ack")
        nursery.cancel_scope.cancel()
    sender.close()


@pytest.mark.parametrize(("count", "turns"), [(MESSAGES_A_TURN, 0), (MESSAGES_A_TURN + 1, 1), (100, 3)])
async def test_a_long_datagram_is_handled_in_several_turns(count, turns):
    def newcomer(number):
        addr = pack_address(f"127.1.28.{number}")
        return encode(Alive(1, f"m{number}", addr, 7946, b"", PROTOCOL_VERSIONS))

    async with running("a", "127.1.28.6") as a:
        datagram = compound([newcomer(number) for number in range(100, 100 + count)])
        rest = a.driver._receive(datagram, STRANGER)
        assert len(a.driver.node.members()) == 1 + min(count, MESSAGES_A_TURN)
        assert len(list(rest or ())) == turns
        assert len(a.driver.node.members()) == 1 + count
