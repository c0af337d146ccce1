import errno
import socket

import pytest
import trio

from gossip.agent import transport as transport_module
from gossip.agent.transport import RECEIVE_BATCH, RECEIVE_SECONDS, StartError, connect, open_transport
from gossip.wire.address import Address


@pytest.fixture
async def pair():
    first, second = open_transport("127.1.1.1", 0), open_transport("127.1.1.2", 0)
    yield first, second
    first.close()
    second.close()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


async def receive_one(transport):
    """Return the next datagram and its source."""
    got = []
    async with trio.open_nursery() as nursery:

        def handle(data, source):
            got.append((data, source))
            nursery.cancel_scope.cancel()

        with trio.fail_after(10):
            await transport.receive(handle)
    return got[0]


async def test_port_zero_gives_udp_and_tcp_one_port(pair):
    first, second = pair
    assert first.address.port > 0
    assert second.send(b"hello", first.address)
    assert await receive_one(first) == (b"hello", second.address)
    async with await connect(first.address), await first.accept():
        pass


async def test_traffic_is_counted(pair):
    first, second = pair
    second.send(b"12345", first.address)
    await receive_one(first)
    assert (second.traffic.packets_sent, second.traffic.bytes_sent) == (1, 5)
    assert (first.traffic.packets_received, first.traffic.bytes_received) == (1, 5)


class Steps(trio.abc.Instrument):
    """Counts what is handled between two turns of a task."""

    def __init__(self):
        self.handled = self.before = 0
        self.batches = []

    def before_task_step(self, _task):
        self.before = self.handled

    def after_task_step(self, _task):
        if self.handled > self.before:
            self.batches.append(self.handled - self.before)


async def batches(transport, count, handle=lambda: None):
    """Return how many of `count` waiting datagrams were handled in each turn."""
    steps = Steps()

    def handle_one(_data, _source):
        steps.handled += 1
        handle()

    trio.lowlevel.add_instrument(steps)
    try:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(transport.receive, handle_one)
                while steps.handled < count:
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
    finally:
        trio.lowlevel.remove_instrument(steps)
    return steps.batches


async def test_a_flood_is_read_in_batches_with_turns_for_others(pair, mock_clock):
    for _ in range(RECEIVE_BATCH + 1):
        pair[1].send(b"x", pair[0].address)
    assert await batches(pair[0], RECEIVE_BATCH + 1) == [RECEIVE_BATCH, 1]


async def test_a_batch_that_takes_its_time_ends_early(pair, mock_clock):
    for _ in range(7):
        pair[1].send(b"x", pair[0].address)
    # The third of each batch exceeds its time.
    assert await batches(pair[0], 7, lambda: mock_clock.jump(RECEIVE_SECONDS * 0.4)) == [3, 3, 1]


@pytest.mark.parametrize(
    ("data", "to"),
    [
        (b"x" * 70_000, Address("127.1.1.2", 1)),
        (b"x", Address("::1", 1)),
        (b"x", Address("127.1.1.2", 70_000)),
        (b"x", Address("127.1.1.2", 0)),
    ],
)
async def test_what_cannot_be_sent_is_dropped_and_counted(pair, data, to):
    assert not pair[0].send(data, to)
    assert pair[0].traffic.packets_dropped == 1
    assert pair[0].traffic.packets_sent == 0


async def test_a_port_in_use_is_one_clear_line(pair):
    taken = pair[0].address
    with pytest.raises(StartError) as caught:
        open_transport(taken.host, taken.port)
    expected = f"cannot bind udp {taken}: address already in use (another agent? try --bind)"
    assert str(caught.value) == expected


def test_a_tcp_port_in_use_gives_the_udp_one_back():
    with socket.socket() as blocker:
        blocker.bind(("127.1.1.3", 0))
        blocker.listen()
        port = blocker.getsockname()[1]
        for _ in range(2):  # a leaked UDP socket would make the second attempt say udp
            with pytest.raises(StartError, match=f"cannot bind tcp 127.1.1.3:{port}: address already in use"):
                open_transport("127.1.1.3", port)


@pytest.mark.parametrize(
    ("host", "reason"),
    [("192.0.2.99", "not an address of this machine"), ("2001:db8::1", "not an address of this machine")],
)
def test_a_foreign_address_is_one_clear_line(host, reason):
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    with pytest.raises(StartError, match=reason):
        open_transport(host, 0)


def test_port_zero_is_tried_a_bounded_number_of_times(monkeypatch):
    attempts = []

    def refuse(host, port):
        attempts.append((host, port))
        raise StartError("taken")

    monkeypatch.setattr(transport_module, "_bind_pair", refuse)
    with pytest.raises(StartError, match="taken"):
        open_transport("127.1.1.4", 0)
    assert len(attempts) == transport_module.PORT_ATTEMPTS


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EACCES, "a port below 1024 needs privileges"), (errno.EIO, "input/output error")],
)
def test_other_refusals_name_their_reason(monkeypatch, number, remedy):
    class Refusing(socket.socket):
        def bind(self, _address):
            raise OSError(number, "input/output error")

    monkeypatch.setattr(transport_module.socket, "socket", Refusing)
    with pytest.raises(StartError, match=remedy):
        open_transport("127.1.1.5", 1)


def test_no_socket_at_all_is_one_clear_line(monkeypatch):
    def refuse(*_args):
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported")

    monkeypatch.setattr(transport_module.socket, "socket", refuse)
    with pytest.raises(StartError, match=r"cannot open udp 127\.1\.1\.6:1: address family not supported"):
        open_transport("127.1.1.6", 1)


@needs_ipv6
async def test_ipv6_works_like_ipv4():
    first, second = open_transport("::1", 0), open_transport("::1", 0)
    try:
        assert second.send(b"six", first.address)
        assert await receive_one(first) == (b"six", second.address)
        async with await connect(first.address), await first.accept():
            pass
    finally:
        first.close()
        second.close()


@needs_ipv6
async def test_listening_on_all_ipv6_addresses_serves_ipv4_too(pair):
    dual = open_transport("::", 0)
    try:
        dual.send(b"from six", pair[0].address)
        data, source = await receive_one(pair[0])
        assert (data, source.port) == (b"from six", dual.address.port)
        assert pair[0].send(b"from four", Address("127.0.0.1", dual.address.port))
        assert await receive_one(dual) == (b"from four", pair[0].address)
    finally:
        dual.close()


async def test_a_connection_to_nobody_is_refused(pair):
    free = pair[0].address
    pair[0].close()
    with pytest.raises(ConnectionRefusedError):
        await connect(free)


async def test_accepting_goes_on_after_the_process_ran_out_of_descriptors(
    pair, monkeypatch, autojump_clock, caplog
):
    first = pair[0]
    failures = [OSError(errno.EMFILE, "too many"), OSError(errno.ECONNABORTED, "aborted")]
    ours, theirs = trio.socket.socketpair()

    class Listener:
        async def accept(self):
            await trio.lowlevel.checkpoint()
            if failures:
                raise failures.pop(0)
            return ours, None

    original, first._listener = first._listener, Listener()
    try:
        stream = await first.accept()
    finally:
        first._listener = original
    assert stream.socket is ours
    assert first.traffic.accept_errors == 2
    lines = [record.reason for record in caplog.records if record.getMessage() == "cannot accept a stream"]
    assert lines == ["too many"]
    ours.close()
    theirs.close()


async def test_an_error_from_the_network_is_counted_and_does_not_stop_receiving(pair):
    first, second = pair

    class Flaky:
        """A socket that reports an ICMP error once."""

        def __init__(self, sock):
            self.sock, self.failed = sock, False

        def fileno(self):
            return self.sock.fileno()

        def recvfrom(self, size):
            if not self.failed:
                self.failed = True
                raise ConnectionRefusedError
            return self.sock.recvfrom(size)

    original, first._udp = first._udp, Flaky(first._udp)
    try:
        second.send(b"after", first.address)
        assert (await receive_one(first))[0] == b"after"
    finally:
        first._udp = original
    assert first.traffic.receive_errors == 1
