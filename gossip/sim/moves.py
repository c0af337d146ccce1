"""Rules for moving a member's name to another address (ADR 15, ADR 29), checked from outside the nodes.

A name moves when pings to its old address stay unanswered and one to its new address is answered. Observers
see no packets, but they see where agents run: an answer comes from an agent of that name, and waiting for
pings that stay unanswered takes time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from gossip.serf.effects import MemberFailed, MemberJoined, MemberLeft, MemberUpdated
from gossip.sim.driver import ROUNDING
from gossip.sim.observer import Observer
from gossip.sim.rules import RuleBrokenError
from gossip.swim.reclaim import PING_SPACING, PINGS, PINGS_OF_THE_LIVING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip.serf.effects import Effect
    from gossip.sim.cluster import Cluster
    from gossip.sim.host import Host
    from gossip.swim.member import Member
    from gossip.wire.address import Address

TOLD_OF = (MemberJoined, MemberUpdated, MemberFailed, MemberLeft)
"""Events that follow a change of address, or of whether the member is gone."""

TIMEOUTS_OF_THE_LIVING = PING_SPACING * (PINGS_OF_THE_LIVING - 1) + 1
"""Probe timeouts that the pings take while the owner is believed to be alive."""

TIMEOUTS_OF_THE_GONE = PING_SPACING * PINGS
"""Probe timeouts that they take at least if the owner is gone, even if it is declared dead meanwhile."""


class Agent(Struct):
    """Agents of one name at one address: since when, by the world's clock and by the other hosts'."""

    first: float
    latest: float
    others: dict[str, tuple[int, float]]  # per host: its life and its local time at `first`


class Seen(Struct, frozen=True):
    """A row of SWIM's table as it was; `member` is the live row, which changes."""

    member: Member
    address: Address
    is_gone: bool


class Moves(Observer):
    """A name moves only to a later agent of that name, and not before pings could show that it has moved."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._agents: dict[tuple[str, Address], Agent] = {}
        self._seen: dict[tuple[str, str], Seen] = {}

    def started(self, host: Host, now: float) -> None:
        """Record place and time; a new life starts without the last one's memory."""
        for key in [key for key in self._seen if key[0] == host.name]:
            del self._seen[key]
        agent = self._agents.get((host.name, host.address))
        if agent is None:
            others = {other.name: (other.life, now + other.offset) for other in self._cluster.up()}
            self._agents[host.name, host.address] = Agent(now, now, others)
        else:
            agent.latest = now

    def told(self, host: Host, effects: Sequence[Effect], now: float) -> None:
        """Compare the address in the row of each event with the earlier one."""
        assert host.node is not None
        for effect in effects:
            if not isinstance(effect, TOLD_OF):
                continue
            name = effect.member.name
            member = host.node.swim.table.by_name.get(name)
            if member is None:
                continue
            before = self._seen.get((host.name, name))
            self._seen[host.name, name] = Seen(member, member.address, member.is_gone)
            if before is not None and before.member is member and before.address != member.address:
                self._check(host, before, now)

    def _check(self, host: Host, before: Seen, now: float) -> None:
        name, address = before.member.name, before.member.address
        detail = f"{host.name} moved {name} from {before.address} to {address}"
        old, new = self._agents.get((name, before.address)), self._agents.get((name, address))
        if new is None:
            raise RuleBrokenError("a name passes on to an agent of that name", detail, now)
        if old is not None and old.latest > new.latest:
            raise RuleBrokenError("a name passes on to a later agent", detail, now)
        life, began = new.others.get(host.name, (0, 0.0))
        if life != host.life:
            return  # this agent started later, so its clock was not recorded
        timeouts = TIMEOUTS_OF_THE_GONE if before.is_gone else TIMEOUTS_OF_THE_LIVING
        least = timeouts * self._cluster.config.swim.probe_timeout
        took = now + host.offset - began
        if took < least - ROUNDING:
            detail = f"{detail} {took:g} s after it started, at the earliest after {least:g} s"
            raise RuleBrokenError("a name passes on when its old address is silent", detail, now)
