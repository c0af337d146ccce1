"""Protocol compatibility of two member lists (memberlist `memberlist.go`, verifyProtocol).

Six bytes per member: minimum, maximum and current version, of memberlist's protocol and of Serf's.
"""

from collections.abc import Iterable

from gossip.errors import RemoteProtocolError
from gossip.wire.messages import MemberState, NodeState

VERSION_BYTES = 6


def verify_versions(rows: Iterable[NodeState]) -> None:
    """Check that every row's current versions lie in what all alive rows understand.

    Raises:
        RemoteProtocolError: a row does not; the whole merge must be refused.
    """
    known = [row for row in rows if len(row.versions) == VERSION_BYTES]
    alive = [row.versions for row in known if row.state is MemberState.ALIVE]
    for name, low, high, current in (("protocol", 0, 1, 2), ("delegate protocol", 3, 4, 5)):
        floor = max((v[low] for v in alive), default=0)
        ceiling = min((v[high] for v in alive), default=255)
        for row in known:
            if not floor <= row.versions[current] <= ceiling:
                raise RemoteProtocolError(
                    f"node {row.name!r} {name} version ({row.versions[current]}) is incompatible: "
                    f"[{floor}, {ceiling}]"
                )
