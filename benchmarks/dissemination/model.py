"""The rules alone, without protocol, probes or queues: a broadcast is passed on tick by tick.

python -m benchmarks.dissemination.model [--broadcasts 20000]    # a few minutes

Fast enough to compare parts of a rule that `SwimConfig` does not offer one by one: random targets or a ring,
how often, and whether the member from whom a broadcast came is left out.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from heapq import heappop, heappush
from math import ceil
from random import Random

import msgspec

from benchmarks.papers.confidence import proportion
from benchmarks.papers.table import markdown
from gossip.swim.config import SwimConfig, retransmit_limit, transmissions

INTERVAL, FANOUT = SwimConfig().gossip_interval, SwimConfig().gossip_nodes
LATENCY = 0.0003
SIZES = (8, 16, 32, 64)
BROADCASTS_PER_SHUFFLE = 3


class Rule(msgspec.Struct, frozen=True):
    """How targets are chosen, and how often a broadcast is sent beyond memberlist's number."""

    is_ring: bool
    further: int
    spares_source: bool = False


def missed(rule: Rule, members: int, loss: float, broadcasts: int, rng: Random) -> int:
    """Return how many of the broadcasts miss somebody."""
    limit = retransmit_limit(SwimConfig().retransmit_mult, members) + rule.further
    rings = [[other for other in range(members) if other != me] for me in range(members)]
    places = [0] * members
    count = 0
    for number in range(broadcasts):
        if number % BROADCASTS_PER_SHUFFLE == 0:  # the round of probes shuffles it now and then
            for ring in rings:
                rng.shuffle(ring)
        count += _spread(rule, limit, loss, rings, places, rng) < members
    return count


def _spread(
    rule: Rule, limit: int, loss: float, rings: list[list[int]], places: list[int], rng: Random
) -> int:
    """Let one broadcast of member 0 spread; return how many have it in the end."""
    phases = [rng.random() * INTERVAL for _ in rings]
    source = {0: -1}
    sent = [0] * len(rings)
    ticks = [(phases[0], 0)]
    while ticks:
        now, me = heappop(ticks)
        for target in _targets(rule, rings[me], places, me, source[me], rng):
            if sent[me] >= limit:
                break
            sent[me] += 1
            places[me] += rule.is_ring
            if target not in source and not (loss and rng.random() < loss):
                source[target] = me
                behind = ceil((now + LATENCY - phases[target]) / INTERVAL)
                heappush(ticks, (phases[target] + INTERVAL * behind, target))
        if sent[me] < limit:
            heappush(ticks, (now + INTERVAL, me))
    return len(source)


def _targets(
    rule: Rule, ring: list[int], places: list[int], me: int, source: int, rng: Random
) -> Sequence[int]:
    if rule.is_ring:
        start = places[me] % len(ring)
        order = ring[start:] + ring[:start]
    else:
        order = rng.sample(ring, min(FANOUT + 1, len(ring)))
    if rule.spares_source and len(order) > 1:
        order = [target for target in order if target != source]
    return order[:FANOUT]


def main(arguments: Sequence[str]) -> int:
    """Print a table; return 0."""
    parser = ArgumentParser(prog="python -m benchmarks.dissemination.model", description="parts of the rule")
    parser.add_argument("--broadcasts", type=int, default=20_000, help="of 8 members; fewer of more [20000]")
    wanted = parser.parse_args(arguments)
    rows = []
    for members in SIZES:
        ours = transmissions(SwimConfig(), members) - retransmit_limit(SwimConfig().retransmit_mult, members)
        broadcasts = max(1, wanted.broadcasts * SIZES[0] // members)
        for rule in (
            Rule(is_ring=False, further=0),
            Rule(is_ring=False, further=ours),
            Rule(is_ring=True, further=0),
            Rule(is_ring=True, further=ours - 1, spares_source=True),
            Rule(is_ring=True, further=ours),
        ):
            shares = [
                proportion(missed(rule, members, loss, broadcasts, Random(1)), broadcasts).scaled(100.0)
                for loss in (0.0, 0.05)
            ]
            limit = retransmit_limit(SwimConfig().retransmit_mult, members) + rule.further
            targets = "ring" if rule.is_ring else "random"
            targets += ", source left out" if rule.spares_source else ""
            rows.append((members, targets, limit, broadcasts, *(share.text(3) for share in shares)))
    head = ("members", "targets", "transmissions", "broadcasts", "missed, no loss, %", "5 % loss, %")
    print(markdown(head, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
