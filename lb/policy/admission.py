"""Room in the file: its servers stay, newcomers get the remaining room, at a bounded rate.

Any node that can gossip can announce members, thousands in a second. So the order is by seniority, never by
name: no number of newcomers displaces a server that is in the file, and of the newcomers, those alive for the
longest enter first. Two load balancers may therefore differ while a backend is full.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from lb.policy.candidate import Candidate
from lb.policy.plan import Claim

ARRIVAL_BURST = 100
"""Newcomers that may enter at once after a pause."""
ARRIVAL_RATE = 50.0
"""Newcomers per second in the long run: a file of a thousand servers is full after 18 s."""

BATCH_INTERVAL = 0.25
"""Seconds between two checks of newcomers that wait for the rate."""


class Admission:
    """Decides when newcomers may enter; `max_servers` is the limit of each backend."""

    __slots__ = ("_allowance", "_at", "_is_hasty", "_max_servers", "turned_away", "waiting")

    def __init__(self, max_servers: int) -> None:
        self.turned_away = 0  # times that a newcomer found its backend full
        self.waiting: Mapping[str, int] = {}  # full backends, and how many wait for room in each
        self._max_servers = max_servers
        self._allowance = float(ARRIVAL_BURST)
        self._at = -math.inf
        self._is_hasty = False  # whether a newcomer waits for the rate

    def admit(self, newcomers: Iterable[Candidate], candidates: Iterable[Candidate], now: float) -> None:
        """Set `is_admitted` for as many of the `newcomers` as may enter now, `is_blocked` for the others.

        A newcomer at the address of an alive member takes no room: it is not blocked but disputed; see
        `lb.policy.address_claims`.

        Args:
            newcomers: members that want a place in a backend where they have no server.
            candidates: all members.
            now: monotonic seconds.
        """
        self._allowance = min(float(ARRIVAL_BURST), self._allowance + (now - self._at) * ARRIVAL_RATE)
        self._at = now
        self._is_hasty = False
        waiting: Counter[str] = Counter()
        room = _Room(candidates, self._max_servers)
        for candidate in sorted(newcomers, key=lambda c: (not c.is_admitted, c.alive_since, c.member)):
            claim = candidate.claim
            assert claim is not None, "a newcomer without a claim"
            was_admitted, candidate.is_admitted = candidate.is_admitted, False
            candidate.is_blocked = claim.place not in room.held
            if not candidate.is_blocked or claim.place in room.promised:
                continue
            if not room.has_place(claim):
                waiting[claim.backend] += 1
                self.turned_away += not candidate.is_turned_away
                candidate.is_turned_away = True
            elif was_admitted or self._allowance >= 1.0:
                self._allowance -= not was_admitted
                room.take(claim)
                candidate.is_admitted, candidate.is_blocked = True, False
            else:
                self._is_hasty = True
        self.waiting = waiting

    def next_admission(self) -> float:
        """Return when the rate admits more newcomers, infinity if none waits for it."""
        return self._at + BATCH_INTERVAL if self._is_hasty else math.inf


class _Room:
    """The places of all backends at one time."""

    def __init__(self, candidates: Iterable[Candidate], max_servers: int) -> None:
        listed = [(c, c.listed) for c in candidates if c.listed is not None]
        self.held = {claim.place for c, claim in listed if c.is_staying or c.is_going}
        self.promised: set[tuple[str, str, int]] = set()  # to newcomers; a second one waits
        self._vacant = {claim.place for _, claim in listed} - self.held
        self._taken = Counter(claim.backend for _, claim in listed)
        self._max_servers = max_servers

    def has_place(self, claim: Claim) -> bool:
        return self._taken[claim.backend] < self._max_servers or claim.place in self._vacant

    def take(self, claim: Claim) -> None:
        self._taken[claim.backend] += claim.place not in self._vacant
        self.promised.add(claim.place)
