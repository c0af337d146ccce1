"""Datagrams that are dear for their size, and what each costs an agent. Run as a script: the table as JSON.

As a script it imports only what every version has, so that one checkout can measure another:
``OTHER/.venv/bin/python benchmarks/attacks/datagrams.py``.
"""

import json
import struct
import sys
import time
from contextlib import suppress
from random import Random

from msgpack import packb

from gossip.errors import RemoteProtocolError
from gossip.serf.config import SerfConfig
from gossip.serf.node import LocalMember, SerfNode
from gossip.swim.effects import SendPacket
from gossip.wire.address import Address, pack_address
from gossip.wire.codec import encode
from gossip.wire.compression import pack_compressed
from gossip.wire.lzw import compress
from gossip.wire.messages import PROTOCOL_VERSIONS, Alive, IndirectPing, Ping
from gossip.wire.packet import seal, unseal
from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import JoinIntent, UserEvent

THIRD = Address("127.77.0.99", 9999)
"""Who is named in forged pings; the harness listens there."""
REPEATS = 5
MAX_BYTES = 65_000


def compound(parts: list[bytes]) -> bytes:
    """Return `parts`, up to 255, as one message."""
    lengths = b"".join(struct.pack(">H", len(part)) for part in parts)
    return b"\x07" + bytes((len(parts),)) + lengths + b"".join(parts)


def nested(parts: list[bytes]) -> bytes:
    """Return any number of parts, as a compound of compounds, compressed."""
    return pack_compressed(compound([compound(parts[at : at + 250]) for at in range(0, len(parts), 250)]))


def failing(size: int) -> bytes:
    """Return a compound of expansions that fail at their end, compressed."""
    part = b"\x09" + packb({"Algo": 0, "Buf": bytes(size)}, use_bin_type=False)
    return pack_compressed(compound([part] * min(255, MAX_BYTES // (len(part) + 2))))


def failing_noise(size: int) -> bytes:
    """Return the same with contents that do not repeat."""
    raw = compress(Random(size).randbytes(size))[:-2]
    part = b"\x09" + packb({"Algo": 0, "Buf": raw}, use_bin_type=False)
    return pack_compressed(compound([part] * min(255, 40_000 // (len(part) + 2))))


def forged_ping(seq: int = 1) -> bytes:
    """Return a ping whose answer goes to the third party."""
    return encode(Ping(seq, "", pack_address(THIRD.host), THIRD.port))


def forged_indirect_ping(seq: int = 1) -> bytes:
    """Return a request to ping the third party."""
    return encode(IndirectPing(seq, pack_address(THIRD.host), THIRD.port, "", False))


def hostile() -> dict[str, bytes]:
    """Return the datagrams by name."""
    addr = pack_address("127.77.9.9")
    alive = [encode(Alive(1, f"{n:x}", addr, 1, b"", PROTOCOL_VERSIONS)) for n in range(700)]
    return {
        "one ping": forged_ping(),
        "100 bytes of noise": Random(1).randbytes(100),
        "63,000 bytes of LZW": pack_compressed(b"\x08" + Random(2).randbytes(46_000)),
        "65,000 zeros": pack_compressed(b"\x08" + bytes(65_000)),
        "failing expansions, zeros": failing(1000),
        "failing expansions, 290 bytes each": failing_noise(250),
        "failing expansions, 980 bytes each": failing_noise(800),
        "1,000 pings": nested([forged_ping()] * 1000),
        "100 pings": nested([forged_ping()] * 100),
        "760 indirect pings": nested([forged_indirect_ping()] * 760),
        "60 indirect pings": nested([forged_indirect_ping()] * 60),
        "700 announcements": nested(alive),
        "120 announcements": nested(alive[:120]),
        "1,000 join intents": nested([b"\x08" + encode_serf(JoinIntent(n, f"{n:x}")) for n in range(1000)]),
        "120 join intents": nested([b"\x08" + encode_serf(JoinIntent(n, f"{n:x}")) for n in range(120)]),
        "1,000 events": nested([b"\x08" + encode_serf(UserEvent(n, f"{n:x}")) for n in range(1000)]),
        "120 events": nested([b"\x08" + encode_serf(UserEvent(n, f"{n:x}")) for n in range(120)]),
    }


def cost(datagram: bytes) -> tuple[float, int]:
    """Return the seconds that a node takes for `datagram`, the answers sealed, and how many it makes."""
    best, answers = float("inf"), 0
    for _ in range(REPEATS):
        node = SerfNode(
            SerfConfig(), LocalMember("me", pack_address("127.77.0.1"), 7946, {}), rng=Random(1), now=0.0
        )
        start = time.process_time()
        with suppress(RemoteProtocolError):
            parts = unseal(datagram, encryption=None)
            node.receive_packet(bounded(parts), Address("127.77.0.9", 7946), 1.0)
        packets = [effect for effect in node.effects() if type(effect) is SendPacket]
        for packet in packets:
            seal(packet.parts, compress=True, crc=False, encryption=None, nonce=b"")
        best, answers = min(best, time.process_time() - start), len(packets)
    return best, answers


def bounded(parts: list[bytes]) -> list[bytes]:
    """Return what of `parts` an agent of the installed version hands to its node."""
    try:
        from gossip.agent.admission import Admission
    except ImportError:
        return parts
    return list(Admission(lambda _: False, 0.0).bounded(parts, THIRD, 0.0))


def main() -> None:
    """Print name, bytes, milliseconds and answers of each datagram."""
    rows = []
    for name, datagram in hostile().items():
        if len(datagram) > 65_507:
            continue
        seconds, answers = cost(datagram)
        rows.append((name, len(datagram), round(seconds * 1e3, 2), answers))
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main()
