"""Serf's view of a member: a status that tells leaving from failing (Serf `serf.go`, memberState).

SWIM reports which members answer; intents say which of them leave on purpose. `SerfMember` combines both and
is the row that every reader (CLI, IPC, load balancer) sees.
"""

from collections.abc import Mapping
from enum import IntEnum

from gossip.serf.tags import decode_tags
from gossip.wire.address import Address, unpack_address
from gossip.wire.coordinate_codec import Coordinate
from gossip.wire.messages import Alive


class MemberStatus(IntEnum):
    """Serf's member status; the numbers are the wire's, the lower-case names the IPC's."""

    NONE = 0
    ALIVE = 1
    LEAVING = 2
    LEFT = 3
    FAILED = 4


class SerfMember:
    """One row of the member table. Readers must not change it."""

    __slots__ = ("alive", "changed_at", "coordinate", "is_hearsay", "rtts", "status", "status_ltime")

    def __init__(self, alive: Alive, status: MemberStatus, status_ltime: int, now: float) -> None:
        self.alive = alive  # the last accepted Alive: name, address, metadata, versions
        self.status = status
        self.status_ltime = status_ltime  # Lamport time of the last intent about this member
        self.is_hearsay = False  # the time is from a push/pull: it may be that of a join or of a leave
        self.changed_at = now  # when `status` last changed, monotonic seconds
        self.coordinate: Coordinate | None = None  # as last reported in an ack to our ping
        self.rtts: tuple[float, ...] = ()  # the last round trips to it, seconds

    @property
    def name(self) -> str:
        """The member's name, unique in the cluster."""
        return self.alive.node

    @property
    def address(self) -> Address:
        """The gossip address of the member."""
        return unpack_address(self.alive.addr, self.alive.port)

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags that the member announces."""
        return decode_tags(self.alive.meta)

    def become(self, status: MemberStatus, now: float) -> None:
        """Enter `status` at `now`."""
        if status is not self.status:
            self.status = status
            self.changed_at = now

    def __repr__(self) -> str:
        """Show name, address and status."""
        return f"<{self.name} {self.address} {self.status.name.lower()}>"
