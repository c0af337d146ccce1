"""A SWIM node on a test rig, with methods to drive it and to read its effects.

`Rig` is the smallest driver of a `SwimNode`; `Layer` is an upper layer that queues bytes and keeps notes.
"""

from collections.abc import Iterable
from random import Random
from typing import TypeVar

from gossip.swim.config import SwimConfig
from gossip.swim.deadlines import Timer
from gossip.swim.detector import PROBE, ProbeDue
from gossip.swim.dissemination import BroadcastQueue
from gossip.swim.effects import Effect, SendPacket
from gossip.swim.evidence import Evidence
from gossip.swim.member import Member
from gossip.swim.node import PUSH_PULL, PUSH_PULL_STAGGER, SwimNode
from gossip.swim.runtime import Runtime
from gossip.wire.address import Address, pack_address, unpack_address
from gossip.wire.codec import decode, encode
from gossip.wire.messages import (
    PROTOCOL_VERSIONS,
    Ack,
    Alive,
    Dead,
    MemberState,
    NodeState,
    PacketMessage,
    Ping,
    PushPull,
    Suspect,
)

ME = "me"
PORT = 7946
STRANGER = Address("192.0.2.1", 4444)
M = TypeVar("M")
E = TypeVar("E")


def host(name: str) -> bytes:
    """Return the raw address of `name`: n7 lives at 10.0.0.7, names without a number elsewhere."""
    if name[:1] == "n" and name[1:].isdecimal():
        number = int(name[1:])
        return pack_address(f"10.0.{number // 250}.{number % 250}")
    return pack_address(f"10.1.0.{sum(map(ord, name)) % 250}")


def home(name: str) -> Address:
    """Return the address of `name`."""
    return unpack_address(host(name), PORT)


def alive(
    name: str,
    incarnation: int = 1,
    *,
    addr: bytes = b"",
    port: int = PORT,
    meta: bytes = b"",
    versions: bytes = PROTOCOL_VERSIONS,
) -> Alive:
    """Return the announcement of `name`."""
    return Alive(incarnation, name, addr or host(name), port, meta, versions)


def row(
    name: str, incarnation: int = 1, state: MemberState = MemberState.ALIVE, **fields: object
) -> NodeState:
    """Return a row of a push/pull."""
    told = alive(name, incarnation, **fields)
    return NodeState(name, told.addr, told.port, told.meta, incarnation, state, told.versions)


class Layer:
    """The layer above: it records the calls and provides its queue."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []
        self.finished: list[int] = []
        self.payload: bytes | None = None  # of answers to pings
        self.completed: list[tuple[str, float, bytes]] = []
        self.queue = BroadcastQueue(100, 1396, [])

    def member_joined(self, member: Member, now: float) -> None:
        self.heard.append(("joined", member.name))

    def member_updated(self, member: Member, now: float) -> None:
        self.heard.append(("updated", member.name))

    def member_gone(self, member: Member, evidence: Evidence, now: float) -> None:
        self.heard.append(("gone", member.name))

    def member_suspected(self, member: Member, evidence: Evidence, now: float) -> None:
        self.heard.append(("suspected", member.name, evidence.accuser))

    def suspicion_confirmed(self, member: Member, evidence: Evidence, now: float) -> None:
        self.heard.append(("confirmed", member.name, evidence.reporter))

    def suspicion_refuted(self, member: Member, evidence: Evidence, now: float) -> None:
        self.heard.append(("refuted", member.name))

    def pending_broadcasts(self) -> int:
        return len(self.queue)

    def take_broadcasts(self, budget: int, room: int) -> list[bytes]:
        return self.queue.take(budget, 3, room)

    def broadcast_finished(self, token: int, now: float) -> None:
        self.finished.append(token)

    def ack_payload(self) -> bytes | None:
        return self.payload

    def ping_completed(self, name: str, rtt: float, payload: bytes) -> None:
        self.completed.append((name, rtt, payload))

    def local_user_state(self) -> bytes:
        return b"state above"


class Rig:
    """A node called `me` at 10.1.0.x, its clock, and everything that it emitted."""

    def __init__(
        self,
        config: SwimConfig | None = None,
        *,
        seed: int = 1,
        members: Iterable[str] = (),
        layer: Layer | None = None,
    ) -> None:
        self.config = config or SwimConfig()
        self.now = 1000.0
        self.effects: list[Effect] = []
        self.layer = layer or Layer()
        self.node = SwimNode(
            self.config, alive(ME), self.layer, self.effects.append, Runtime(Random(seed)), now=self.now
        )
        self.meet(*members)

    # --- driving ------------------------------------------------------------------------------------------

    def hear(self, *messages: PacketMessage, source: Address = STRANGER) -> None:
        """Let one datagram with `messages` arrive."""
        self.hear_bytes(*map(encode, messages), source=source)

    def hear_bytes(self, *parts: bytes, source: Address = STRANGER) -> None:
        """Let one datagram with `parts` arrive."""
        for payload in self.node.receive_packet(parts, source, self.now):
            self.layer.heard.append(("message", payload.decode()))

    def meet(self, *names: str) -> None:
        """Let each of the names announce itself, and forget the resulting effects."""
        for name in names:
            self.hear(alive(name), source=home(name))
        self.forget()

    def suspect(self, name: str, reporter: str = "n99", incarnation: int = 1) -> None:
        """Let `reporter` accuse `name`."""
        self.hear(Suspect(incarnation, name, reporter))

    def bury(self, name: str, reporter: str = "n99", incarnation: int = 1) -> None:
        """Let `reporter` declare `name` dead; a name that reports itself leaves."""
        self.hear(Dead(incarnation, name, reporter))

    def merge(self, *rows: NodeState, joining: bool = False) -> None:
        """Let a push/pull with `rows` arrive."""
        self.node.merge_remote_state(PushPull(joining, rows, b""), self.now, joining=joining)

    def ack(self, ping: Ping, source: Address = STRANGER) -> None:
        """Let the answer to `ping` arrive."""
        self.hear(Ack(ping.seq), source=source)

    def advance(self, seconds: float) -> None:
        """Let time pass; timers fire when they are due."""
        end = self.now + seconds
        while self.node.next_deadline() <= end:
            self.fire()
        self.now = end

    def fire(self) -> Timer:
        """Go to the next deadline, handle one timer, and return it."""
        self.now = max(self.now, self.node.next_deadline())
        timer = self.node.deadlines.pop_due(self.now)
        assert timer is not None
        self.node.handle_timeout(timer, self.now)
        return timer

    def fire_until(self, kind: type[Timer]) -> None:
        """Handle timers up to and including the next one of `kind`."""
        while not isinstance(self.fire(), kind):
            pass

    def begin_probe(self) -> tuple[Ping, Address]:
        """Go to the start of the next probe; return its ping and its target."""
        self.forget()
        self.fire_until(ProbeDue)
        ((ping, to),) = self.sent(Ping)
        return ping, to

    def stop_probing(self) -> None:
        """Disable our own probes."""
        self.node.deadlines.cancel(PROBE)

    def stop_anti_entropy(self) -> None:
        """Disable our own push/pulls."""
        self.node.deadlines.cancel(PUSH_PULL)
        self.node.deadlines.cancel(PUSH_PULL_STAGGER)

    def drain_queue(self) -> None:
        """Drop everything that is queued."""
        while self.node.queue.take(1396, 1):
            pass

    def forget(self) -> None:
        """Forget the effects and the recorded calls so far."""
        self.effects.clear()
        self.layer.heard.clear()

    # --- looking ------------------------------------------------------------------------------------------

    def member(self, name: str) -> Member:
        """Return the row of `name`."""
        return self.node.table.by_name[name]

    def state(self, name: str) -> MemberState:
        """Return the node's view of `name`."""
        return self.member(name).state

    @property
    def me(self) -> Member:
        """This node's own row."""
        return self.node.table.me

    def emitted(self, kind: type[E]) -> list[E]:
        """Return the effects of a kind, oldest first."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def packets(self) -> list[SendPacket]:
        """Return the packets sent."""
        return self.emitted(SendPacket)

    def sent(self, kind: type[M]) -> list[tuple[M, Address]]:
        """Return the messages of a kind that were sent, with their destinations."""
        messages = [(decode(part), packet.to) for packet in self.packets() for part in packet.parts]
        return [(message, to) for message, to in messages if isinstance(message, kind)]

    def queued(self) -> list[PacketMessage]:
        """Return the messages in SWIM's own queue, without counting them as sent."""
        queue = self.node.queue
        return [decode(b.data) for tier in queue.tiers for stack in tier.values() for b in stack]
