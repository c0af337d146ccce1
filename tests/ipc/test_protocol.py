import json
from contextlib import suppress
from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.ipc.bodies import (
    Auth,
    Handshake,
    Join,
    JoinCount,
    LogLine,
    MemberFilter,
    MemberList,
    MonitorLevel,
    Stats,
    StreamEvent,
    StreamFilter,
)
from gossip.ipc.coordinate_bodies import FoundCoordinate
from gossip.ipc.protocol import (
    AUTHENTICATION_REQUIRED,
    CHUNK_BYTES,
    HANDSHAKE_REQUIRED,
    MAX_PENDING,
    MAX_REQUEST_BYTES,
    MAX_REQUEST_ITEMS,
    MAX_RESPONSE_BYTES,
    MAX_RESPONSE_ITEMS,
    UNSUPPORTED_COMMAND,
    ClientConversation,
    Command,
    MessageReader,
    Pushed,
    Request,
    RequestReader,
    Response,
    encode_record,
    encode_response,
)

VECTORS = Path(__file__).parents[1] / "vectors"
OURS = {str(command) for command in Command}


def commands(messages):
    return [message["Command"] for message in messages if "Command" in message]


def spoken(messages):
    return set(commands(messages)) <= OURS


# Conversations of the real command line with a real agent, and single exchanges with all error paths.
CONVERSATIONS = [
    v for v in json.loads((VECTORS / "rpc_cli.json").read_text()) if spoken(v["decoded"]["client"])
]
CROSSING = (
    "event-with-stream",
    "query-with-stream",
    "respond",
    "respond-unknown",
    "query-serf-ping-nil-payload",
)
"""Recorded with records of subscriptions that were opened in another exchange."""
EXCHANGES = [
    v
    for v in json.loads((VECTORS / "rpc.json").read_text())
    if spoken(v["decoded"]["request"]) and v["name"] not in CROSSING
]


def named(vectors):
    return {"argvalues": vectors, "ids": [vector["name"] for vector in vectors]}


def requests_in(data):
    reader = RequestReader()
    reader.receive_data(data)
    found = []
    while (request := reader.next_request()) is not None:
        found.append(request)
    return found


def events_of(conversation, data):
    conversation.receive_data(data)
    found = []
    while (event := conversation.next_event()) is not None:
        found.append(event)
    return found


def pack(*messages):
    return b"".join(msgpack.packb(message, use_bin_type=True) for message in messages)


def unpack(data):
    unpacker = msgpack.Unpacker(raw=False)
    unpacker.feed(data)
    return list(unpacker)


@pytest.mark.parametrize("vector", **named(CONVERSATIONS))
def test_requests_of_the_real_command_line_are_read_and_written_alike(vector):
    recorded = bytes.fromhex(vector["client_hex"])
    requests = requests_in(recorded)
    assert [request.command for request in requests] == commands(vector["decoded"]["client"])
    conversation = ClientConversation()
    ours = [conversation.send(Command(request.command), request.body) for request in requests]
    assert [seq for seq, _ in ours] == [request.seq for request in requests]
    assert unpack(b"".join(data for _, data in ours)) == unpack(recorded)


@pytest.mark.parametrize("vector", **named(CONVERSATIONS))
def test_answers_of_a_real_agent_are_read_and_written_alike(vector):
    recorded = bytes.fromhex(vector["agent_hex"])
    conversation, requests = ClientConversation(), {}
    for request in requests_in(bytes.fromhex(vector["client_hex"])):
        conversation.send(Command(request.command), request.body)
        requests[request.seq] = request
    ours = []
    for event in events_of(conversation, recorded):
        if isinstance(event, Pushed):
            ours.append(encode_record(event.seq, event.record))
        else:
            ours.append(encode_response(requests[event.seq], error=event.error, body=event.body))
    assert unpack(b"".join(ours)) == unpack(recorded)


@pytest.mark.parametrize("vector", **named(EXCHANGES))
def test_single_exchanges_leave_nothing_unread(vector):
    requests = requests_in(bytes.fromhex(vector["request_hex"]))
    assert [request.command for request in requests] == commands(vector["decoded"]["request"])
    recorded = bytes.fromhex(vector["response_hex"])
    if not recorded:  # a broken regular expression: the agent hangs up
        assert vector["decoded"]["connection_closed_by_agent"]
        return
    conversation = ClientConversation()
    conversation._last_seq = requests[0].seq - 1  # the exchange is cut out of a longer conversation
    conversation.send(Command(requests[0].command), requests[0].body)
    first, *records = events_of(conversation, recorded)
    assert isinstance(first, Response)
    assert first.error == vector["decoded"]["response"][0]["Error"]
    assert all(isinstance(record.record, LogLine) for record in records)
    ours = encode_response(requests[0], error=first.error, body=first.body)
    assert unpack(ours) == unpack(recorded)[: len(unpack(ours))]


@pytest.mark.parametrize("vector", **named(CONVERSATIONS))
def test_a_conversation_cut_at_any_byte_is_a_shorter_conversation(vector):
    client, agent = (bytes.fromhex(vector[side]) for side in ("client_hex", "agent_hex"))
    requests = requests_in(client)
    for cut in range(len(client)):
        assert requests_in(client[:cut]) == requests[: len(requests_in(client[:cut]))]
    conversation, reader, events = ClientConversation(), RequestReader(), []
    for byte in client:
        reader.receive_data(bytes((byte,)))
        if request := reader.next_request():
            conversation.send(Command(request.command), request.body)
    for byte in agent[:4000]:
        events += events_of(conversation, bytes((byte,)))
    assert events


def test_members_arrive_with_raw_addresses_and_text():
    data = pack({"Error": "", "Seq": 1}, {"Members": [{"Name": "n", "Addr": b"\x7f\0\0\1", "Port": 7946}]})
    conversation = ClientConversation()
    conversation.send(Command.MEMBERS)
    (response,) = events_of(conversation, data)
    assert isinstance(response.body, MemberList)
    assert response.body.members[0].addr == b"\x7f\0\0\1"


def test_text_that_is_not_utf8_comes_out_as_it_went_in():
    name = b"\xff\x00n".decode("utf-8", "surrogateescape")
    conversation = ClientConversation()
    _, data = conversation.send(Command.MEMBERS_FILTERED, MemberFilter(name=name))
    assert b"\xff\x00n" in data
    assert requests_in(data) == [Request("members-filtered", 1, MemberFilter(name=name))]


# The rules about which header has a body (serf-wire 6.1)


@pytest.mark.parametrize("command", ["members", "leave", "stats"])
def test_commands_without_a_body_are_whole_after_their_header(command):
    assert requests_in(pack({"Command": command, "Seq": 1})) == [Request(command, 1, None)]


def test_a_command_with_a_body_waits_for_it():
    assert requests_in(pack({"Command": "join", "Seq": 1})) == []
    assert requests_in(pack({"Command": "join", "Seq": 1}, {"Existing": ["a"]})) == [
        Request("join", 1, Join(("a",)))
    ]


@pytest.mark.parametrize("header", [{"Command": "bogus", "Seq": 1}, {"command": "members", "Seq": 1}, None])
def test_an_unknown_command_has_no_body(header):
    (request,) = requests_in(pack(header))
    assert request.command == (header or {}).get("Command", "")
    assert request.body is None


def test_a_header_without_seq_repeats_the_one_before():
    first, second = requests_in(pack({"Command": "stats", "Seq": 9}, {"Command": "stats"}))
    assert (first.seq, second.seq) == (9, 9)


@pytest.mark.parametrize(
    "message",
    [
        {"Command": b"members", "Seq": 1},
        {"Command": "members", "Seq": -1},
        {"Command": "members", "Seq": "1"},
        ["members", 1],
        "members",
        {b"Command": "members"},
    ],
)
def test_what_is_no_request_header_closes_the_connection(message):
    with pytest.raises(RemoteProtocolError):
        requests_in(pack(message))


@pytest.mark.parametrize(
    ("command", "zero"),
    [
        ("members", {"Members": []}),
        ("members-filtered", {"Members": []}),
        ("join", {"Num": 0}),
        ("stats", {}),
    ],
)
def test_an_error_of_a_command_with_a_response_body_brings_the_zero_body(command, zero):
    assert unpack(encode_response(Request(command, 3, None), error="no")) == [{"Error": "no", "Seq": 3}, zero]


@pytest.mark.parametrize("error", [AUTHENTICATION_REQUIRED, HANDSHAKE_REQUIRED])
def test_errors_from_before_the_command_bring_no_body(error):
    data = encode_response(Request("members", 1, None), error=error)
    assert unpack(data) == [{"Error": error, "Seq": 1}]
    conversation = ClientConversation()
    conversation.send(Command.MEMBERS)
    assert events_of(conversation, data) == [Response("members", 1, error, None)]


@pytest.mark.parametrize("command", ["get-coordinates", "no-such-command"])
def test_an_unknown_command_is_refused_without_a_body(command):
    data = encode_response(Request(command, 4, None), error=UNSUPPORTED_COMMAND)
    assert unpack(data) == [{"Error": "Unsupported command", "Seq": 4}]


@pytest.mark.parametrize("command", ["install-key", "use-key", "remove-key", "list-keys"])
def test_serfs_client_reads_an_empty_body_beside_the_failure_of_a_key_command(command):
    data = encode_response(Request(command, 4, None), error="no")
    counts = {"NumNodes": 0, "NumErr": 0, "NumResp": 0}
    assert unpack(data) == [{"Error": "no", "Seq": 4}, {"Messages": {}, "Keys": None, **counts}]


def test_a_coordinate_that_is_not_known_is_all_zero():
    data = encode_response(Request("get-coordinate", 4, None), body=FoundCoordinate(is_known=False))
    coordinate = {"Adjustment": 0.0, "Error": 0.0, "Height": 0.0, "Vec": None}
    assert unpack(data) == [{"Error": "", "Seq": 4}, {"Coord": coordinate, "Ok": False}]


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("members", MemberList(())),
        ("join", JoinCount(2)),
        ("stats", Stats({"agent": {"name": "n"}})),
        ("leave", None),
    ],
)
def test_a_response_body_is_sent_where_the_command_has_one(command, body):
    conversation = ClientConversation()
    request = Join(("a",)) if command == "join" else None
    conversation.send(Command(command), request)
    data = encode_response(Request(command, 1, request), body=body)
    assert events_of(conversation, data) == [Response(command, 1, "", body)]


def test_a_response_body_at_the_wrong_place_is_a_bug_of_ours():
    with pytest.raises(AssertionError, match="leave has no response body"):
        encode_response(Request("leave", 1, None), body=JoinCount(1))
    with pytest.raises(AssertionError, match="join needs a response body"):
        encode_response(Request("join", 1, None))


def test_a_request_with_the_wrong_body_is_a_bug_of_ours():
    with pytest.raises(AssertionError, match="wrong body for join"):
        ClientConversation().send(Command.JOIN, Auth("x"))
    with pytest.raises(AssertionError, match="wrong body for stats"):
        ClientConversation().send(Command.STATS, Auth("x"))


# Subscriptions


def test_records_belong_to_the_subscription_with_their_number():
    conversation = ClientConversation()
    stream, _ = conversation.send(Command.STREAM, StreamFilter("*"))
    monitor, _ = conversation.send(Command.MONITOR, MonitorLevel("info"))
    joined = StreamEvent("member-join", {"Event": "member-join", "Members": []})
    data = (
        encode_response(Request("stream", stream, None))
        + encode_response(Request("monitor", monitor, None))
        + encode_record(monitor, LogLine("line"))
        + encode_record(stream, joined)
    )
    assert events_of(conversation, data)[2:] == [Pushed(monitor, LogLine("line")), Pushed(stream, joined)]


def test_a_refused_subscription_carries_nothing():
    conversation = ClientConversation()
    conversation.send(Command.MONITOR, MonitorLevel("loud"))
    refused = encode_response(Request("monitor", 1, None), error="Unknown log level: LOUD")
    events_of(conversation, refused)
    with pytest.raises(RemoteProtocolError, match="answer to request 1, which was not asked"):
        events_of(conversation, encode_record(1, LogLine("x")))


@pytest.mark.parametrize("header", [{"Seq": 1}, {"Error": ""}, None, [], {"Error": 1, "Seq": 1}])
def test_what_is_no_response_header_ends_the_conversation(header):
    conversation = ClientConversation()
    conversation.send(Command.LEAVE)
    with pytest.raises(RemoteProtocolError):
        events_of(conversation, pack(header))


def test_open_requests_are_bounded():
    conversation = ClientConversation()
    for _ in range(MAX_PENDING):
        conversation.send(Command.LEAVE)
    with pytest.raises(AssertionError, match="too many open requests"):
        conversation.send(Command.LEAVE)


# Bounds, at the limit and one above


def auth_request(size):
    """A body of `size` bytes behind its header."""
    return pack({"Command": "auth", "Seq": 1}) + pack({"AuthKey": "x" * (size - 12)})


def feed(reader, data):
    found = []
    for start in range(0, len(data), CHUNK_BYTES):
        reader.receive_data(data[start : start + CHUNK_BYTES])
        while (request := reader.next_request()) is not None:
            found.append(request)
    return found


def test_a_request_body_may_be_as_long_as_the_limit():
    data = auth_request(MAX_REQUEST_BYTES)
    assert len(data) - len(pack({"Command": "auth", "Seq": 1})) == MAX_REQUEST_BYTES
    assert len(feed(RequestReader(), data)) == 1
    with pytest.raises(RemoteProtocolError, match=f"longer than {MAX_REQUEST_BYTES} bytes"):
        feed(RequestReader(), auth_request(MAX_REQUEST_BYTES + 1))


def test_a_message_that_never_ends_is_given_up_at_the_limit():
    reader = MessageReader(max_bytes=100, max_items=4096)
    endless = b"\xdc\x10\x00" + b"\xc0" * 97  # a list of 4096, delivered bit by bit
    for byte in endless:
        reader.receive_data(bytes((byte,)))
        assert reader.next_message() is None
    reader.receive_data(b"\xc0")
    with pytest.raises(RemoteProtocolError, match="longer than 100 bytes"):
        reader.next_message()


def test_more_than_the_reader_can_hold_is_refused():
    reader = MessageReader(max_bytes=100, max_items=10)
    reader.receive_data(b"\xc0" * (CHUNK_BYTES + 100))
    with pytest.raises(RemoteProtocolError, match="longer than 100 bytes"):
        reader.receive_data(b"\xc0")


def test_many_short_messages_in_one_chunk_are_no_long_message():
    reader = MessageReader(max_bytes=10, max_items=10)
    reader.receive_data(b"\xc0" * CHUNK_BYTES)
    count = 0
    while reader.next_message() is not None:
        count += 1
    assert count == CHUNK_BYTES


def test_a_list_in_a_request_may_have_as_many_items_as_the_limit():
    header = pack({"Command": "join", "Seq": 1})
    (request,) = requests_in(header + pack({"Existing": [""] * MAX_REQUEST_ITEMS}))
    assert len(request.body.existing) == MAX_REQUEST_ITEMS
    with pytest.raises(RemoteProtocolError):
        requests_in(header + pack({"Existing": [""] * (MAX_REQUEST_ITEMS + 1)}))


def test_a_map_in_a_request_may_have_as_many_items_as_the_limit():
    header = pack({"Command": "tags", "Seq": 1})
    tags = {str(n): "" for n in range(MAX_REQUEST_ITEMS)}
    (request,) = requests_in(header + pack({"Tags": tags}))
    assert len(request.body.tags) == MAX_REQUEST_ITEMS
    with pytest.raises(RemoteProtocolError):
        requests_in(header + pack({"Tags": {**tags, "more": ""}}))


def test_a_list_in_a_response_may_have_as_many_items_as_the_limit():
    def members(count):
        conversation = ClientConversation()
        conversation.send(Command.MEMBERS)
        return events_of(conversation, pack({"Error": "", "Seq": 1}, {"Members": [None] * count}))

    assert len(members(MAX_RESPONSE_ITEMS)[0].body.members) == MAX_RESPONSE_ITEMS
    with pytest.raises(RemoteProtocolError):
        members(MAX_RESPONSE_ITEMS + 1)


def test_a_response_may_be_as_long_as_the_limit():
    def log(size):
        conversation = ClientConversation()
        conversation.send(Command.MONITOR, MonitorLevel("info"))
        data = pack({"Error": "", "Seq": 1}, {"Error": "", "Seq": 1}) + pack({"Log": "x" * (size - 10)})
        found = []
        for start in range(0, len(data), CHUNK_BYTES):
            found += events_of(conversation, data[start : start + CHUNK_BYTES])
        return found

    assert len(log(MAX_RESPONSE_BYTES)) == 2
    with pytest.raises(RemoteProtocolError, match=f"longer than {MAX_RESPONSE_BYTES} bytes"):
        log(MAX_RESPONSE_BYTES + 1)


@pytest.mark.parametrize("bomb", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x91" * 2000, b"\xc1"])
def test_length_bombs_and_deep_nesting_are_refused_at_once(bomb):
    with pytest.raises(RemoteProtocolError, match="bytes are not a valid message"):
        requests_in(bomb)


# Whatever the bytes

MUTABLE = [bytes.fromhex(v[side]) for v in CONVERSATIONS for side in ("client_hex", "agent_hex")]


@st.composite
def mutated(draw):
    data = bytearray(draw(st.sampled_from(MUTABLE))[:2000])
    for _ in range(draw(st.integers(1, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@given(st.binary(max_size=200) | mutated())
def test_nothing_but_the_one_error_escapes_from_either_reader(data):
    conversation = ClientConversation()
    conversation.send(Command.HANDSHAKE, Handshake(1))
    conversation.send(Command.MEMBERS)
    for read in (requests_in, lambda bytes_: events_of(conversation, bytes_)):
        with suppress(RemoteProtocolError):
            read(data)
