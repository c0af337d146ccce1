"""The network as data: how long a packet takes, whether it arrives, and in how many copies.

A link is a pair of hosts in one direction. Every fault of the network is a set of `Conditions` imposed on
some links for some time, so that a partition, a lossy host and a clogged link differ only in their figures.
All choices are drawn from the world's one random generator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    from gossip.sim.schedule import Action, Schedule

Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
LONGEST = 1e9
"""Seconds, 30 years: longer than any run, and finite."""
Seconds = Annotated[float, Meta(ge=0.0, le=LONGEST)]
Shape = Literal["constant", "uniform", "exponential", "lognormal"]
Bytes = Annotated[int, Meta(ge=0)]

MAX_HELD = 100_000
"""Deliveries that one fault may hold back; more are lost, as in a full buffer."""

RETRANSMIT_AFTER = 0.2
"""TCP's first wait for a lost segment in seconds (Linux's minimum); it doubles with each further loss."""
RETRANSMISSIONS = 6

UDP, TCP = "udp", "tcp"


class Latency(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long a packet takes in one direction, in seconds: at least `low`, plus a part of `spread`.

    The shapes are constant (`low`), uniform (up to `low` + `spread`), exponential (mean `spread` above `low`)
    and lognormal (median `spread` above `low`, sigma 1: a long tail).
    """

    shape: Shape = "uniform"
    low: Seconds = 0.0002
    spread: Seconds = 0.0008

    def sampler(self, rng: Random) -> Callable[[], float]:
        """Return a function that draws a latency."""
        low, spread, random = self.low, self.spread, rng.random
        match self.shape:
            case "constant":
                return lambda: low
            case "uniform":
                return lambda: low + spread * random()
            case "exponential":
                return lambda: low + (rng.expovariate(1.0) * spread)
            case "lognormal":
                return lambda: low + spread * rng.lognormvariate(0.0, 1.0)


class Burst(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Losses that come in bursts (Gilbert 1960, Elliott 1963): a link is good, or bad for a while.

    With each packet, a good link turns bad with probability `enter`, a bad one good with `leave`; a bad link
    loses packets with probability `loss`.
    """

    enter: Probability = 0.01
    leave: Probability = 0.1
    loss: Probability = 0.8


class Conditions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The conditions for packets on a link."""

    loss: Probability = 0.0
    burst: Burst | None = None
    duplicate: Probability = 0.0  # datagrams only: TCP hides duplicates
    reorder: Probability = 0.0  # to be delayed by up to `reorder_by`, so that later packets overtake
    reorder_by: Seconds = 0.1
    delay: Seconds = 0.0  # on top of the latency
    hold: bool = False  # hold everything back until the conditions end
    bandwidth: Bytes = 0  # all links out of one host together, bytes per second; 0 for no limit
    backlog: Seconds = 0.5  # how long a queue in front of the bandwidth may grow before it drops
    max_bytes: Bytes = 0  # longer datagrams are lost; 0 for no limit
    only: Literal["", "udp", "tcp"] = ""  # the protocol affected; empty for both


class Imposed:
    """Conditions currently imposed on some links, with their state."""

    __slots__ = ("_bad", "_busy_until", "both_ways", "conditions", "held", "sources", "targets")

    def __init__(
        self, conditions: Conditions, sources: Iterable[str], targets: Iterable[str], *, both_ways: bool
    ) -> None:
        self.conditions = conditions
        self.sources = frozenset(sources)  # only tested for membership, so the order does not matter
        self.targets = frozenset(targets)
        self.both_ways = both_ways
        self.held: list[tuple[str, str, int, Action]] = []
        self._bad: dict[tuple[str, str], bool] = {}
        self._busy_until: dict[str, float] = {}

    def covers(self, source: str, target: str) -> bool:
        """Tell whether the link from `source` to `target` is affected."""
        if source in self.sources and target in self.targets:
            return True
        return self.both_ways and target in self.sources and source in self.targets

    def loses(self, source: str, target: str, rng: Random) -> bool:
        """Draw whether a packet is lost."""
        conditions = self.conditions
        lost = conditions.loss > 0.0 and rng.random() < conditions.loss
        burst = conditions.burst
        if burst is not None:
            was_bad = self._bad.get((source, target), False)
            is_bad = rng.random() >= burst.leave if was_bad else rng.random() < burst.enter
            self._bad[source, target] = is_bad
            lost = (is_bad and rng.random() < burst.loss) or lost
        return lost

    def queueing(self, source: str, size: int, now: float) -> float | None:
        """Return how long a packet waits for bandwidth, None if the queue is full."""
        bandwidth = self.conditions.bandwidth
        if not bandwidth:
            return 0.0
        start = max(now, self._busy_until.get(source, 0.0))
        if start - now > self.conditions.backlog:
            return None
        self._busy_until[source] = start + size / bandwidth
        return start + size / bandwidth - now


class Network:
    """All links between all hosts."""

    def __init__(self, schedule: Schedule, latency: Latency, conditions: Conditions, rng: Random) -> None:
        self.lost = 0  # datagrams
        self.duplicated = 0
        self._schedule = schedule
        self._latency = latency.sampler(rng)
        self._rng = rng
        self._everywhere = Imposed(conditions, (), (), both_ways=False)
        self._is_plain = conditions == Conditions()
        self._imposed: list[Imposed] = []
        self._on_link: dict[tuple[str, str, str], tuple[Imposed, ...]] = {}

    def impose(self, imposed: Imposed) -> None:
        """Impose conditions."""
        self._imposed.append(imposed)
        self._on_link.clear()

    def lift(self, imposed: Imposed) -> None:
        """End imposed conditions; packets held back set out now."""
        if imposed not in self._imposed:
            return
        self._imposed.remove(imposed)
        self._on_link.clear()
        held, imposed.held = imposed.held, []
        for source, target, size, delivery in held:
            self.send(source, target, size, delivery)

    def lift_all(self) -> None:
        """End all imposed conditions; the network's own conditions stay."""
        while self._imposed:
            self.lift(self._imposed[0])

    def soften(self) -> None:
        """End the network's own conditions as well: only latency remains."""
        self._everywhere = Imposed(Conditions(), (), (), both_ways=False)
        self._is_plain = True
        self._on_link.clear()

    def is_reachable(self, source: str, target: str, protocol: str = UDP) -> bool:
        """Tell whether datagrams (or TCP segments) have any chance on the link at present."""
        conditions = [imposed.conditions for imposed in self._conditions(source, target, protocol)]
        return all(each.loss < 1.0 and not each.hold for each in conditions)

    def is_disturbed(self, name: str) -> bool:
        """Tell whether any conditions are imposed on links from or to `name`."""
        return any(name in imposed.sources or name in imposed.targets for imposed in self._imposed)

    def send(self, source: str, target: str, size: int, delivery: Action) -> None:
        """Send a datagram of `size` bytes; `delivery` is called for each copy that arrives."""
        schedule = self._schedule
        if self._is_plain and not self._imposed:
            schedule.at(schedule.now + self._latency(), delivery)
            return
        delay, copies = self._latency(), 1
        for imposed in self._conditions(source, target, UDP):
            conditions = imposed.conditions
            if conditions.hold:
                self._hold(imposed, source, target, size, delivery)
                return
            queueing = imposed.queueing(source, size, schedule.now)
            is_too_long = 0 < conditions.max_bytes < size
            if queueing is None or is_too_long or imposed.loses(source, target, self._rng):
                self.lost += 1
                return
            delay += queueing + self._lateness(conditions)
            if conditions.duplicate and self._rng.random() < conditions.duplicate:
                self.duplicated += 1
                copies += 1
        for _ in range(copies):
            schedule.at(schedule.now + delay, delivery)
            delay += self._latency()

    def segments(self, source: str, target: str, size: int) -> float | None:
        """Return how long `size` bytes of a TCP stream take, None if they do not get through at present.

        Losses only cost time, because TCP retransmits. Packets held back or always lost do not get through.
        """
        delay = self._latency()
        for imposed in self._conditions(source, target, TCP):
            conditions = imposed.conditions
            if conditions.hold:
                return None
            wait, tries = RETRANSMIT_AFTER, 0
            while imposed.loses(source, target, self._rng):
                tries += 1
                if tries > RETRANSMISSIONS:
                    return None
                delay += wait
                wait *= 2
            delay += self._lateness(conditions)
            delay += size / conditions.bandwidth if conditions.bandwidth else 0.0
        return delay

    def _conditions(self, source: str, target: str, protocol: str) -> tuple[Imposed, ...]:
        known = self._on_link.get((source, target, protocol))
        if known is None:
            known = tuple(
                imposed
                for imposed in (self._everywhere, *self._imposed)
                if (imposed is self._everywhere or imposed.covers(source, target))
                and imposed.conditions.only in ("", protocol)
            )
            self._on_link[source, target, protocol] = known
        return known

    def _lateness(self, conditions: Conditions) -> float:
        if conditions.reorder and self._rng.random() < conditions.reorder:
            return conditions.delay + conditions.reorder_by * self._rng.random()
        return conditions.delay

    def _hold(self, imposed: Imposed, source: str, target: str, size: int, delivery: Action) -> None:
        if len(imposed.held) < MAX_HELD:
            imposed.held.append((source, target, size, delivery))
        else:
            self.lost += 1
