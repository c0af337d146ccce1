"""Which datagrams are handled: every source has a share of the agent's time, and strangers share another.

A datagram is charged for the CPU seconds it took, so cheap ones may come often and expensive ones rarely,
regardless of the machine and its load. A source that has used up its share is dropped unread until the share
has grown back. Members have shares of their own, so a flood from other hosts does not affect their probes and
answers. The bytes that one datagram makes the agent send to strangers are limited by its own size. None of
this is in the protocol: without encryption a source address can be forged, and these limits apply to each
forged address.
"""

from collections.abc import Callable, Sequence

from gossip.wire.address import Address
from gossip.wire.messages import MessageType

STRANGER_SHARE = 0.2
"""Seconds per second for all datagrams of one host that do not come from a member's address."""
STRANGERS_SHARE = 0.4
"""Seconds per second for all strangers together."""
MEMBER_SHARE = 0.2
"""Seconds per second for each member's address. A probe and its answer take 0.0001."""
BURST = 0.1
"""Seconds that a share may accumulate: the time a source may use at once after a pause."""
MAX_CHARGE = 0.02
"""Most seconds charged for one datagram: no source is to blame for a garbage collection meanwhile."""
MAX_SOURCES = 4096
"""Shares remembered; beyond that, the one charged least recently is forgotten, and thus full again."""
MAX_REQUESTS = 4
"""Pings and indirect pings answered in one datagram. Members send one."""
MAX_ANSWER_RATIO = 3
"""Bytes sent to strangers because of one datagram, per byte of it."""
MEMBER_RELAYS_PER_SECOND = 200.0
STRANGER_RELAYS_PER_SECOND = 20.0
"""Indirect pings per second, for all members and for all strangers. Members send one if a ping is late."""

REQUESTS = frozenset((MessageType.PING, MessageType.INDIRECT_PING))


class Allowance:
    """A budget: `rate` units a second, `most` after a pause. The last use may overdraw it."""

    __slots__ = ("_at", "_left", "_most", "_rate")

    def __init__(self, rate: float, most: float, now: float) -> None:
        self._rate = rate
        self._most = most
        self._left = most
        self._at = now

    def left(self, now: float) -> float:
        """Return the remaining budget at `now`, below zero if overdrawn."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left

    def use(self, amount: float, now: float) -> None:
        """Take `amount`."""
        self._left = self.left(now) - amount


class Admission:
    """Decides about datagrams by their source and the cost of its earlier datagrams."""

    def __init__(self, is_member: Callable[[Address], bool], now: float) -> None:
        self.dropped = 0  # datagrams from sources that had used up their share
        self.requests_dropped = 0  # pings and indirect pings beyond the limits
        self.answers_dropped = 0  # packets to strangers beyond the limit
        self._is_member = is_member
        self._strangers = Allowance(STRANGERS_SHARE, BURST, now)
        self._sources: dict[Address | str, Allowance] = {}  # members by address, strangers by host
        self._member_relays = Allowance(MEMBER_RELAYS_PER_SECOND, MEMBER_RELAYS_PER_SECOND, now)
        self._stranger_relays = Allowance(STRANGER_RELAYS_PER_SECOND, STRANGER_RELAYS_PER_SECOND, now)
        self._answer_room: int | None = None

    def admits(self, source: Address, now: float) -> bool:
        """Return whether to read a datagram from `source`; count it if not."""
        is_member = self._is_member(source)
        share = self._sources.get(source if is_member else source.host)
        if (share is None or share.left(now) > 0) and (is_member or self._strangers.left(now) > 0):
            return True
        self.dropped += 1
        return False

    def charge(self, source: Address, seconds: float, now: float) -> bool:
        """A datagram from `source` took `seconds` of CPU; return whether its budget is now used up."""
        seconds = min(seconds, MAX_CHARGE)
        is_member = self._is_member(source)
        key = source if is_member else source.host
        share = self._sources.pop(key, None)
        if share is None:
            share = Allowance(MEMBER_SHARE if is_member else STRANGER_SHARE, BURST, now)
            if len(self._sources) >= MAX_SOURCES:
                del self._sources[next(iter(self._sources))]
        self._sources[key] = share
        share.use(seconds, now)
        if not is_member:
            self._strangers.use(seconds, now)
        return share.left(now) <= 0

    def bounded(self, parts: Sequence[bytes], source: Address, now: float) -> Sequence[bytes]:
        """Return `parts` without the pings and indirect pings beyond the limits."""
        if len(parts) == 1 and parts[0][0] != MessageType.INDIRECT_PING:
            return parts  # the usual case
        relays = self._member_relays if self._is_member(source) else self._stranger_relays
        kept: list[bytes] = []
        requests = 0
        for part in parts:
            kind = part[0]
            if kind in REQUESTS:
                requests += 1
                is_relay = kind == MessageType.INDIRECT_PING
                if requests > MAX_REQUESTS or (is_relay and relays.left(now) < 1):
                    self.requests_dropped += 1
                    continue
                if is_relay:
                    relays.use(1, now)
            kept.append(part)
        return kept

    # --- answers ------------------------------------------------------------------------------------------

    def begin(self, size: int) -> None:
        """A datagram of `size` bytes is about to be handled."""
        self._answer_room = MAX_ANSWER_RATIO * size

    def end(self) -> None:
        """The datagram was handled: packets sent from now on do not answer it."""
        self._answer_room = None

    def may_send(self, size: int, to: Address) -> bool:
        """Return whether a packet of `size` bytes may go to `to` now; count it if not."""
        if self._answer_room is None or self._is_member(to):
            return True
        if size > self._answer_room:
            self.answers_dropped += 1
            return False
        self._answer_room -= size
        return True
