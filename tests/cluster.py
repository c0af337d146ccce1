"""A handful of cores on virtual time, wired to each other in memory.

It is the smallest driver that the core can have: deliveries and deadlines on one heap. Verbs for tests:
`add`, `join`, `do`, `advance`, `until`, `cut`, `cut_packets`, `heal`, `crash`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
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
PORT = 7946
STEP = 0.01


class Cluster:
    """Cores by name; every packet and every stream takes a millisecond, unless its link is cut."""

    def __init__(self, seed: int = 1, config: SerfConfig | None = None) -> None:
        self.now = 100.0
        self.nodes: dict[str, SerfNode] = {}
        self.events: dict[str, list[Effect]] = {}
        self.packets = 0
        self._config = config or SerfConfig()
        self._rng = Random(seed)
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0
        self._name_at: dict[Address, str] = {}
        self._home: dict[str, Address] = {}
        self._cut: set[tuple[str, str]] = set()
        self._packets_cut: set[tuple[str, str]] = set()

    # --- driving ------------------------------------------------------------------------------------------

    def add(self, name: str, tags: Mapping[str, str] | None = None) -> SerfNode:
        """Start a node; it knows nobody."""
        number = len(self._home)
        addr = pack_address(f"10.0.{number // 250}.{number % 250 + 1}")
        self._home[name] = unpack_address(addr, PORT)
        self._name_at[self._home[name]] = name
        me = LocalMember(name, addr, PORT, tags or {})
        self.nodes[name] = SerfNode(self._config, me, rng=Random(self._rng.random()), now=self.now)
        self.events[name] = []
        self._flush(name)
        return self.nodes[name]

    def form(self, *names: str) -> None:
        """Start nodes, let each join the first, and wait until everybody knows everybody."""
        for name in names:
            self.add(name)
            if name != names[0]:
                self.join(name, names[0])
        self.until(lambda: all(len(node.members()) == len(names) for node in self.nodes.values()), 60.0)

    def join(self, name: str, seed: str) -> None:
        """Let `name` do what a join command does: a push/pull with `seed`, then the join intent."""
        self._push_pull(True, name, seed)
        self.do(name, lambda node, now: node.announce_join(now))

    def do(self, name: str, command: Callable[[SerfNode, float], object]) -> None:
        """Run a command of `name` now."""
        command(self.nodes[name], self.now)
        self._flush(name)

    def crash(self, name: str) -> None:
        """Let `name` vanish without a word."""
        del self.nodes[name]

    def cut(self, source: str, target: str) -> None:
        """Let nothing pass from `source` to `target`; a stream needs both directions."""
        self._cut.add((source, target))

    def cut_packets(self, source: str, target: str) -> None:
        """Let no packet pass from `source` to `target`, but streams."""
        self._packets_cut.add((source, target))

    def heal(self) -> None:
        """Mend all links."""
        self._cut.clear()
        self._packets_cut.clear()

    def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        end = self.now + seconds
        while True:
            due = min(self.nodes.values(), key=SerfNode.next_deadline, default=None)
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

    def until(self, condition: Callable[[], bool], within: float, step: float = STEP) -> float:
        """Advance until `condition` holds, looking every `step` seconds; return how long it took."""
        start = self.now
        while not condition():
            assert self.now - start < within, f"still not so after {within} s"
            self.advance(step)
        return self.now - start

    # --- looking ------------------------------------------------------------------------------------------

    def statuses(self, name: str) -> dict[str, MemberStatus]:
        """Return what `name` believes of everybody."""
        return {member.name: member.status for member in self.nodes[name].members()}

    def agree(self, status: MemberStatus, about: str) -> bool:
        """Tell whether all other nodes hold `about` in `status`."""
        return all(self.statuses(name).get(about) is status for name in self.nodes if name != about)

    def all_agree(self, expected: Mapping[str, MemberStatus]) -> bool:
        """Tell whether every node believes exactly this."""
        return all(self.statuses(name) == expected for name in self.nodes)

    # --- the network --------------------------------------------------------------------------------------

    def _flush(self, name: str) -> None:
        for effect in self.nodes[name].effects():
            self.events[name].append(effect)
            if isinstance(effect, SendPacket):
                self.packets += 1
                self._later(effect.to, partial(self._deliver, effect, name))
            elif isinstance(effect, OpenPushPull):
                self._later(effect.to, partial(self._push_pull, effect.join, name))
            elif isinstance(effect, OpenStreamPing):
                self._later(effect.to, partial(self._stream_ping, effect, name))

    def _later(self, to: Address, delivery: Callable[[str], None]) -> None:
        if to in self._name_at:
            self._serial += 1
            heappush(self._heap, (self.now + LATENCY, self._serial, partial(delivery, self._name_at[to])))

    def _deliver(self, effect: SendPacket, source: str, target: str) -> None:
        link = (source, target)
        if target in self.nodes and link not in self._cut and link not in self._packets_cut:
            self.nodes[target].receive_packet(effect.parts, self._home[source], self.now)
            self._flush(target)

    def _has_stream(self, source: str, target: str) -> bool:
        is_cut = (source, target) in self._cut or (target, source) in self._cut
        return source in self.nodes and target in self.nodes and not is_cut

    def _push_pull(self, join: bool, source: str, target: str) -> None:
        if self._has_stream(source, target):
            request = self.nodes[source].local_state(join=join)
            reply = self.nodes[target].local_state(join=join)
            self.nodes[target].merge_remote_state(request, initiated=False, now=self.now)
            self.nodes[source].merge_remote_state(reply, initiated=True, now=self.now, replay=True)
            self._flush(target)
            self._flush(source)

    def _stream_ping(self, effect: OpenStreamPing, source: str, target: str) -> None:
        if self._has_stream(source, target):
            ping = decode(effect.ping)
            assert isinstance(ping, Ping)
            if self.nodes[target].answer_stream_ping(ping):
                self.nodes[source].stream_ping_answered(effect.seq, self.now)
                self._flush(source)
