"""Protocol compatibility of two member lists (memberlist `memberlist.go`, verifyProtocol).

Six bytes per member: minimum, maximum and current version, of memberlist's protocol and of Serf's.
"""

from collections.abc import Iterable

from gossip.errors import RemoteProtocolError
from gossip.swim.member import Member
from gossip.wire.messages import MemberState, NodeState

VERSION_BYTES = 6


def verify_versions(rows: Iterable[NodeState], members: Iterable[Member] = ()) -> None:
    """Check that the current versions of all rows and members lie in what all alive ones understand.

    Raises:
        RemoteProtocolError: one does not; the whole merge must be refused.
    """
    # A cluster has a handful of different versions: they are collected first, so that a thousand rows are
    # walked once. The name is that of the first who has them.
    named: dict[bytes, str] = {}
    of_alive: dict[bytes, None] = {}
    for row in rows:
        named.setdefault(row.versions, row.name)
        if row.state is MemberState.ALIVE:
            of_alive[row.versions] = None
    for member in members:
        named.setdefault(member.alive.versions, member.name)
        if member.state is MemberState.ALIVE:
            of_alive[member.alive.versions] = None
    known = [versions for versions in named if len(versions) == VERSION_BYTES]
    alive = [versions for versions in of_alive if len(versions) == VERSION_BYTES]
    for kind, low, high, current in (("protocol", 0, 1, 2), ("delegate protocol", 3, 4, 5)):
        floor = max((versions[low] for versions in alive), default=0)
        ceiling = min((versions[high] for versions in alive), default=255)
        for versions in known:
            if not floor <= versions[current] <= ceiling:
                raise RemoteProtocolError(
                    f"node {named[versions]!r} {kind} version ({versions[current]}) is incompatible: "
                    f"[{floor}, {ceiling}]"
                )
