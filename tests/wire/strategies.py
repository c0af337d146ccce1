"""Every message, drawn by Hypothesis: any numbers, names of any bytes, addresses of both lengths."""

from hypothesis import strategies as st

from gossip.wire.messages import (
    Ack,
    Alive,
    Dead,
    ErrorMessage,
    IndirectPing,
    MemberState,
    Nack,
    NodeState,
    Ping,
    PushPull,
    Suspect,
    UserMessage,
)
from gossip.wire.serf_messages import (
    JoinIntent,
    LeaveIntent,
    OtherSerfMessage,
    PastEvent,
    PastEvents,
    Query,
    QueryResponse,
    SerfMessageType,
    SerfPushPull,
    UserEvent,
)

u8 = st.integers(0, 2**8 - 1)
u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
i64 = st.integers(-(2**63), 2**63 - 1)
payloads = st.binary(max_size=300)
names = st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape")) | st.text(max_size=10)
addresses = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
versions = st.binary(min_size=6, max_size=6) | st.just(b"")
sources = {"source_addr": addresses | st.just(b""), "source_port": u16, "source_node": names}

gossip_messages = (
    st.builds(Suspect, u32, names, names)
    | st.builds(Dead, u32, names, names)
    | st.builds(Alive, u32, names, addresses, u16, payloads, versions)
)
packet_messages = (
    gossip_messages
    | st.builds(Ping, u32, names, **sources)
    | st.builds(IndirectPing, u32, addresses, u16, names, st.booleans(), **sources)
    | st.builds(Ack, u32, st.none() | payloads)
    | st.builds(Nack, u32)
    | st.builds(UserMessage, payloads)
)
rows = st.builds(NodeState, names, addresses, u16, payloads, u32, st.sampled_from(MemberState), versions)
push_pulls = st.builds(PushPull, st.booleans(), st.lists(rows, max_size=4).map(tuple), payloads)
stream_messages = (
    push_pulls
    | st.builds(Ping, u32, names, **sources)
    | st.builds(Ack, u32, st.none() | payloads)
    | st.builds(ErrorMessage, names)
)

past_events = st.builds(
    PastEvents, u64, st.lists(st.builds(PastEvent, names, payloads), min_size=1, max_size=3).map(tuple)
)
serf_states = st.builds(
    SerfPushPull,
    u64,
    st.dictionaries(names, u64, max_size=4),
    st.lists(names, max_size=4).map(tuple),
    u64,
    st.lists(past_events, max_size=3).map(tuple),
    u64,
)
serf_gossip = (
    st.builds(LeaveIntent, u64, names, st.booleans())
    | st.builds(JoinIntent, u64, names)
    | st.builds(UserEvent, u64, names, payloads, st.booleans())
    | st.builds(
        Query,
        ltime=u64,
        id=u32,
        addr=addresses,
        port=u16,
        source_node=names,
        filters=st.lists(payloads, max_size=3).map(tuple),
        flags=u32,
        relay_factor=u8,
        timeout_ns=i64,
        name=names,
        payload=payloads,
    )
)
others = st.sampled_from([kind for kind in SerfMessageType if kind >= SerfMessageType.CONFLICT_RESPONSE])
serf_messages = (
    serf_gossip
    | serf_states
    | st.builds(QueryResponse, u64, u32, names, u32, st.none() | payloads)
    | st.builds(OtherSerfMessage, others, payloads)
)
