"""A Serf node on a test rig, with methods to drive it and to read its effects."""

from collections.abc import Iterable, Mapping
from random import Random
from typing import TypeVar

from gossip.serf.broadcasts import QUEUE_CHECK
from gossip.serf.config import SerfConfig
from gossip.serf.effects import Effect, MemberEvent
from gossip.serf.members import MemberStatus, SerfMember
from gossip.serf.node import LocalMember, SerfNode
from gossip.serf.tags import encode_tags
from gossip.swim.detector import PROBE
from gossip.swim.effects import SendPacket
from gossip.swim.node import PUSH_PULL, PUSH_PULL_STAGGER
from gossip.wire.address import Address
from gossip.wire.codec import decode, encode
from gossip.wire.messages import (
    Alive,
    Dead,
    NodeState,
    PacketMessage,
    PushPull,
    Suspect,
    UserMessage,
)
from gossip.wire.serf_codec import decode_serf, encode_serf
from gossip.wire.serf_messages import (
    LeaveIntent,
    PastEvent,
    PastEvents,
    Query,
    SerfMessage,
    SerfPushPull,
)
from tests.swim.rig import ME, PORT, STRANGER, alive, home, host

__all__ = ["ME", "PORT", "STRANGER", "Rig", "alive", "home", "host", "past", "query", "rig_of", "state"]

E = TypeVar("E")


def state(
    ltime: int = 0,
    statuses: Mapping[str, int] | None = None,
    left: Iterable[str] = (),
    event_ltime: int = 0,
    events: Iterable[PastEvents] = (),
    query_ltime: int = 0,
) -> SerfPushPull:
    """Return Serf's part of a push/pull."""
    return SerfPushPull(ltime, statuses or {}, tuple(left), event_ltime, tuple(events), query_ltime)


def past(ltime: int, *names: str) -> PastEvents:
    """Return events of one Lamport time, each with its name as payload."""
    return PastEvents(ltime, tuple(PastEvent(name, name.encode()) for name in names))


def query(ltime: int, number: int = 1, flags: int = 0) -> Query:
    """Return a query of `n1`."""
    return Query(ltime, number, host("n1"), PORT, "n1", (), flags, 0, 10**9, "uptime", b"")


class Rig:
    """A node called `me`, its clock, and everything that it emitted."""

    def __init__(
        self,
        config: SerfConfig | None = None,
        *,
        seed: int = 1,
        members: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
        rng: Random | None = None,
    ) -> None:
        self.now = 1000.0
        me = LocalMember(ME, host(ME), PORT, tags or {})
        self.node = SerfNode(config or SerfConfig(), me, rng=rng or Random(seed), now=self.now)
        self._effects: list[Effect] = []
        self.meet(*members)

    # --- driving ------------------------------------------------------------------------------------------

    def hear(self, *messages: PacketMessage, source: Address = STRANGER) -> None:
        """Let one datagram with `messages` arrive."""
        self.node.receive_packet([encode(message) for message in messages], source, self.now)

    def say(self, *messages: SerfMessage) -> None:
        """Let one datagram with Serf messages arrive."""
        self.hear(*(UserMessage(encode_serf(message)) for message in messages))

    def meet(self, *names: str, meta: bytes = b"") -> None:
        """Let each of the names announce itself, and forget the resulting effects."""
        for name in names:
            self.hear(alive(name, meta=meta), source=home(name))
            self.forget()

    def retag(self, name: str, incarnation: int = 2, **tags: str) -> None:
        """Let `name` announce new tags."""
        self.hear(alive(name, incarnation, meta=encode_tags(tags)))

    def fail(self, name: str, incarnation: int = 1) -> None:
        """Let others declare `name` dead."""
        self.hear(Dead(incarnation, name, "n99"))

    def suspect(self, name: str, incarnation: int = 1) -> None:
        """Let others accuse `name`."""
        self.hear(Suspect(incarnation, name, "n99"))

    def leave(self, name: str, ltime: int = 5) -> None:
        """Let `name` leave gracefully."""
        self.say(LeaveIntent(ltime, name))
        self.hear(Dead(1, name, name))

    def merge(
        self,
        serf: SerfPushPull | None = None,
        *rows: NodeState,
        join: bool = False,
        initiated: bool = False,
        replay: bool = False,
    ) -> None:
        """Let a push/pull arrive."""
        user_state = encode_serf(serf) if serf else b""
        remote = PushPull(join, rows, user_state)
        self.node.merge_remote_state(remote, initiated=initiated, now=self.now, replay=replay)

    def quiet(self) -> None:
        """Disable probes, anti-entropy and the check of the queues."""
        for timer in (PROBE, PUSH_PULL, PUSH_PULL_STAGGER, QUEUE_CHECK):
            self.node.swim.deadlines.cancel(timer)

    def advance(self, seconds: float) -> None:
        """Let time pass; timers fire when they are due."""
        end = self.now + seconds
        while self.node.next_deadline() <= end:
            self.now = max(self.now, self.node.next_deadline())
            self.node.handle_timeout(self.now)
        self.now = end

    def forget(self) -> None:
        """Forget the effects so far."""
        self.node.effects()
        self._effects.clear()

    def take(self, room: int, budget: int = 1396) -> list[bytes]:
        """Take Serf's broadcasts, as a packet would."""
        return self.node._broadcasts.take(budget, room, len(self.node.members()))

    def drain_queues(self) -> None:
        """Drop everything that is queued."""
        swim = self.node.swim
        while swim.queue.take(1396, 1) or self.take(127):
            pass

    # --- looking ------------------------------------------------------------------------------------------

    def effects(self) -> list[Effect]:
        """Return all effects since the last `forget`."""
        self._effects += self.node.effects()
        return self._effects

    def emitted(self, kind: type[E]) -> list[E]:
        """Return the effects of a kind, oldest first."""
        return [effect for effect in self.effects() if isinstance(effect, kind)]

    def told(self) -> list[tuple[str, str]]:
        """Return the member events: the kind and the name."""
        return [(type(e).__name__, e.member.name) for e in self.effects() if isinstance(e, MemberEvent)]

    def events(self) -> list[str]:
        """Return the names of the user events that were delivered."""
        return [e.event.name for e in self.effects() if type(e).__name__ == "UserEventReceived"]

    def member(self, name: str) -> SerfMember:
        """Return the row of `name`."""
        member = self.node.member(name)
        assert member is not None
        return member

    def status(self, name: str) -> MemberStatus:
        """Return the status of `name`."""
        return self.member(name).status

    def sent(self, kind: type[E]) -> list[E]:
        """Return the messages of a kind, of either layer, in the packets sent."""
        found: list[object] = []
        for packet in self.emitted(SendPacket):
            for part in packet.parts:
                message = decode(part)
                found.append(decode_serf(message.payload) if isinstance(message, UserMessage) else message)
        return [message for message in found if isinstance(message, kind)]

    def queued(self) -> list[SerfMessage]:
        """Return Serf's queued messages, without counting them as sent."""
        queues = self.node._broadcasts.queues
        waiting = [b.data for q in queues for tier in q.tiers for stack in tier.values() for b in stack]
        return [decode_serf(data[1:]) for data in waiting]

    def announced(self) -> list[Alive]:
        """Return the queued announcements of this node."""
        queue = self.node.swim.queue
        waiting = [decode(b.data) for tier in queue.tiers for stack in tier.values() for b in stack]
        return [message for message in waiting if isinstance(message, Alive) and message.node == ME]


def rig_of(*members: str, config: SerfConfig | None = None) -> Rig:
    """Return a rig at rest: it knows `members`, has nothing to send, and does not probe."""
    rig = Rig(config, members=members)
    rig.quiet()
    rig.drain_queues()
    rig.advance(1.0)
    rig.forget()
    return rig
