"""Rules for graceful leaves, checked from outside the nodes as in `gossip.sim.checkers`.

A member that leaves gracefully must not be shown as failed by a member that had every chance to hear of the
leave, and a member that joins during the leave must see it as leaving.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from gossip.serf.effects import MemberFailed, MemberLeft, PushPullReceived
from gossip.serf.members import MemberStatus
from gossip.sim.host import Stall
from gossip.sim.observer import Observer
from gossip.sim.rules import RuleBrokenError
from gossip.wire.messages import MemberState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.serf.effects import Effect
    from gossip.sim.cluster import Cluster
    from gossip.sim.host import Host

IN_ORDER = "a member that leaves in order has not failed"

MARGIN = 1.0
"""Seconds between two checks of the hosts; the end of a problem may go unnoticed for that long."""


class LeaveBroadcast(Struct, frozen=True):
    """The time of a host's leave broadcast, and the life that sent it."""

    life: int
    at: float


class Leaves(Observer):
    """Checks members that leave, and the views of all others.

    A host is in trouble while its agent is paused or slow, or while conditions are imposed on its links. A
    network that always loses packets is not trouble: the protocol is made for it.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.newcomers_judged = 0
        self._cluster = cluster
        self._leave_broadcasts: dict[str, LeaveBroadcast] = {}
        self._last_trouble: dict[str, float] = {}
        self._known_since: dict[str, float] = {}  # per draining member: since when all others have known

    def started(self, host: Host, now: float) -> None:
        """A new life has sent no leave broadcast yet."""
        self._leave_broadcasts.pop(host.name, None)
        self._known_since.pop(host.name, None)

    def stopped(self, host: Host, now: float) -> None:
        """The agent is no longer draining."""
        self._known_since.pop(host.name, None)

    def happened(self, what: str, now: float) -> None:
        """A fault begins or ends."""
        self._look_for_trouble(now)

    def ticked(self, now: float) -> None:
        """Check for trouble, and whether all hosts know of each drain."""
        self._look_for_trouble(now)
        for host in self._cluster.hosts.values():
            if host.node is not None and host.node.status is MemberStatus.LEAVING and self._is_known(host):
                self._known_since.setdefault(host.name, now)
            else:
                self._known_since.pop(host.name, None)

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """Check a host's reports about members that leave."""
        for effect in effects:
            if isinstance(effect, MemberLeft) and effect.member.name == host.name:
                self._leave_broadcasts[host.name] = LeaveBroadcast(host.life, now)
                self._known_since.pop(host.name, None)
            elif isinstance(effect, MemberFailed):
                self._judge_failure(host, effect, now)
            elif isinstance(effect, PushPullReceived) and effect.initiated:
                self._judge_newcomer(host, effect, now)

    # --- failures -----------------------------------------------------------------------------------------

    def _judge_failure(self, host: Host, effect: MemberFailed, now: float) -> None:
        name, evidence = effect.member.name, effect.evidence
        if evidence.reporter == name:
            raise RuleBrokenError(IN_ORDER, f"{host.name} takes {name}'s leave broadcast for a failure", now)
        departed = self._leave_broadcasts.get(name)
        if departed is None or evidence.reporter != host.name:
            return  # it did not leave, or another node made this mistake
        if evidence.suspected_at - host.offset < departed.at or host.up_since > departed.at:
            return  # suspected before, or this life had not been told of it
        since = departed.at - MARGIN
        witnesses = [other.name for other in self._cluster.up() if self._holds_left(other, name)]
        if not any(self._is_well(each, since) for each in witnesses):
            return  # no host could tell it
        if self._is_well(name, since) and self._is_well(host.name, since):
            detail = f"{host.name} shows {name} failed, which sent its leave broadcast at {departed.at:.1f}"
            raise RuleBrokenError(IN_ORDER, detail, now)

    def _holds_left(self, host: Host, name: str) -> bool:
        member = host.node.member(name) if host.node is not None else None
        return host.name != name and member is not None and member.status is MemberStatus.LEFT

    # --- newcomers ----------------------------------------------------------------------------------------

    def _judge_newcomer(self, host: Host, effect: PushPullReceived, now: float) -> None:
        """The reply may be as old as its time-out: the peer must have known for at least that long."""
        patience = self._cluster.config.swim.stream_timeout + MARGIN
        answering = {row.name for row in effect.nodes if row.state < MemberState.DEAD}
        for name, since in self._known_since.items():
            if now - since < patience or name not in answering or name == host.name:
                continue
            assert host.node is not None
            member = host.node.member(name)
            self.newcomers_judged += host.up_since > since
            if member is not None and member.status is MemberStatus.ALIVE:
                detail = f"{host.name} holds {name} alive after a push/pull; all others hold it leaving"
                raise RuleBrokenError("a newcomer sees who is leaving", detail, now)

    def _is_known(self, leaver: Host) -> bool:
        """Tell whether all hosts that know the member consider it leaving, because of an intent."""
        for other in self._cluster.up():
            assert other.node is not None
            member = other.node.member(leaver.name)
            if other is leaver or member is None:
                continue
            if member.status is not MemberStatus.LEAVING or member.is_hearsay:
                return False
        return True

    # --- trouble ------------------------------------------------------------------------------------------

    def _look_for_trouble(self, now: float) -> None:
        for host in self._cluster.hosts.values():
            is_troubled = self._cluster.network.is_disturbed(host.name)
            if is_troubled or host.stall is not Stall.NONE or host.cost:
                self._last_trouble[host.name] = now

    def _is_well(self, name: str, since: float) -> bool:
        return self._last_trouble.get(name, 0.0) < since
