"""What the network may say: strategies for well-formed messages, broken parts and whole states."""

from hypothesis import strategies as st

from gossip.wire.codec import encode
from gossip.wire.messages import (
    MAX_U32,
    PROTOCOL_VERSIONS,
    Ack,
    Alive,
    Dead,
    IndirectPing,
    MemberState,
    Nack,
    NodeState,
    Ping,
    PushPull,
    Suspect,
    UserMessage,
)
from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import (
    MAX_U64,
    JoinIntent,
    LeaveIntent,
    PastEvent,
    PastEvents,
    Query,
    QueryResponse,
    SerfPushPull,
    UserEvent,
)
from tests.swim.rig import ME, PORT, host

NAMES = st.sampled_from([ME, *(f"n{number}" for number in range(1, 9)), "", "\udcff"])
INCARNATIONS = st.integers(0, 6) | st.sampled_from([MAX_U32 - 1, MAX_U32])
TIMES = st.integers(0, 40) | st.sampled_from([600, MAX_U64 - 2, MAX_U64 - 1, MAX_U64])
SEQS = st.integers(0, 6) | st.just(MAX_U32)
ADDRESSES = st.sampled_from(
    [host("n1"), host("n2"), host(ME), bytes(16), bytes(10) + b"\xff\xff" + host("n3")]
)
PORTS = st.sampled_from([0, 1, PORT, PORT, PORT])
METAS = st.sampled_from(
    [b"", b"\xff\x80", b"\xff\x81\xa4role\xa3web", b"\xff\x81\x91\x01\xa1v", b"web", bytes(900)]
)
VERSIONS = st.sampled_from([PROTOCOL_VERSIONS] * 4 + [bytes(6), bytes((1, 3, 2, 2, 5, 5)), b""])


@st.composite
def announcements(draw) -> Alive:
    name = draw(NAMES)
    addr = draw(st.just(host(name)) | st.just(host(name)) | ADDRESSES)
    return Alive(draw(INCARNATIONS), name, addr, draw(PORTS), draw(METAS), draw(VERSIONS))


INTENTS = st.builds(LeaveIntent, TIMES, NAMES, st.booleans()) | st.builds(JoinIntent, TIMES, NAMES)
EVENTS = st.builds(UserEvent, TIMES, st.sampled_from("abc"), st.binary(max_size=4) | st.just(1500).map(bytes))
QUERIES = st.builds(
    Query,
    ltime=TIMES,
    id=st.integers(0, 3),
    addr=ADDRESSES,
    port=PORTS,
    source_node=NAMES,
    filters=st.just(()),
    flags=st.integers(0, 3),
    relay_factor=st.just(0),
    timeout_ns=st.just(10**9),
    name=st.just("q"),
)
RESPONSES = st.builds(QueryResponse, TIMES, st.integers(0, 3), NAMES, st.integers(0, 1), st.none())
SERF_MESSAGES = INTENTS | EVENTS | QUERIES | RESPONSES

MESSAGES = st.one_of(
    announcements(),
    announcements(),
    st.builds(Suspect, INCARNATIONS, NAMES, NAMES),
    st.builds(Dead, INCARNATIONS, NAMES, NAMES),
    st.builds(Ping, SEQS, NAMES, st.just(b"") | ADDRESSES, PORTS, NAMES),
    st.builds(IndirectPing, SEQS, ADDRESSES, PORTS, NAMES, st.booleans(), ADDRESSES, PORTS, NAMES),
    st.builds(Ack, SEQS, st.none() | st.binary(max_size=4)),
    st.builds(Nack, SEQS),
    SERF_MESSAGES.map(encode_serf).map(UserMessage),
)
PARTS = MESSAGES.map(encode)
"""Well-formed parts of packets."""


@st.composite
def broken_parts(draw) -> bytes:
    """Return a well-formed part that was cut, stretched, or changed somewhere."""
    part = bytearray(draw(PARTS))
    place = draw(st.integers(0, len(part) - 1))
    match draw(st.integers(0, 3)):
        case 0:
            del part[place:]
        case 1:
            part[place:place] = draw(st.binary(min_size=1, max_size=6))
        case 2:
            part[place] = draw(st.integers(0, 255))
        case _:
            del part[place]
    return bytes(part)


HOSTILE = broken_parts() | st.binary(max_size=60) | broken_parts().map(lambda part: encode(UserMessage(part)))
"""Parts that somebody might send to see what happens; some of them are well-formed by accident."""


@st.composite
def rows(draw) -> NodeState:
    told = draw(announcements())
    state = draw(st.sampled_from(MemberState))
    return NodeState(told.node, told.addr, told.port, told.meta, told.incarnation, state, told.versions)


SERF_STATES = st.builds(
    SerfPushPull,
    ltime=TIMES,
    status_ltimes=st.dictionaries(NAMES, TIMES, max_size=5),
    left_members=st.lists(NAMES, max_size=3).map(tuple),
    event_ltime=TIMES,
    events=st.lists(
        st.builds(PastEvents, TIMES, st.tuples(st.builds(PastEvent, st.sampled_from("abc")))), max_size=3
    ).map(tuple),
    query_ltime=TIMES,
)
STATES = st.builds(
    PushPull,
    join=st.booleans(),
    nodes=st.lists(rows(), max_size=5).map(tuple),
    user_state=SERF_STATES.map(encode_serf) | st.just(b"") | st.binary(max_size=12),
)
"""Whole states, as a push/pull brings them."""
