"""Serf's member table: statuses, intents and reaping (Serf `serf.go`, handleNodeJoin and following).

SWIM reports which members answer; intents say which of them leave on purpose. The roster combines both into a
status per member and emits an event for each change. It knows nothing of packets or queues.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.serf.effects import (
    MemberFailed,
    MemberJoined,
    MemberLeaving,
    MemberLeft,
    MemberReaped,
    MemberSuspected,
    MemberUpdated,
    SuspicionConfirmed,
    SuspicionRefuted,
)
from gossip.serf.lamport import LamportClock
from gossip.serf.lost_members import LostMember, LostMembers
from gossip.serf.members import MemberStatus, SerfMember
from gossip.serf.recent_intents import Intent, RecentIntents
from gossip.serf.saved_state import KnownPeer
from gossip.swim.deadlines import Timer
from gossip.wire.query_codec import KnownMember
from gossip.wire.serf_messages import JoinIntent, LeaveIntent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gossip.serf.config import SerfConfig
    from gossip.serf.effects import Effect
    from gossip.swim.deadlines import Deadlines
    from gossip.swim.evidence import Evidence
    from gossip.wire.address import Address
    from gossip.wire.messages import Alive


class ReapDue(Timer, frozen=True, gc=False):
    """Time to erase members gone for too long; set only while there are any to reap."""


REAP = ReapDue()


class PruneDue(Timer, frozen=True, gc=False):
    """Time to erase a member that was leaving when a prune was requested."""

    name: str


class LeaveRecheck(Timer, frozen=True, gc=False):
    """Time to re-send the leave intent to a member stuck in `leaving`, so that it can refute it."""

    name: str


GONE = (MemberStatus.LEFT, MemberStatus.FAILED)


class Roster:
    """All members by name, in the order in which they were learnt; at most twice `max_members`."""

    def __init__(
        self,
        config: SerfConfig,
        deadlines: Deadlines,
        emit: Callable[[Effect], None],
        last_member_time: int = 0,
    ) -> None:
        self._config = config
        self._deadlines = deadlines
        self._emit = emit
        self.clock = LamportClock(last_member_time)
        self.members: dict[str, SerfMember] = {}
        self._gone: dict[str, SerfMember] = {}  # those that failed or left, in the order of their loss
        self.flaps = 0  # failed members that came back within the flap timeout
        self.lost = LostMembers(config.lost_timeout)
        self.recent_intents = RecentIntents(config.max_recent_intents, config.recent_intent_timeout)

    # --- what SWIM reports --------------------------------------------------------------------------------

    def joined(self, alive: Alive, now: float) -> None:
        """A member answers: new, or back."""
        self.lost.forget(alive.node)
        member = self.members.get(alive.node)
        if member is not None:
            member.alive = alive
            if member.status is MemberStatus.FAILED and now - member.changed_at < self._config.flap_timeout:
                self.flaps += 1
            # If it was lost while it drained, the leave that we know of still stands, but is accepted again.
            member.is_hearsay = member.is_hearsay or member.status is MemberStatus.LEFT
            member.become(MemberStatus.ALIVE, now)
            self._gone.pop(member.name, None)
            self._stop_waiting(member)
            self._emit(MemberJoined(member))
            return
        self._make_room()
        intent = self.recent_intents.take(alive.node)
        member = SerfMember(alive, MemberStatus.ALIVE, intent.ltime if intent else 0, now)
        self.members[alive.node] = member
        self._emit(MemberJoined(member))
        if isinstance(intent, LeaveIntent):
            self._become_leaving(member, now)

    def updated(self, alive: Alive) -> None:
        """A member announces new tags."""
        member = self.members.get(alive.node)
        if member is not None:  # otherwise it was pruned while leaving
            member.alive = alive
            self._emit(MemberUpdated(member))

    def gone(self, name: str, evidence: Evidence, now: float, *, has_left: bool) -> None:
        """A member is gone. It has left if it said so itself (`has_left`), or if an intent said so before.

        Serf requires the intent. But the intent is gossiped no more reliably than the leave broadcast, and a
        node that missed it would report a graceful leave as a failure.
        """
        member = self.members.get(name)
        if member is None:
            return  # pruned while it was leaving
        if member.status is MemberStatus.LEAVING or (has_left and member.status is not MemberStatus.LEFT):
            self._become_left(member, now)
        elif member.status is MemberStatus.ALIVE:
            member.become(MemberStatus.FAILED, now)
            self._gone[name] = member
            self._arm_reaper(now)
            self._emit(MemberFailed(member, evidence))

    def suspected(self, name: str, evidence: Evidence) -> None:
        """A member did not answer the reporter."""
        if name in self.members:
            self._emit(MemberSuspected(self.members[name], evidence.accuser, evidence))

    def confirmed(self, name: str, evidence: Evidence) -> None:
        """One more member could not reach a suspected member."""
        if name in self.members:
            self._emit(SuspicionConfirmed(self.members[name], evidence))

    def refuted(self, name: str, evidence: Evidence) -> None:
        """A suspected member proved to be alive."""
        if name in self.members:
            self._emit(SuspicionRefuted(self.members[name], evidence))

    # --- intents ------------------------------------------------------------------------------------------

    def is_stale(self, intent: Intent) -> bool:
        """Tell whether an intent is outdated by the status time of its member, which must be known."""
        member = self.members[intent.node]
        if member.is_hearsay:
            return intent.ltime < member.status_ltime  # which kind of intent has that time is still unknown
        return intent.ltime <= member.status_ltime

    def status_time(self, name: str, ltime: int, now: float) -> None:
        """Apply a member's status time from a push/pull: that of a join, or of a leave in progress.

        Serf treats it as a join, so a draining member turns alive again on peers that missed its leave or
        hear of it a second time. Here the status does not change. A leaving member is asked at once, and
        refutes with a join intent if it has come back.
        """
        member = self.members.get(name)
        if member is None:
            if ltime > self.recent_intents.time_of(name):
                self._remember(JoinIntent(ltime, name), now)
        elif ltime > member.status_ltime:
            member.status_ltime = ltime
            member.is_hearsay = True
            if member.status is MemberStatus.LEAVING:
                self._deadlines.set(LeaveRecheck(name), now)

    def has_left(self, name: str, ltime: int, now: float) -> None:
        """Accept that a member has left, unless it answers here; `ltime` is its status time at the peer.

        Serf marks it as left, or leaving, at one past that time. That is a guess, and later than the leave
        itself: a member that was lost while it drained, and answers again, would never become leaving here.
        """
        member = self.members.get(name)
        if member is None or member.status not in GONE or ltime < member.status_ltime:
            return
        self.status_time(name, ltime, now)
        if member.status is MemberStatus.FAILED:
            self._become_left(member, now)

    def join_intent(self, intent: JoinIntent, now: float) -> bool:
        """Apply a join intent; return whether to pass it on. At a tie it beats a leave."""
        member = self.members.get(intent.node)
        if member is None:
            return self._remember(intent, now)
        is_tie = member.status is MemberStatus.LEAVING and intent.ltime == member.status_ltime
        if not is_tie and self.is_stale(intent):
            return False
        self._stamp(member, intent)
        if member.status is MemberStatus.LEAVING:
            member.become(MemberStatus.ALIVE, now)
            self._stop_waiting(member)
            self._emit(MemberJoined(member))
        return True

    def leave_intent(self, intent: LeaveIntent, now: float) -> bool:
        """Apply a leave intent; return whether to pass it on."""
        self.lost.forget(intent.node)
        member = self.members.get(intent.node)
        if member is None:
            return self._remember(intent, now)
        if self.is_stale(intent):
            return False
        # Stored whatever the status: otherwise a stale join intent could later revive the member.
        self._stamp(member, intent)
        if member.status is MemberStatus.ALIVE:
            self._become_leaving(member, now)
        elif member.status is MemberStatus.FAILED:
            self._become_left(member, now)
        if intent.prune:
            self._prune(member, now)
        return True

    # --- forgetting ---------------------------------------------------------------------------------------

    def reap(self, now: float) -> None:
        """Erase members that failed or left too long ago, and old intents; re-arm while any remain."""
        limits = {
            MemberStatus.FAILED: self._config.reconnect_timeout,
            MemberStatus.LEFT: self._config.tombstone_timeout,
        }
        for member in self.gone_members():
            if now - member.changed_at > limits[member.status]:
                if member.status is MemberStatus.FAILED:
                    self.lost.add(member.name, member.address, now)
                self._erase(member)
        self.recent_intents.expire(now)
        if self._gone or len(self.recent_intents):
            self._arm_reaper(now)

    def doubtful_leave(self, name: str, now: float) -> LeaveIntent:
        """Return the leave intent to re-send to a leaving member, and re-arm the timer.

        If the status time is hearsay, the intent carries one later: Serf does not refute a leave at the exact
        time of its join.
        """
        self._deadlines.set(LeaveRecheck(name), now + self._config.leave_recheck_interval)
        member = self.members[name]
        return LeaveIntent(member.status_ltime + member.is_hearsay, name)

    def prune_now(self, name: str, now: float) -> None:
        """Erase a member whose prune had to wait for its leave; its return cancels the prune.

        Don't erase a member that still answers probes: if only we think it is leaving, nothing would ever
        re-add it. (Serf erases it.)
        """
        self._prune(self.members[name], now)

    def failed(self) -> list[LostMember]:
        """Return the failed members with the times of their failure."""
        failed = [m for m in self._gone.values() if m.status is MemberStatus.FAILED]
        return [LostMember(m.name, m.address, m.changed_at) for m in failed]

    def peers(self) -> tuple[KnownPeer, ...]:
        """Return the other members that neither failed nor left, to be saved for the next start."""
        others = list(self.members.values())[1:]  # this node's own row is the first
        return tuple(KnownPeer(m.name, m.address) for m in others if m.status not in GONE)

    def missing_peers(self) -> tuple[KnownPeer, ...]:
        """Return the members that failed or were lost, to be saved for the next start."""
        missing = {m.name: KnownPeer(m.name, m.address) for m in (*self.lost, *self.failed())}
        return tuple(missing.values())

    def leave_times(self) -> dict[str, int]:
        """Return the Lamport times of the leave intents of the members that are leaving."""
        return {m.name: m.status_ltime for m in self.with_status(MemberStatus.LEAVING) if not m.is_hearsay}

    def describe(self, name: str) -> KnownMember | None:
        """Return the conflict response about a member, None if the member is unknown."""
        member = self.members.get(name)
        if member is None:
            return None
        alive = member.alive
        return KnownMember(
            name=name,
            addr=alive.addr,
            port=alive.port,
            tags=member.tags,
            status=member.status,
            versions=alive.versions,
        )

    def count_alive(self) -> int:
        """Return how many members have neither failed nor left."""
        return len(self.members) - len(self._gone)

    def addresses(self) -> Iterator[Address]:
        """Iterate over the addresses of the members that have neither failed nor left."""
        return (m.address for m in self.members.values() if m.status not in GONE)

    def gone_members(self) -> list[SerfMember]:
        """Return the members that failed or left."""
        return list(self._gone.values())

    def with_status(self, status: MemberStatus) -> list[SerfMember]:
        """Return the members in `status`."""
        return [m for m in self.members.values() if m.status is status]

    # --- parts of the above -------------------------------------------------------------------------------

    def _stamp(self, member: SerfMember, intent: Intent) -> None:
        member.status_ltime = intent.ltime
        member.is_hearsay = False

    def _remember(self, intent: Intent, now: float) -> bool:
        self._arm_reaper(now)
        return self.recent_intents.offer(intent, now)

    def _become_leaving(self, member: SerfMember, now: float) -> None:
        member.become(MemberStatus.LEAVING, now)
        self._deadlines.set(LeaveRecheck(member.name), now + self._config.leave_recheck_interval)
        self._emit(MemberLeaving(member))

    def _stop_waiting(self, member: SerfMember) -> None:
        """Cancel the timers of a leave, because the member is back or was erased."""
        self._deadlines.cancel(LeaveRecheck(member.name))
        self._deadlines.cancel(PruneDue(member.name))

    def _become_left(self, member: SerfMember, now: float) -> None:
        self._deadlines.cancel(LeaveRecheck(member.name))
        member.become(MemberStatus.LEFT, now)
        self._gone[member.name] = member
        self._arm_reaper(now)
        self._emit(MemberLeft(member))

    def _prune(self, member: SerfMember, now: float) -> None:
        if member.status is MemberStatus.LEAVING:
            delay = self._config.broadcast_timeout + self._config.leave_propagate_delay
            self._deadlines.set(PruneDue(member.name), now + delay)
        else:
            self._erase(member)

    def _erase(self, member: SerfMember) -> None:
        self._stop_waiting(member)
        del self.members[member.name]
        self._gone.pop(member.name, None)
        self._emit(MemberReaped(member))

    def _make_room(self) -> None:
        if len(self.members) >= 2 * self._config.swim.max_members:
            # SWIM's own table is smaller, so some member here must be gone; drop the one lost first.
            self._erase(self.gone_members()[0])

    def _arm_reaper(self, now: float) -> None:
        if REAP not in self._deadlines:
            self._deadlines.set(REAP, now + self._config.reap_interval)
