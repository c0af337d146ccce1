"""Finding missing members: they are asked for in rounds, with back-off, until all are back (ADR 28).

Serf tries failed members for a day, each at its last address, and asks its seeds once, at the start (Serf
`serf.go`, reconnect). Here failed members, members that were forgotten while failed, members of an earlier
life and seeds are asked in rounds for as long as one of them is missing. A node with everybody alive has no
timer and sends nothing.

This is also how a restarted member rejoins: Serf tries the members of its snapshot once, one after the other
(Serf `serf.go`, handleRejoin; serf-wire 5.13).

The cluster as a whole does not ask more often because it is larger: a member's share of the rounds shrinks
with the number of members alive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gossip.serf.lost_members import MAX_LOST, LostMember
from gossip.serf.members import MemberStatus
from gossip.swim.deadlines import Timer
from gossip.swim.effects import OpenPushPull
from gossip.wire.address import unpack_address
from gossip.wire.messages import MemberState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gossip.serf.config import SerfConfig
    from gossip.serf.effects import Effect
    from gossip.serf.join import Join
    from gossip.serf.roster import Roster
    from gossip.serf.saved_state import SavedState
    from gossip.serf.seeds import Seeds
    from gossip.swim.runtime import Runtime
    from gossip.wire.messages import NodeState

T = TypeVar("T")


class RejoinDue(Timer, frozen=True, gc=False):
    """Time for the next round; set only while somebody is missing."""


REJOIN = RejoinDue()


class AgainDue(Timer, frozen=True, gc=False):
    """Time for a second push/pull with the other side of a partition."""


AGAIN = AgainDue()

FIRST_PAUSE = 1.0
"""Seconds before the first round, on average; each round doubles it, up to `rejoin_interval`."""
JITTER = 0.5
"""A pause is drawn between 1 - `JITTER` and 1 + `JITTER` times its length."""
ASKERS = 3
"""Members that ask the seeds in each round, on average, however many are alive."""
ALONE_CONTACTS = 3
"""Lost members that a node without any live member asks in one round."""
AGAIN_AFTER = 1.0
"""Seconds between a push/pull that showed a lost member alive and the next one with that member.

The first push/pull tells each side what the other believes about it, so that all refute; the second one
carries the refutations across.
"""
MAX_AGAIN = 5
"""Second push/pulls in a row while no lost member comes back."""


class Rejoin:
    """The search rounds of one node."""

    __slots__ = (
        "_again_at",
        "_asked_at",
        "_config",
        "_emit",
        "_join",
        "_pause",
        "_repeats",
        "_roster",
        "_runtime",
        "_seeds",
    )

    def __init__(
        self,
        config: SerfConfig,
        roster: Roster,
        seeds: Seeds,
        join: Join,
        runtime: Runtime,
        emit: Callable[[Effect], None],
    ) -> None:
        self._config = config
        self._roster = roster
        self._seeds = seeds
        self._join = join
        self._runtime = runtime
        self._emit = emit
        self._pause = FIRST_PAUSE
        self._asked_at: dict[str, float] = {}  # when each missing member was asked, while this node is alone
        self._again_at: LostMember | None = None
        self._repeats = 0

    def begin(self, now: float) -> None:
        """Look for missing members from now on; the first round finds out whether there are any."""
        self._pause = min(FIRST_PAUSE, self._config.rejoin_interval)
        at = now + self._drawn(self._pause)
        if at < self._runtime.deadlines.when(REJOIN):
            self._runtime.deadlines.set(REJOIN, at)

    def look_for(self, saved: SavedState, now: float) -> None:
        """Look for members known to an earlier life, first those that were alive, then those that had failed.

        Each group is shuffled: members that restart together do not all ask the same one.
        """
        past = []
        for group in (saved.peers, saved.failed):
            others = [peer for peer in group if peer.name not in self._roster.members]
            self._runtime.rng.shuffle(others)
            past += others
        for peer in past[:MAX_LOST]:
            self._roster.lost.add(peer.name, peer.address, now)
        if past:
            self.begin(now)

    def member_gone(self, now: float) -> None:
        """A member failed or left: look for it, and for any seeds that went with it."""
        self._seeds.member_gone()
        self.begin(now)

    def heard(self, rows: Sequence[NodeState], now: float) -> None:
        """A push/pull of ours brought `rows`: if they show failed members alive, ask again."""
        members = self._roster.members
        across = [
            row
            for row in rows
            if row.state is MemberState.ALIVE
            and (member := members.get(row.name)) is not None
            and member.status is MemberStatus.FAILED
        ]
        if not across:
            self._repeats = 0
        elif self._repeats < MAX_AGAIN and AGAIN not in self._runtime.deadlines:
            self._repeats += 1
            row = self._drawn_from(across)
            self._again_at = LostMember(row.name, unpack_address(row.addr, row.port), now)
            self._runtime.deadlines.set(AGAIN, now + AGAIN_AFTER)

    def ask_again(self) -> None:
        """The second push/pull is due."""
        assert self._again_at is not None
        self._ask(self._again_at, join=False)

    def round(self, now: float) -> None:
        """Ask some of the missing members; schedule the next round while any are missing."""
        if self._join.is_over:
            return
        alive = self._roster.count_alive()
        is_alone = alive <= 1
        lost = self._roster.lost.missing(self._roster.addresses(), now)
        missing = [*lost, *self._roster.failed()]
        asks_seeds = is_alone or self._runtime.rng.random() < ASKERS / alive
        # A large cluster rarely needs to know which seeds are absent.
        seeds = self._absent_seeds(is_alone=is_alone) if asks_seeds or not missing else ()
        if not (missing or seeds):
            return
        if is_alone:
            for member in self._in_turn(missing, now):
                self._ask(member, join=True)
        elif lost and self._pause < self._config.rejoin_interval:
            # Soon after a restart or a loss: do not leave it to chance which members gossip has missed.
            self._ask(self._drawn_from(lost), join=False)
        elif missing:
            share = len(missing) / alive * self._pause / self._config.reconnect_interval
            if self._runtime.rng.random() < share:
                self._ask(self._drawn_from(missing), join=False)
        if seeds and asks_seeds:
            self._join.reunite(seeds, is_alone=is_alone)
        self._pause = min(2 * self._pause, self._config.rejoin_interval)
        self._runtime.deadlines.set(REJOIN, now + self._drawn(self._pause))

    # --- parts of the above -------------------------------------------------------------------------------

    def _in_turn(self, missing: Sequence[LostMember], now: float) -> Sequence[LostMember]:
        """Return the members that a lone node asks now: each is asked once before any is asked twice."""
        before = self._asked_at
        self._asked_at = {m.name: before[m.name] for m in missing if m.name in before}
        asked = sorted(missing, key=lambda m: before.get(m.name, float("-inf")))[:ALONE_CONTACTS]
        self._asked_at |= {member.name: now for member in asked}
        return asked

    def _absent_seeds(self, *, is_alone: bool) -> tuple[str, ...]:
        return self._seeds.names() if is_alone else self._seeds.unseen(self._roster.addresses())

    def _ask(self, member: LostMember, *, join: bool) -> None:
        # A lone node joins: clocks there may be far ahead, and peers may still list an earlier life of it as
        # dead.
        self._emit(OpenPushPull(member.address, member.name, join))

    def _drawn(self, pause: float) -> float:
        return pause * (1.0 - JITTER + 2.0 * JITTER * self._runtime.rng.random())

    def _drawn_from(self, some: Sequence[T]) -> T:
        return some[int(self._runtime.rng.random() * len(some))]
