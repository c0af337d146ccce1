"""A handful of cores on virtual time, wired to each other in memory.

It is the smallest driver that the core can have: deliveries and deadlines on one heap. Verbs for tests:
`add`, `join`, `advance`, `cut`, `crash`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from random import Random

from gossip.serf.config import SerfConfig
from gossip.serf.effects import Effect
from gossip.serf.members import MemberStatus
from gossip.serf.node import LocalMember, SerfNode
from gossip.swim.effects import OpenPushPull, OpenStreamPing, SendPacket
from gossip.wire.address import Address, pack_address, unpack_address
from gossip.wire.codec import decode
from gossip.wire.messages import Ping

LATENCY = 0.001


class Cluster:
    """Cores by name; every packet takes a millisecond unless `cut` says that it is lost."""

    def __init__(self, seed: int = 1, config: SerfConfig | None = None) -> None:
        self.now = 100.0
        self.nodes: dict[str, SerfNode] = {}
        self.events: dict[str, list[Effect]] = {}
        self.lost: Callable[[str, str], bool] = lambda _source, _target: False
        self.streams_lost: Callable[[str, str], bool] = lambda _source, _target: False
        self.packets = 0
        self._config = config or SerfConfig()
        self._rng = Random(seed)
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0
        self._at: dict[Address, str] = {}

    def add(self, name: str, tags: Mapping[str, str] | None = None, host: str = "") -> SerfNode:
        """Start a node; it knows nobody."""
        addr = pack_address(host or f"10.0.{len(self._at) // 250}.{len(self._at) % 250 + 1}")
        me = LocalMember(name, addr, 7946, tags or {})
        self.nodes[name] = SerfNode(self._config, me, rng=Random(self._rng.random()), now=self.now)
        self.events[name] = []
        self._at[unpack_address(addr, 7946)] = name
        self._flush(name)
        return self.nodes[name]

    def join(self, name: str, seed: str) -> None:
        """Let `name` do what a join command does: a push/pull with `seed`, then the join intent."""
        self._push_pull(name, seed, join=True)
        self.nodes[name].announce_join(self.now)
        self._flush(name)

    def crash(self, name: str) -> None:
        """Let `name` vanish without a word."""
        del self.nodes[name]

    def do(self, name: str, command: Callable[[SerfNode, float], object]) -> None:
        """Run a command of `name` now."""
        command(self.nodes[name], self.now)
        self._flush(name)

    def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        end = self.now + seconds
        for _ in range(10_000_000):
            due = min(self.nodes.values(), key=lambda node: node.next_deadline(), default=None)
            wake = due.next_deadline() if due else float("inf")
            deliver = self._heap[0][0] if self._heap else float("inf")
            if min(wake, deliver) > end:
                break
            if deliver <= wake:
                self.now, _, delivery = heappop(self._heap)
                delivery()
            else:
                assert due is not None
                self.now = max(self.now, wake)
                due.handle_timeout(self.now)
                self._flush(due.name)
        self.now = end

    def until(self, condition: Callable[[], bool], within: float) -> float:
        """Advance in steps of 10 ms until `condition` holds; return how long it took."""
        start = self.now
        while not condition():
            assert self.now - start < within, f"still not so after {within} s"
            self.advance(0.01)
        return self.now - start

    def statuses(self, name: str) -> dict[str, MemberStatus]:
        """Return what `name` believes of everybody."""
        return {member.name: member.status for member in self.nodes[name].members()}

    def agree(self, status: MemberStatus, about: str) -> bool:
        """Tell whether all nodes hold `about` in `status`."""
        return all(self.statuses(name).get(about) is status for name in self.nodes if name != about)

    def _flush(self, name: str) -> None:
        for effect in self.nodes[name].effects():
            self.events[name].append(effect)
            if isinstance(effect, SendPacket):
                self.packets += 1
                self._later(name, effect.to, lambda n, e=effect, s=name: self._deliver(s, n, e), self.lost)
            elif isinstance(effect, OpenPushPull):
                join = effect.join
                self._later(
                    name, effect.to, lambda n, s=name, j=join: self._push_pull(s, n, join=j), self.streams_lost
                )
            elif isinstance(effect, OpenStreamPing):
                self._later(
                    name, effect.to, lambda n, e=effect, s=name: self._stream_ping(s, n, e), self.streams_lost
                )

    def _later(
        self, source: str, to: Address, delivery: Callable[[str], None], lost: Callable[[str, str], bool]
    ) -> None:
        target = self._at.get(to)
        if target is not None and not lost(source, target):
            self._serial += 1
            heappush(self._heap, (self.now + LATENCY, self._serial, lambda: delivery(target)))

    def _deliver(self, source: str, target: str, effect: SendPacket) -> None:
        if target in self.nodes:
            sender = next(address for address, name in self._at.items() if name == source)
            self.nodes[target].receive_packet(effect.parts, sender, self.now)
            self._flush(target)

    def _push_pull(self, source: str, target: str, *, join: bool) -> None:
        if source in self.nodes and target in self.nodes:
            request = self.nodes[source].local_state(join=join)
            reply = self.nodes[target].local_state(join=join)
            self.nodes[target].merge_remote_state(request, initiated=False, now=self.now)
            self.nodes[source].merge_remote_state(reply, initiated=True, now=self.now)
            self._flush(target)
            self._flush(source)

    def _stream_ping(self, source: str, target: str, effect: OpenStreamPing) -> None:
        if source in self.nodes and target in self.nodes:
            ping = decode(effect.ping)
            assert isinstance(ping, Ping)
            if self.nodes[target].answer_stream_ping(ping):
                self.nodes[source].stream_ping_answered(effect.seq, self.now)
                self._flush(source)
