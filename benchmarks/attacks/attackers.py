"""What is done to the victim: floods of datagrams, streams, IPC clients. Each returns the bytes it sent."""

import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

import msgpack

from benchmarks.attacks.datagrams import (
    THIRD,
    failing,
    failing_noise,
    forged_indirect_ping,
    forged_ping,
    nested,
)
from benchmarks.attacks.victim import PORT, RPC_PORT, VICTIM
from gossip.wire.address import pack_address
from gossip.wire.codec import encode_push_pull
from gossip.wire.messages import PROTOCOL_VERSIONS, MemberState, NodeState, PushPull
from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import JoinIntent
from gossip.wire.stream import seal_stream

ATTACKER = "127.77.2.1"
SLOW_CONNECTIONS = 1000
CONCURRENT_STREAMS = 64
IPC_CLIENTS = 128
TABLE = 4000
"""Members that an IPC client which does not read asks for."""

Attack = Callable[[float], int]
"""Attack for so many seconds; return the bytes sent."""


def _send(
    rate: int,
    seconds: float,
    datagrams: Sequence[bytes],
    sent: "multiprocessing.sharedctypes.Synchronized[int]",
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((ATTACKER, 0))
        sock.connect((VICTIM, PORT))
        start, number, total = time.monotonic(), 0, 0
        while (elapsed := time.monotonic() - start) < seconds:
            for _ in range(min(200, int(elapsed * rate) - number)):
                datagram = datagrams[number % len(datagrams)]
                with suppress(OSError):
                    total += sock.send(datagram)
                number += 1
            time.sleep(0.0005)
        sent.value = total


def flood(rate: int, datagrams: Sequence[bytes]) -> Attack:
    """Return an attack that sends `rate` datagrams a second, in turn."""

    def attack(seconds: float) -> int:
        sent = multiprocessing.Value("q", 0)
        sender = multiprocessing.Process(target=_send, args=(rate, seconds, datagrams, sent))
        sender.start()
        sender.join()
        return int(sent.value)

    return attack


def slowloris(seconds: float) -> int:
    """Keep a thousand streams open that say one byte; those that are closed are opened again."""
    end, held = time.monotonic() + seconds, []
    opened = 0
    while time.monotonic() < end:
        kept = []
        for sock in held:
            try:
                is_open = sock.recv(1) != b""
            except BlockingIOError:
                is_open = True
            except OSError:
                is_open = False
            if is_open:
                kept.append(sock)
            else:
                sock.close()
        held = kept
        for _ in range(min(100, SLOW_CONNECTIONS - len(held))):
            sock = socket.socket()
            sock.bind((ATTACKER, 0))
            sock.settimeout(0.2)
            with suppress(OSError):
                sock.connect((VICTIM, PORT))
                sock.send(b"\x06")
                opened += 1
            sock.setblocking(False)
            held.append(sock)
        time.sleep(0.02)
    for sock in held:
        sock.close()
    return opened


def rows(count: int, name: str = "m{:06d}", meta: bytes = b"") -> tuple[NodeState, ...]:
    """Return rows of a push/pull."""
    return tuple(
        NodeState(
            name.format(n),
            pack_address(f"127.77.{100 + n // 250 % 100}.{1 + n % 250}"),
            7946,
            meta,
            1,
            MemberState.ALIVE,
            PROTOCOL_VERSIONS,
        )
        for n in range(count)
    )


def push_pulls(message: bytes, *, reads: bool = True) -> Attack:
    """Return an attack of many push/pulls at once, again and again."""

    def attack(seconds: float) -> int:
        end, sent = time.monotonic() + seconds, [0]

        def one(number: int) -> None:
            while time.monotonic() < end:
                with socket.socket() as sock, suppress(OSError):
                    sock.settimeout(seconds)
                    sock.bind((f"127.77.2.{1 + number % 4}", 0))
                    sock.connect((VICTIM, PORT))
                    sock.sendall(message)
                    sent[0] += len(message)
                    while reads and sock.recv(1 << 20):
                        pass
                    if not reads:
                        time.sleep(max(0.0, min(2.0, end - time.monotonic())))

        threads = [threading.Thread(target=one, args=(number,)) for number in range(CONCURRENT_STREAMS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sent[0]

    return attack


def state(*, compress: bool, count: int, meta: bytes = b"") -> bytes:
    """Return a push/pull as it goes over a stream."""
    message = encode_push_pull(PushPull(False, rows(count, meta=meta), b""))
    return seal_stream(message, compress=compress, encryption=None, nonce=b"")


def short_rows() -> bytes:
    """Return a push/pull of rows that are short on the wire, without its end."""
    row = msgpack.packb({"Addr": pack_address("127.77.9.9"), "Name": "x"}, use_bin_type=False)
    header = {"Join": False, "Nodes": 2**15, "UserStateLen": 1}
    return b"\x06" + msgpack.packb(header) + row * 2**15


def _ipc_clients(seconds: float, say: bytes) -> int:
    clients = []
    for _ in range(IPC_CLIENTS):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(2)
        with suppress(OSError):
            sock.connect((VICTIM, RPC_PORT))
            sock.sendall(say)
        clients.append(sock)
    time.sleep(seconds)
    for sock in clients:
        sock.close()
    return IPC_CLIENTS * len(say)


def request(command: str, seq: int, *body: object) -> bytes:
    """Return an IPC request."""
    return b"".join(msgpack.packb(each) for each in ({"Command": command, "Seq": seq}, *body))


HANDSHAKE = request("handshake", 1, {"Version": 1})


def silent_clients(seconds: float) -> int:
    """Open as many IPC clients as there are places, and say nothing."""
    return _ipc_clients(seconds, b"")


def clients_that_do_not_read(seconds: float) -> int:
    """Ask for thousands of members, over and over, and read no answer."""
    table = state(compress=True, count=TABLE, meta=b"m" * 100)
    with socket.create_connection((VICTIM, PORT)) as sock:
        sock.sendall(table)
        while sock.recv(1 << 20):
            pass
    return _ipc_clients(seconds, HANDSHAKE + b"".join(request("members", seq) for seq in range(2, 6)))


def token_guesses(seconds: float) -> int:
    """Guess tokens over one connection; return how many were answered."""
    answered, end = 0, time.monotonic() + seconds
    unpacker = msgpack.Unpacker()
    with socket.create_connection((VICTIM, RPC_PORT)) as sock, suppress(OSError):
        sock.settimeout(seconds)
        sock.sendall(HANDSHAKE)
        while time.monotonic() < end:
            sock.sendall(b"".join(request("auth", seq, {"AuthKey": f"guess {seq}"}) for seq in range(100)))
            for _ in range(100):
                if not (data := sock.recv(65_536)):
                    return answered
                unpacker.feed(data)
                answered += sum(1 for _ in unpacker)
                if time.monotonic() > end or answered % 100 == 1:
                    break
    return answered


def floods() -> dict[str, Attack]:
    """Return the floods of datagrams by name."""
    noise = [os.urandom(100) for _ in range(1000)]
    intents = [b"\x08" + encode_serf(JoinIntent(n, f"ghost{n}")) for n in range(50_000)]
    return {
        "noise, 20,000/s": flood(20_000, noise),
        "forged pings, 20,000/s": flood(20_000, [forged_ping(n) for n in range(1000)]),
        "forged indirect pings, 20,000/s": flood(20_000, [forged_indirect_ping(n) for n in range(1000)]),
        "1,000 pings compressed, 200/s": flood(200, [nested([forged_ping()] * 1000)]),
        "100 pings compressed, 200/s": flood(200, [nested([forged_ping()] * 100)]),
        "760 indirect pings compressed, 200/s": flood(200, [nested([forged_indirect_ping()] * 760)]),
        "failing expansions (zeros), 300/s": flood(300, [failing(1000)]),
        "failing expansions (noise), 100/s": flood(100, [failing_noise(250)]),
        "join intents of unknown names, 5,000/s": flood(5000, intents),
    }


def streams() -> dict[str, Attack]:
    """Return the attacks over streams by name."""
    large = state(compress=True, count=100_000, meta=Random(1).randbytes(60))
    return {
        "1,000 silent streams": slowloris,
        "64 push/pulls of 100,000 rows": push_pulls(large),
        "64 push/pulls of 30,000 rows": push_pulls(state(compress=True, count=30_000)),
        "64 unfinished push/pulls of short rows": push_pulls(short_rows(), reads=False),
        "64 push/pulls whose replies are not read": push_pulls(
            state(compress=True, count=TABLE), reads=False
        ),
    }


def clients() -> dict[str, Attack]:
    """Return the attacks on the IPC by name."""
    return {
        "128 silent IPC clients": silent_clients,
        "128 IPC clients that do not read": clients_that_do_not_read,
        "guesses of an IPC token": token_guesses,
    }


assert THIRD.host.startswith("127."), "nothing leaves this machine"
