"""memberlist's advisories of 2026: a bad message changes nothing but a counter (docs/design/security.md).

The state of the node is compared as the bytes that a recording would hold of it: all tables, queues, clocks,
deadlines and the random generator. Only the counter of rejected messages is left out.
"""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import packb

from gossip.agent.envelope import Envelope
from gossip.errors import RemoteProtocolError
from gossip.recording.graph import dump_state
from gossip.serf.lamport import MAX_TIME_AHEAD
from gossip.serf.members import MemberStatus
from gossip.swim.incarnation import MAX_INCARNATION_RISE
from gossip.wire.address import pack_address
from gossip.wire.codec import encode, encode_push_pull
from gossip.wire.compression import pack_compressed
from gossip.wire.keyring import Keyring
from gossip.wire.label import label_header
from gossip.wire.lzw import compress
from gossip.wire.messages import (
    MAX_META_BYTES,
    MAX_NAME_BYTES,
    MAX_NODES,
    MAX_U32,
    MAX_USER_BYTES,
    PROTOCOL_VERSIONS,
    Alive,
    Dead,
    MemberState,
    NodeState,
    PushPull,
    Suspect,
    UserMessage,
)
from gossip.wire.packet import MAX_DATAGRAM_BYTES, MAX_PARTS, MAX_UNSEALED_BYTES
from gossip.wire.replay import ReplayError
from gossip.wire.serf_codec import MAX_MEMBERS, encode_serf
from gossip.wire.serf_messages import MAX_U64, JoinIntent, LeaveIntent, Query, UserEvent
from gossip.wire.stream import MAX_COMPRESSED_BYTES, MAX_FRAME_BYTES
from tests.properties.claims import PARTS
from tests.properties.test_forged_claims import NAMES, VICTIM, forge, formed, is_whole, nodes
from tests.serf.rig import ME, PORT, Rig, home, host
from tests.sim.rig import advance, until

PLAIN = Envelope(compress=False, keyring=None)
KEYS = Keyring([b"k" * 16])
ADDR = host("n9")


def struct(**fields):
    return packb(fields, use_bin_type=False)


def lived_in():
    rig = Rig(members=["n1", "n2", "n3", "n4"])
    rig.suspect("n1")
    rig.fail("n2")
    rig.leave("n3")
    rig.forget()
    return rig


def state(rig):
    """Return everything that the node knows, but for the counter of what it rejected."""
    rig.forget()
    counted, rig.node.swim.rejected = rig.node.swim.rejected, 0
    try:
        return dump_state(rig.node)
    finally:
        rig.node.swim.rejected = counted


def hear(rig, datagram, envelope=PLAIN):
    """Let a datagram arrive as the agent does; return how many times it, or parts of it, were refused."""
    before = rig.node.rejected
    try:
        parts = envelope.open_packet(datagram, rig.now)
    except RemoteProtocolError:
        return 1
    rig.node.receive_packet(parts, home("n4"), rig.now)
    return rig.node.rejected - before


def read(rig, data, envelope=PLAIN):
    """Let a stream arrive as the agent does; return how many times it, or rows of it, were refused."""
    before = rig.node.rejected
    reader = envelope.reader(reply=False)
    try:
        reader.receive_data(data)
        while (message := reader.next_event()) is None and reader.has_work:
            pass
        assert message is not None, "still waiting for more"
        envelope.accept(reader, rig.now)
        if isinstance(message, PushPull):
            rig.node.merge_remote_state(message, initiated=False, now=rig.now)
        elif isinstance(message, UserMessage):
            rig.node.receive_user_message(message.payload, rig.now)
    except RemoteProtocolError:
        return 1
    return rig.node.rejected - before


def alive(name="n9", incarnation=1, addr=ADDR, meta=b"", versions=PROTOCOL_VERSIONS):
    return Alive(incarnation, name, addr, PORT, meta, versions)


def row(name="n9", incarnation=1, meta=b"", status=MemberState.ALIVE):
    addr = host("n4") if name == "n4" else ADDR
    return NodeState(name, addr, PORT, meta, incarnation, status, PROTOCOL_VERSIONS)


def serf(message):
    return encode(UserMessage(encode_serf(message)))


def query(ltime):
    return Query(ltime, 1, host("n1"), PORT, "n1", (), 0, 0, 10**9, "q")


def short_versions(size):
    fields = {"Incarnation": 9, "Node": "n1", "Addr": host("n1"), "Port": PORT, "Meta": b"x"}
    return b"\x04" + struct(**fields, Vsn=PROTOCOL_VERSIONS[:size])


def compound(parts):
    sizes = b"".join(len(part).to_bytes(2, "big") for part in parts)
    return b"\x07" + bytes((len(parts),)) + sizes + b"".join(parts)


FAR = MAX_TIME_AHEAD + 100
PACKETS = {
    # Vsn index: memberlist read the sixth of fewer bytes (memberlist PR 368).
    **{f"alive with {size} version bytes": short_versions(size) for size in range(1, 6)},
    # Incarnations that cannot be refuted (memberlist issue 358, PR 359).
    "alive at the last incarnation": encode(alive("n1", MAX_U32, host("n1"))),
    "alive of a newcomer at the last incarnation": encode(alive("n9", MAX_U32)),
    "suspect at the last incarnation": encode(Suspect(MAX_U32, "n4", "n1")),
    "dead at the last incarnation": encode(Dead(MAX_U32, "n4", "n1")),
    "we are suspect at the last incarnation": encode(Suspect(MAX_U32, ME, "n1")),
    "we are dead at the last incarnation": encode(Dead(MAX_U32, ME, "n1")),
    "we left at the last incarnation": encode(Dead(MAX_U32, ME, ME)),
    "we are alive at the last incarnation": encode(alive(ME, MAX_U32, host(ME), b"other")),
    "one above the largest rise": encode(alive("n4", 2 + MAX_INCARNATION_RISE, host("n4"))),
    # Lamport times that use a clock up.
    **{f"join intent at {time}": serf(JoinIntent(time, "n4")) for time in (FAR, 2**63, MAX_U64)},
    **{f"leave intent at {time}": serf(LeaveIntent(time, "n4")) for time in (FAR, 2**63, MAX_U64)},
    **{f"user event at {time}": serf(UserEvent(time, "e")) for time in (FAR, 2**63, MAX_U64)},
    **{f"query at {time}": serf(query(time)) for time in (FAR, 2**63, MAX_U64)},
    # Names and tags.
    "a name that is too long": encode(alive("n" * (MAX_NAME_BYTES + 1))),
    "tags that are too long": encode(alive(meta=b"\xff" + bytes(MAX_META_BYTES))),
    # Expansion (memberlist issue 362, PR 363, PR 369).
    "compressed nothing": pack_compressed(b""),
    "an LZW bomb": pack_compressed(bytes(MAX_UNSEALED_BYTES + 1)),
    "an LZW bomb in a bomb": pack_compressed(pack_compressed(bytes(MAX_UNSEALED_BYTES + 1))),
    "an LZW bomb in a compound": compound([pack_compressed(bytes(MAX_UNSEALED_BYTES + 1))]),
    # Counts and sizes.
    "a compound of more messages than a packet may hold": compound([b"\x0b\x80"] * (MAX_PARTS + 1)),
    "two compounds of 200 in one": compound([compound([b"\x0b\x80"] * 200)] * 2),
    "255 newcomers": compound([encode(alive(f"x{i}")) for i in range(255)]),
    "64 KiB and a byte": b"\x08".ljust(MAX_DATAGRAM_BYTES + 1, b"\0"),
    "a compound whose table is missing": b"\x07\xff",
    "nothing": b"",
    "a label": label_header(b"other") + encode(alive()),
}


@pytest.mark.parametrize("datagram", PACKETS.values(), ids=PACKETS.keys())
def test_a_bad_packet_changes_nothing_but_a_counter(datagram):
    rig = lived_in()
    before = state(rig)
    assert hear(rig, datagram) > 0
    assert state(rig) == before


IMPOSSIBLE = {
    "no name": alive(""),
    "incarnation 0": alive(incarnation=0),
    "no versions": alive(versions=b""),
    "versions of nothing": alive(versions=bytes(6)),
}


@pytest.mark.parametrize("message", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_a_member_that_cannot_be_is_passed_over(message):
    rig = lived_in()
    before = state(rig)
    hear(rig, encode(message))
    assert state(rig) == before


HUGE_MAP = b"\x02\x81\xacStatusLTimes\xdf" + (MAX_MEMBERS + 1).to_bytes(4, "big")
STREAMS = {
    # Counts in the header for which memberlist allocated memory (HCSEC-2026-18, memberlist PR 357).
    "2^31 rows": b"\x06" + struct(Nodes=2**31 - 1, UserStateLen=0, Join=True),
    "one row too many": b"\x06" + struct(Nodes=MAX_NODES + 1, UserStateLen=0, Join=True),
    "fewer than no rows": b"\x06" + struct(Nodes=-1, UserStateLen=0, Join=True),
    "2^62 bytes of state": b"\x06" + struct(Nodes=0, UserStateLen=2**62, Join=True),
    "a byte of state too many": b"\x06" + struct(Nodes=0, UserStateLen=MAX_USER_BYTES + 1, Join=True),
    # The length of a user message (memberlist issue 360, PR 361).
    "a user message of 2^62 bytes": b"\x08" + struct(UserMsgLen=2**62),
    "a user message that is a byte too long": b"\x08" + struct(UserMsgLen=MAX_USER_BYTES + 1),
    "a user message of less than nothing": b"\x08" + struct(UserMsgLen=-1),
    # Expansion.
    "compressed nothing": pack_compressed(b""),
    "a bomb of 16 MiB": pack_compressed(b"\x06".ljust(16 * 2**20 + 1, b"\0")),
    "too much that is compressed": b"\x09" + struct(Algo=0, Buf=bytes(MAX_COMPRESSED_BYTES + 1)),
    "compressed in compressed": pack_compressed(pack_compressed(bytes(1000))),
    # Rows and Serf's state.
    "a row of the last incarnation": encode_push_pull(PushPull(False, (row("n4", MAX_U32),), b"")),
    "a dead row of the last incarnation": encode_push_pull(
        PushPull(False, (row("n4", MAX_U32, status=MemberState.DEAD),), b"")
    ),
    "a row with a long name": encode_push_pull(PushPull(False, (row("n" * 129),), b"")),
    "a row with long tags": encode_push_pull(PushPull(False, (row(meta=bytes(513)),), b"")),
    "more status times than a cluster has members": encode_push_pull(PushPull(False, (), HUGE_MAP)),
    "a Lamport time of the end": encode_push_pull(PushPull(False, (), b"\x02" + struct(LTime=MAX_U64))),
    "a status time of the end": encode_push_pull(
        PushPull(False, (), b"\x02" + struct(StatusLTimes={"n4": MAX_U64}))
    ),
}


@pytest.mark.parametrize("data", STREAMS.values(), ids=STREAMS.keys())
def test_a_bad_stream_changes_nothing_but_a_counter(data):
    rig = lived_in()
    before = state(rig)
    assert read(rig, data) > 0
    assert state(rig) == before


@pytest.mark.parametrize("size", [MAX_FRAME_BYTES + 1, 2**32 - 1])
def test_a_frame_over_the_limit_changes_nothing_but_a_counter(size):
    rig = lived_in()
    before = state(rig)
    assert read(rig, b"\x0a" + size.to_bytes(4, "big"), Envelope(compress=False, keyring=KEYS)) == 1
    assert state(rig) == before


def test_an_expansion_of_nothing_is_nothing_in_the_vectors_too():
    assert compress(b"") == bytes.fromhex("000302")


@given(st.lists(PARTS, min_size=1, max_size=4), st.floats(0.0, 30.0))
def test_a_replayed_packet_changes_nothing_but_a_counter(parts, pause):
    envelope, member = (Envelope(compress=True, keyring=KEYS) for _ in range(2))
    rig = lived_in()
    datagram = member.packet(parts, crc=False)
    hear(rig, datagram, envelope)
    rig.advance(pause)
    before, rejected = state(rig), rig.node.rejected
    for times in (1, 2):
        with pytest.raises(ReplayError):
            envelope.open_packet(datagram, rig.now)
        assert envelope.refusals.replayed == times
    assert (state(rig), rig.node.rejected) == (before, rejected)


@pytest.mark.parametrize("join", [False, True])
def test_a_replayed_state_changes_nothing_but_a_counter(join):
    envelope, member = (Envelope(compress=True, keyring=KEYS) for _ in range(2))
    rig = lived_in()
    data = member.stream(encode_push_pull(PushPull(join, (row(), row("n8")), b"")), reply=False)
    assert read(rig, data, envelope) == 0
    assert rig.node.member("n9") is not None
    before = state(rig)
    assert read(rig, data, envelope) == 1
    assert state(rig) == before


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("incarnation", [1, 2, 100])
def test_a_forged_leave_and_alive_do_not_take_a_name_from_a_member_that_answers(seed, incarnation):
    """memberlist issue 370: there, an alive at another address is believed after a leave."""
    cluster = formed(seed)
    addresses = {name: pack_address(cluster.hosts[name].address.host) for name in NAMES}
    elsewhere = pack_address("10.0.99.99")
    forge(
        cluster,
        UserMessage(encode_serf(LeaveIntent(9, VICTIM))),
        Dead(incarnation, VICTIM, VICTIM),
        Alive(incarnation + 1, VICTIM, elsewhere, 7946, b"", PROTOCOL_VERSIONS),
    )
    until(cluster, lambda: is_whole(cluster), within=10.0)
    advance(cluster, 10.0)
    for node in nodes(cluster):
        assert {member.name: member.alive.addr for member in node.members()} == addresses
        assert {member.status for member in node.members()} == {MemberStatus.ALIVE}


def test_every_test_that_the_security_document_names_exists():
    root = Path(__file__).parents[2]
    text = (root / "docs/design/security.md").read_text()
    files = set(re.findall(r"tests/\w+/\w+\.py", text))
    assert len(files) > 10
    assert {name for name in files if not (root / name).is_file()} == set()
    code = "".join((root / name).read_text() for name in files) + Path(__file__).read_text()
    tests = re.findall(r"\btest_\w+[a-z]\b(?!\.py)", text)
    assert [name for name in tests if f"def {name}" not in code] == []
    named = re.findall(r"`(?:test_\w+)?\[([^\]…]+)\]`", text)
    assert len(named) > 10
    assert [case for case in named if case not in {*PACKETS, *STREAMS}] == []
