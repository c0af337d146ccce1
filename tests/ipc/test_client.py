import socket
from struct import pack
from threading import Thread

import pytest

from gossip.errors import ConfigError, RemoteProtocolError
from gossip.ipc.bodies import (
    Auth,
    ForceLeave,
    Handshake,
    Join,
    JoinCount,
    LogLine,
    Member,
    MemberFilter,
    MemberList,
    MonitorLevel,
    Stats,
    Stop,
    StreamFilter,
    TagChange,
)
from gossip.ipc.client import (
    MAX_EARLY_RECORDS,
    AgentClosedError,
    AgentUnreachableError,
    Client,
    CommandRefusedError,
    Timeouts,
)
from gossip.ipc.protocol import CHUNK_BYTES, Request, encode_record, encode_response
from tests.ipc.scripted_agent import GARBAGE, HOST, LastWords, handshaking, saying, scripted_agent

MEMBER = Member("n", b"\x7f\0\0\1", 7946, {"role": "web"}, "alive", 1, 5, 2, 2, 5, 5)
BODIES = {
    "members": MemberList((MEMBER,)),
    "members-filtered": MemberList((MEMBER,)),
    "join": JoinCount(2),
    "stats": Stats({"agent": {"name": "n"}}),
}


def obliging(asked):
    """Do whatever is asked, and note it."""

    def answer(request):
        asked.append(request)
        return encode_response(request, body=BODIES.get(request.command))

    return answer


@pytest.mark.parametrize(
    ("ask", "result", "request_"),
    [
        (Client.members, (MEMBER,), ("members", None)),
        (
            lambda c: c.members_filtered(name="n", status="alive", tags={"role": "w.*"}),
            (MEMBER,),
            ("members-filtered", MemberFilter("n", "alive", {"role": "w.*"})),
        ),
        (Client.stats, {"agent": {"name": "n"}}, ("stats", None)),
        (lambda c: c.join(["a", "b:1"], replay=True), 2, ("join", Join(("a", "b:1"), True))),
        (Client.leave, None, ("leave", None)),
        (lambda c: c.force_leave("n", prune=True), None, ("force-leave", ForceLeave("n", True))),
        (lambda c: c.change_tags({"a": "b"}, delete=["c"]), None, ("tags", TagChange({"a": "b"}, ("c",)))),
        (lambda c: c.stream("user"), 2, ("stream", StreamFilter("user"))),
        (lambda c: c.monitor("debug"), 2, ("monitor", MonitorLevel("debug"))),
        (lambda c: c.stop(7), None, ("stop", Stop(7))),
    ],
)
def test_each_verb_is_one_request_after_the_handshake(ask, result, request_):
    asked = []
    with scripted_agent(obliging(asked)) as address, Client(address) as client:
        assert ask(client) == result
        assert client.address == address
    assert asked == [Request("handshake", 1, Handshake(1)), Request(request_[0], 2, request_[1])]


def test_a_token_is_shown_before_anything_else():
    asked = []
    with scripted_agent(obliging(asked)) as address, Client(address, auth_key="secret") as client:
        client.stats()
    assert asked[1] == Request("auth", 2, Auth("secret"))


def test_an_agent_is_reached_through_a_unix_socket(tmp_path):
    with scripted_agent(obliging([]), path=tmp_path / "s") as address, Client(address) as client:
        assert client.members() == (MEMBER,)


def test_an_agent_is_reached_by_name():
    with scripted_agent(obliging([])) as address:
        port = address.rpartition(":")[2]
        resolved = {info[4][0] for info in socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)}
        assert resolved  # the machine knows itself
        with pytest.raises(AgentUnreachableError, match=f"localhost:{port}: connection refused"):
            Client(f"localhost:{port}")  # the agent listens at another address
        Client(address).close()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (f"{HOST}:1", "connection refused"),
        ("unix:/nowhere/at/all", "no such file or directory"),
        ("unix:/" + "x" * 200, "path too long"),
        ("a..b:1", "label"),
    ],
)
def test_nobody_there_is_said_with_address_and_reason(address, reason):
    with pytest.raises(AgentUnreachableError) as caught:
        Client(address)
    text = str(caught.value)
    assert text.startswith(f"cannot reach an agent at {address.removeprefix('unix:')}: ")
    assert reason in text
    assert text.isprintable()


def test_a_malformed_address_is_a_persons_mistake():
    with pytest.raises(ConfigError, match="agent address 'x:y' is not"):
        Client("x:y")


def test_an_agent_that_takes_no_connection_in_time_is_unreachable():
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]  # more than the backlog holds
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((HOST, port))
        with pytest.raises(AgentUnreachableError, match=r"no answer in 0\.2 s"):
            Client(f"{HOST}:{port}", timeouts=Timeouts(connect=0.2))
        for filler in fillers:
            filler.close()


def test_an_agent_that_does_not_answer_in_time_is_unreachable():
    with (
        scripted_agent(lambda _request: b"") as address,
        pytest.raises(AgentUnreachableError, match=f"agent at {address} does not answer"),
    ):
        Client(address, timeouts=Timeouts(answer=0.1))


def test_the_time_for_an_answer_is_not_renewed_by_each_byte():
    records = encode_record(2, LogLine("x"))

    def chatter(request):
        return encode_response(request) + (records * 10_000 if request.command == "monitor" else b"")

    def silent_stop(request):
        return b"" if request.command == "stop" else chatter(request)

    with (
        scripted_agent(silent_stop) as address,
        Client(address, timeouts=Timeouts(answer=0.2)) as client,
    ):
        subscription = client.monitor()
        with pytest.raises(AgentUnreachableError, match="does not answer"):
            client.stop(subscription)


def test_no_time_left_is_not_waited_for():
    with (
        scripted_agent(obliging([])) as address,
        pytest.raises(AgentUnreachableError, match="does not answer"),
    ):
        Client(address, timeouts=Timeouts(answer=-1.0))


def test_a_request_that_cannot_be_written_ends_in_one_error():
    with scripted_agent(obliging([])) as address, Client(address) as client:
        client._socket.shutdown(socket.SHUT_WR)
        with pytest.raises(AgentUnreachableError, match=f"lost the agent at {address}: broken pipe"):
            client.stats()


def test_an_agent_that_hangs_up_is_said_so():
    with (
        scripted_agent(lambda _request: None) as address,
        pytest.raises(AgentClosedError, match="closed the conn"),
    ):
        Client(address)


def test_a_connection_that_is_reset_is_said_so():
    def reset():
        connection, _ = listener.accept()
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
        connection.close()

    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        thread = Thread(target=reset)
        thread.start()
        with pytest.raises(AgentUnreachableError, match=r"lost the agent at .*: connection reset by peer"):
            Client(f"{HOST}:{listener.getsockname()[1]}")
        thread.join(10)


def test_a_broken_expression_is_told_from_a_stopped_agent():
    hang_up = handshaking(lambda _request: None)
    refused = pytest.raises(CommandRefusedError, match="as it does when a regular expression is invalid")
    with scripted_agent(hang_up) as address, Client(address) as client, refused:
        client.members_filtered(name="(")
    with scripted_agent(hang_up) as address, Client(address) as client, pytest.raises(AgentClosedError):
        client.members_filtered()


def test_what_the_agent_refuses_carries_its_words_and_the_connection_goes_on():
    def refuse_once(request):
        if request.seq == 2:
            return encode_response(request, error="1 error occurred:\n\t* no\n\n")
        return encode_response(request, body=BODIES[request.command])

    with scripted_agent(handshaking(refuse_once)) as address, Client(address) as client:
        with pytest.raises(CommandRefusedError, match="1 error occurred:\n\t"):
            client.join(["x"])
        assert client.members() == (MEMBER,)


@pytest.mark.parametrize("data", [*GARBAGE, encode_response(Request("handshake", 99, None)), b"\x80"])
def test_whoever_does_not_speak_the_protocol_is_refused(data):
    with scripted_agent(saying(data)) as address, pytest.raises(RemoteProtocolError):
        Client(address)


def test_records_come_in_order_and_end_with_the_connection():
    def answer(request):
        tail = encode_record(2, LogLine("b")) + encode_record(2, LogLine("c"))
        return (
            LastWords(encode_response(request) + tail)
            if request.command == "monitor"
            else encode_response(request)
        )

    with scripted_agent(answer) as address, Client(address) as client:
        assert client.monitor() == 2
        assert [pushed.record.log for pushed in client.records()] == ["b", "c"]


def test_a_record_longer_than_one_read_is_put_together():
    line = "x" * 3 * CHUNK_BYTES

    def answer(request):
        tail = encode_record(2, LogLine(line)) if request.command == "monitor" else b""
        return encode_response(request) + tail

    with scripted_agent(answer) as address, Client(address) as client:
        client.monitor()
        assert next(client.records()).record == LogLine(line)


def test_records_that_come_before_an_answer_are_not_lost():
    def answer(request):
        if request.command == "stream":
            return encode_record(2, LogLine("early")) + encode_response(request)
        return encode_response(request)

    with scripted_agent(answer) as address, Client(address) as client:
        client.monitor()
        client.stream()
        assert next(client.records()).record == LogLine("early")


@pytest.mark.parametrize("count", [MAX_EARLY_RECORDS, MAX_EARLY_RECORDS + 1])
def test_records_kept_while_an_answer_is_awaited_are_bounded(count):
    def answer(request):
        if request.command == "stream":
            records = b"".join(encode_record(2, LogLine(str(n))) for n in range(count))
            return records + encode_response(request)
        return encode_response(request)

    with scripted_agent(answer) as address, Client(address) as client:
        client.monitor()
        client.stream()
        assert next(client.records()).record == LogLine(str(count - MAX_EARLY_RECORDS))


def test_an_answer_that_nobody_waits_for_ends_the_connection():
    def answer(request):
        return encode_response(request) if request.seq < 3 else b""

    with scripted_agent(answer) as address, Client(address, timeouts=Timeouts(answer=5.0)) as client:
        client.monitor()
        seq, _ = client._conversation.send("leave")
        client._conversation.receive_data(encode_response(Request("leave", seq, None)))
        with pytest.raises(RemoteProtocolError, match="unexpected answer to request 3"):
            next(client.records())
        other, _ = client._conversation.send("leave")
        client._conversation.send("leave")
        client._conversation.receive_data(encode_response(Request("leave", other, None)))
        with pytest.raises(RemoteProtocolError, match="unexpected answer to request 4"):
            client.stop(2)
