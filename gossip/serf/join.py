"""Joining a cluster through seeds (Serf `serf.go`, Join; agent `command.go`, startupJoin; serf-wire 5.3).

An attempt asks the driver to resolve the seeds (`ResolveSeeds`), then for a push/pull with each address
(`ContactSeed`), and waits for each result. The first success is announced by a join intent. A retry-join
repeats its attempts until one meets another member; from then on `rejoin` looks for missing members.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from gossip.errors import LocalProtocolError
from gossip.serf.effects import ContactSeed, JoinEnded, ResolveSeeds
from gossip.swim.deadlines import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gossip.serf.effects import Effect
    from gossip.serf.intents import Intents
    from gossip.serf.seeds import Seeds
    from gossip.swim.deadlines import Deadlines
    from gossip.wire.address import Address


class JoinDue(Timer, frozen=True, gc=False):
    """Time for the next attempt of the retry-join."""


JOIN = JoinDue()
MAX_JOIN_ADDRESSES = 256
"""Addresses tried by one attempt."""
MAX_CONTACTS = 8
"""Addresses of one attempt that are tried at once, so that one dead seed does not hold up the others."""
MAX_ATTEMPTS = 128
"""Attempts in progress at once; each join command of a client is one."""


class Cause(Enum):
    """The reason for an attempt."""

    COMMAND = auto()
    """A single join command."""
    RETRY = auto()
    """The retry-join: repeated until it meets another member."""
    RETURN = auto()
    """All other members are missing: this node is alone."""
    REUNION = auto()
    """Members are missing, but not all of them."""


LOOKING = (Cause.RETURN, Cause.REUNION)
"""Reasons that come from this node itself; no `JoinEnded` follows, except one that ends a retry-join."""


class Attempt:
    """One attempt: the addresses left to contact, and the results so far."""

    __slots__ = ("cause", "contacted", "errors", "failures", "open", "others", "replay", "seeds", "waiting")

    def __init__(self, cause: Cause, seeds: tuple[str, ...], *, replay: bool) -> None:
        self.cause = cause
        self.seeds = seeds
        self.replay = replay  # deliver events from before the join
        self.waiting: list[Address] = []
        self.open = 0  # contacts under way
        self.contacted = 0
        self.others = 0  # of these, how many knew members other than this node
        self.errors: list[str] = []  # of seeds that could not be resolved
        self.failures: dict[Address, str] = {}  # the error of each address, in order of contact


class Retry:
    """The retry-join: its schedule, and the attempts made so far."""

    __slots__ = ("attempts", "interval", "max_attempts", "replay", "seeds")

    def __init__(self, seeds: tuple[str, ...], interval: float, max_attempts: int, *, replay: bool) -> None:
        self.seeds = seeds
        self.interval = interval
        self.max_attempts = max_attempts
        self.replay = replay
        self.attempts = 0  # those that met no other member


class Join:
    """All attempts of one node."""

    __slots__ = ("_attempts", "_deadlines", "_emit", "_intents", "_last", "_retry", "_seeds")

    def __init__(
        self, seeds: Seeds, intents: Intents, deadlines: Deadlines, emit: Callable[[Effect], None]
    ) -> None:
        self._seeds = seeds
        self._intents = intents
        self._deadlines = deadlines
        self._emit = emit
        self._attempts: dict[int, Attempt] = {}
        self._last = 0
        self._retry: Retry | None = None

    def begin(self, seeds: Iterable[str], *, replay: bool) -> int:
        """Try `seeds` once; return the number of the attempt, which `JoinEnded` carries.

        Raises:
            LocalProtocolError: too many attempts are in progress; nothing changed.
        """
        if len(self._attempts) >= MAX_ATTEMPTS:
            raise LocalProtocolError(f"cannot join: {MAX_ATTEMPTS} joins of this agent are under way")
        return self._begin(Attempt(Cause.COMMAND, tuple(seeds), replay=replay))

    def keep_trying(self, seeds: Iterable[str], *, replay: bool, interval: float, max_attempts: int) -> None:
        """Try `seeds` now and every `interval` seconds until an attempt meets another member.

        If `max_attempts` is not 0, one more attempt follows after that many failures, and is the last.
        """
        self._retry = Retry(tuple(seeds), interval, max_attempts, replay=replay)
        self._seeds.remember(self._retry.seeds)
        self.try_again()

    def try_again(self) -> None:
        """Make the next attempt of the retry-join."""
        assert self._retry is not None
        if not self.is_over:
            self._begin(Attempt(Cause.RETRY, self._retry.seeds, replay=self._retry.replay))

    @property
    def is_over(self) -> bool:
        """Whether this node is leaving, so that no attempts start."""
        return self._intents.has_announced_leave

    def reunite(self, seeds: tuple[str, ...], *, is_alone: bool) -> None:
        """Resolve `seeds` again and contact them; at most one such attempt is in progress."""
        if any(attempt.cause in LOOKING for attempt in self._attempts.values()):
            return
        # Replay events: the others sent them while we were cut off, so we have missed them.
        cause = Cause.RETURN if is_alone else Cause.REUNION
        self._begin(Attempt(cause, seeds, replay=True))

    def resolved(
        self, number: int, places: Mapping[str, tuple[Address, ...]], errors: Sequence[str], now: float
    ) -> None:
        """Take the resolved seeds of an attempt: `places` by seed, and an error for each that has none."""
        attempt = self._attempts.get(number)
        if attempt is None:
            return
        self._seeds.resolved(places)
        attempt.errors += errors
        found = dict.fromkeys(to for addresses in places.values() for to in addresses)
        if len(found) > MAX_JOIN_ADDRESSES:
            attempt.errors.append(
                f"Failed to join {len(found)} addresses: only {MAX_JOIN_ADDRESSES} are tried"
            )
        attempt.waiting = list(found)[:MAX_JOIN_ADDRESSES]
        self._go_on(number, attempt, now)

    def contact_ended(self, number: int, to: Address, error: str, *, met_others: bool, now: float) -> None:
        """Take the result for one address: `error` says why it failed; if empty, the states were merged."""
        attempt = self._attempts.get(number)
        if attempt is None:
            return
        attempt.open -= 1
        if error:
            attempt.failures[to] = error
        else:
            attempt.contacted += 1
            attempt.others += met_others
            self._seeds.answered(to)
            # A node with company never left: if each such node sent a join intent, they would flood a large
            # cluster.
            if attempt.contacted == 1 and attempt.cause is not Cause.REUNION:
                self._intents.announce_join(now)
        self._go_on(number, attempt, now)

    # --- parts of the above -------------------------------------------------------------------------------

    def _begin(self, attempt: Attempt) -> int:
        self._last += 1
        self._attempts[self._last] = attempt
        self._emit(ResolveSeeds(self._last, attempt.seeds))
        return self._last

    def _go_on(self, number: int, attempt: Attempt, now: float) -> None:
        while attempt.waiting and attempt.open < MAX_CONTACTS:
            attempt.open += 1
            to = attempt.waiting.pop(0)
            attempt.failures[to] = ""
            self._emit(ContactSeed(number, to, attempt.replay))
        if not attempt.open:
            del self._attempts[number]
            self._end(number, attempt, now)

    def _end(self, number: int, attempt: Attempt, now: float) -> None:
        retry_in, gave_up = 0.0, False
        is_retry = attempt.cause is Cause.RETRY
        if attempt.cause is Cause.COMMAND and attempt.contacted:
            self._seeds.remember(attempt.seeds)
        if attempt.cause is Cause.RETURN and attempt.others and JOIN in self._deadlines:
            self._deadlines.cancel(JOIN)  # no need for more retries: this attempt succeeded
            is_retry = True
        if is_retry and not attempt.others:
            assert self._retry is not None
            self._retry.attempts += 1
            gave_up = 0 < self._retry.max_attempts < self._retry.attempts
            if not gave_up:
                retry_in = self._retry.interval
                self._deadlines.set(JOIN, now + retry_in)
        if is_retry or attempt.cause is Cause.COMMAND:
            self._emit(
                JoinEnded(
                    number,
                    attempt.contacted,
                    (*attempt.errors, *filter(None, attempt.failures.values())),
                    attempt.others,
                    is_retry=is_retry,
                    retry_in=retry_in,
                    gave_up=gave_up,
                )
            )
