"""SWIM's parameters and the times derived from them (memberlist `config.go`, `util.go`; Lifeguard section 4).

`SwimConfig` holds what an operator chooses; the functions turn it and the cluster's size into time-outs.
All times are seconds.
"""

from math import ceil, log, log2, log10

from msgspec import Struct

PUSH_PULL_SCALE_THRESHOLD = 32
"""Up to this many members push/pull keeps its interval; each doubling beyond adds one interval."""

LAMBDA_PER_MULT = 0.75
"""SWIM's lambda for each unit of memberlist's `RetransmitMult`: 3 for the LAN profile's 4."""


class SwimConfig(Struct, frozen=True, kw_only=True):
    """Protocol parameters; the defaults are memberlist's LAN profile."""

    probe_interval: float = 1.0
    probe_timeout: float = 0.5
    indirect_checks: int = 3
    gossip_interval: float = 0.2
    gossip_nodes: int = 3
    retransmit_mult: int = 4
    memberlist_gossip: bool = False  # random targets and fewer transmissions, for comparison
    suspicion_mult: int = 4
    suspicion_max_mult: int = 6  # 1: the time-out is fixed and confirmations do not count
    confirmations: int | None = None  # needed to reach the minimum time-out; None: suspicion_mult - 2
    push_pull_interval: float = 30.0
    gossip_to_the_dead: float = 30.0
    stream_timeout: float = 10.0
    awareness_max: int = 8  # 1: local health is not used, and relays are not asked for nacks
    tell_suspects: bool = True  # in the ping that probes them (Lifeguard's buddy system)
    packet_budget: int = 1400  # bytes of one datagram before CRC, encryption and label
    packet_overhead: int = 0  # bytes that encryption and label add to a datagram
    max_members: int = 16_384
    max_relays: int = 1024

    @classmethod
    def lan(cls) -> "SwimConfig":
        """Return the profile for one data centre (memberlist DefaultLANConfig)."""
        return cls()

    @classmethod
    def wan(cls) -> "SwimConfig":
        """Return the profile for links between data centres (memberlist DefaultWANConfig)."""
        return cls(
            probe_interval=5.0,
            probe_timeout=3.0,
            gossip_interval=0.5,
            gossip_nodes=4,
            suspicion_mult=6,
            push_pull_interval=60.0,
            gossip_to_the_dead=60.0,
            stream_timeout=30.0,
        )

    @classmethod
    def local(cls) -> "SwimConfig":
        """Return the profile for loopback (memberlist DefaultLocalConfig)."""
        return cls(
            probe_timeout=0.2,
            indirect_checks=1,
            gossip_interval=0.1,
            retransmit_mult=2,
            suspicion_mult=3,
            push_pull_interval=15.0,
            gossip_to_the_dead=15.0,
            stream_timeout=1.0,
        )


def transmissions(config: SwimConfig, n: int) -> int:
    """Return how often one broadcast is sent in a cluster of `n` members.

    ceil(0.75 * mult * ln(n+1)): with the LAN profile's multiplier this is SWIM's own lambda = 3 (section 5).
    memberlist's log10 steps give as many just above a power of ten, but too few below the next one.
    """
    if config.memberlist_gossip:
        return retransmit_limit(config.retransmit_mult, n)
    return ceil(LAMBDA_PER_MULT * config.retransmit_mult * log(n + 1))


def retransmit_limit(mult: int, n: int) -> int:
    """Return memberlist's number of transmissions for `n` members: mult * ceil(log10(n+1))."""
    return mult * ceil(log10(n + 1))


def suspicion_minimum(mult: int, n: int, probe_interval: float) -> float:
    """Return the shortest suspicion for `n` members: mult * max(1, log10 n) * probe_interval.

    The scale is cut to three decimals, as memberlist computes it in milliseconds.
    """
    scale = int(max(1.0, log10(max(1, n))) * 1000) / 1000
    return mult * scale * probe_interval


def push_pull_delay(interval: float, n: int) -> float:
    """Return the time between push/pulls for `n` members: it grows by one interval per doubling past 32."""
    if n <= PUSH_PULL_SCALE_THRESHOLD:
        return interval
    return interval * (ceil(log2(n) - log2(PUSH_PULL_SCALE_THRESHOLD)) + 1)
