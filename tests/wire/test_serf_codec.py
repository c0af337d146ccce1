import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from msgpack import packb

from gossip.errors import RemoteProtocolError
from gossip.wire.dialect import MAX_ELEMENTS
from gossip.wire.serf_codec import (
    LONGEST_REMEMBERED,
    MAX_EVENTS_PER_TIME,
    MAX_MEMBERS,
    MAX_PAST_TIMES,
    MAX_SERF_GOSSIP_BYTES,
    REMEMBERED_SERF_GOSSIP,
    decode_serf,
    decode_serf_gossip,
    encode_serf,
    remembered_serf_gossip,
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
from tests.wire.strategies import serf_gossip, serf_messages

QUERY = Query(1, 2, b"\x7f\0\0\x01", 7946, "n1", (), 1, 0, 10**9, "load")
NOTHING = SerfPushPull(0, {}, (), 0, (), 0)


def message(kind, fields):
    return bytes((kind,)) + packb(fields, use_bin_type=False)


def state(**fields):
    return message(2, fields)


@given(serf_messages)
def test_every_serf_message_survives_the_wire(serf):
    assert decode_serf(encode_serf(serf)) == serf


@given(serf_gossip)
def test_the_memoised_decoder_agrees_with_the_plain_one(serf):
    assert decode_serf_gossip(encode_serf(serf)) == serf


def test_equal_gossip_is_the_identical_object():
    payload = encode_serf(JoinIntent(1, "n1"))
    assert decode_serf_gossip(payload) is decode_serf_gossip(bytes(bytearray(payload)))


def test_remembered_gossip_is_bounded():
    for ltime in range(REMEMBERED_SERF_GOSSIP + 1):
        decode_serf_gossip(encode_serf(JoinIntent(ltime, "n1")))
    assert remembered_serf_gossip.cache_info().currsize == REMEMBERED_SERF_GOSSIP


def test_only_short_gossip_is_remembered():
    padding = LONGEST_REMEMBERED - len(encode_serf(UserEvent(1, "e", b"x" * 300))) + 300
    at_the_limit = encode_serf(UserEvent(1, "e", b"x" * padding))
    above = encode_serf(UserEvent(1, "e", b"x" * (padding + 1)))
    assert len(at_the_limit) == LONGEST_REMEMBERED
    assert decode_serf_gossip(at_the_limit) is decode_serf_gossip(at_the_limit)
    assert decode_serf_gossip(above) is not decode_serf_gossip(above)
    assert decode_serf_gossip(above) == decode_serf_gossip(above)


def test_gossip_is_limited_in_length():
    room = MAX_SERF_GOSSIP_BYTES - len(encode_serf(UserEvent(1, "e", b"x" * 300))) + 300
    at_the_limit = encode_serf(UserEvent(1, "e", b"x" * room))
    assert len(at_the_limit) == MAX_SERF_GOSSIP_BYTES
    assert decode_serf_gossip(at_the_limit).payload == b"x" * room
    with pytest.raises(RemoteProtocolError, match=f"serf message of {MAX_SERF_GOSSIP_BYTES + 1} bytes"):
        decode_serf_gossip(encode_serf(UserEvent(1, "e", b"x" * (room + 1))))


@pytest.mark.parametrize(
    "serf", [NOTHING, QueryResponse(1, 2, "n1", 1), OtherSerfMessage(SerfMessageType.RELAY, b"")]
)
def test_what_is_not_gossip_is_refused_as_gossip(serf):
    payload = encode_serf(serf)
    with pytest.raises(RemoteProtocolError, match=f"serf message type 0{payload[0]} is not gossip"):
        decode_serf_gossip(payload)


@pytest.mark.parametrize("payload", [b"", b"\x0a\x80", b"\xff"])
def test_unknown_types_are_refused(payload):
    with pytest.raises(
        RemoteProtocolError, match=f"unknown serf message type {payload[:1].hex() or 'missing'}"
    ):
        decode_serf(payload)


@pytest.mark.parametrize("kind", [6, 7, 8, 9])
def test_what_queries_carry_is_handed_on_as_it_is(kind):
    assert decode_serf(bytes((kind,)) + b"\xc1?") == OtherSerfMessage(SerfMessageType(kind), b"\xc1?")


def test_empty_payloads_and_filters_are_written_as_nil_like_go():
    assert encode_serf(UserEvent(1, "e")) == message(
        3, {"CC": False, "LTime": 1, "Name": "e", "Payload": None}
    )
    assert b"\xa7Filters\xc0" in encode_serf(QUERY)
    assert b"\xa7Payload\xc0" in encode_serf(QUERY)


@pytest.mark.parametrize(
    ("kind", "key", "highest"),
    [
        (0, "LTime", 2**64 - 1),
        (1, "LTime", 2**64 - 1),
        (3, "LTime", 2**64 - 1),
        (4, "ID", 2**32 - 1),
        (4, "Flags", 2**32 - 1),
        (4, "Port", 2**16 - 1),
        (4, "RelayFactor", 2**8 - 1),
        (4, "Timeout", 2**63 - 1),
        (5, "ID", 2**32 - 1),
        (5, "Flags", 2**32 - 1),
    ],
)
def test_numbers_keep_the_width_of_gos_fields(kind, key, highest):
    decode_serf(message(kind, {key: highest}))
    for value in (highest + 1, 1.5) if highest < 2**64 - 1 else (-1, 1.5):
        with pytest.raises(RemoteProtocolError, match=f"^{key} is "):
            decode_serf(message(kind, {key: value}))


def test_structs_may_be_arrays_or_nil():
    assert decode_serf(b"\x00\x93\x07\xa1n\xc3") == LeaveIntent(7, "n", True)
    assert decode_serf(b"\x01\xc0") == JoinIntent(0, "")
    assert decode_serf(b"\x02\xc0") == NOTHING


def test_a_nil_filter_is_an_empty_one():
    assert decode_serf(message(4, {"Filters": [None, b"\0"]})).filters == (b"", b"\0")


def test_filters_are_limited_in_number():
    assert len(decode_serf(message(4, {"Filters": [b""] * MAX_ELEMENTS})).filters) == MAX_ELEMENTS
    with pytest.raises(RemoteProtocolError, match="exceeds max_array_len"):
        decode_serf(message(4, {"Filters": [b""] * (MAX_ELEMENTS + 1)}))


def test_a_ring_of_mostly_nil_slots_is_read():
    slot = {"LTime": 7, "Events": [{"Name": "e", "Payload": b"p", "New": [1]}, None], "New": {"a": 1}}
    expected = (PastEvents(7, (PastEvent("e", b"p"), PastEvent(""))),)
    for events in ([None] * 500 + [slot] + [None] * 11, [slot], [slot, None], [None, {}, slot]):
        assert decode_serf(state(Events=events)).events == expected


def test_nil_lists_and_unknown_fields_are_skipped():
    assert (
        decode_serf(state(Events=None, LeftMembers=None, StatusLTimes=None, LTime=None, New=[[1]])) == NOTHING
    )
    assert decode_serf(b"\x02\x81\x01\x02") == NOTHING


def test_lists_of_a_push_pull_state_are_limited():
    names = [str(number) for number in range(MAX_MEMBERS)]
    times = dict.fromkeys(names, 1)
    full = decode_serf(state(LeftMembers=names, StatusLTimes=times, Events=[None] * MAX_PAST_TIMES))
    assert len(full.left_members) == len(full.status_ltimes) == MAX_MEMBERS
    for fields, limit in (
        ({"LeftMembers": [*names, "one more"]}, MAX_MEMBERS),
        ({"StatusLTimes": times | {"one more": 1}}, MAX_MEMBERS),
        ({"Events": [None] * (MAX_PAST_TIMES + 1)}, MAX_PAST_TIMES),
        ({"Events": [dict.fromkeys(map(str, range(MAX_ELEMENTS + 1)))]}, MAX_ELEMENTS),
        ({str(number): None for number in range(MAX_ELEMENTS + 1)}, MAX_ELEMENTS),
    ):
        with pytest.raises(RemoteProtocolError, match=f"has {limit + 1} elements, expected at most {limit}"):
            decode_serf(state(**fields))


def test_an_overfull_slot_is_cut_instead_of_refused():
    for count in (MAX_EVENTS_PER_TIME, MAX_EVENTS_PER_TIME + 1):
        slot = {"Events": [{"Name": str(number)} for number in range(count)], "LTime": 3}
        (past,) = decode_serf(state(Events=[slot], EventLTime=4)).events
        assert len(past.events) == MAX_EVENTS_PER_TIME
        assert past.ltime == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"LTime": -1},
        {"LTime": "1"},
        {"StatusLTimes": {"n": -1}},
        {"StatusLTimes": {1: 1}},
        {"StatusLTimes": []},
        {"LeftMembers": [1]},
        {"LeftMembers": {}},
        {"LeftMembers": [[1]]},
        {"Events": [1]},
        {"Events": [{"LTime": 2.0}]},
        {"Events": [{"Events": [{"Name": 1}]}]},
        {"Events": [{"Events": [{"Payload": 1}]}]},
        {"Events": [{"Events": 1}]},
    ],
    ids=str,
)
def test_a_state_of_wrong_types_is_refused(fields):
    with pytest.raises(RemoteProtocolError):
        decode_serf(state(**fields))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x01",
        b"\x81",
        b"\x81\xa6Events\xdc\x00\x05\xc0",
        b"\x81\xa1x" + b"\x91" * 5000,
        b"\xdf\xff\xff\xff\xff",
    ],
    ids=lambda body: body[:12].hex() or "empty",
)
def test_a_broken_state_is_refused(body):
    with pytest.raises(RemoteProtocolError):
        decode_serf(b"\x02" + body)


BOMB_BYTES = 2**20


@pytest.mark.parametrize(
    "field",
    [
        b"\xa6Events\xdd" + BOMB_BYTES.to_bytes(4, "big") + b"\x80" * BOMB_BYTES,
        b"\xa6Events\x91\x81\xa6Events\xdd" + BOMB_BYTES.to_bytes(4, "big") + b"\x80" * BOMB_BYTES,
        b"\xa3New\xdd" + BOMB_BYTES.to_bytes(4, "big") + b"\x80" * BOMB_BYTES,
        b"\xabLeftMembers" + b"\xdc\xff\xff" * 1000,
        b"\xacStatusLTimes" + b"\xdf\x00\x01\xff\xff\xa0" * 1000,
    ],
    ids=lambda field: field[:20].hex(),
)
def test_a_nest_or_flood_of_containers_takes_no_memory(field):
    tracemalloc.start()
    try:
        with suppress(RemoteProtocolError):
            decode_serf(b"\x02\x81" + field)
        assert tracemalloc.get_traced_memory()[1] < 5 * BOMB_BYTES
    finally:
        tracemalloc.stop()
