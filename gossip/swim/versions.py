"""Protocol compatibility of the members of one table (memberlist `memberlist.go`, verifyProtocol).

Six bytes per member: minimum, maximum and current version, of memberlist's protocol and of Serf's. Every
member must understand the version that every other member speaks; otherwise a peer refuses the whole
push/pull. An incompatible row would make the cluster unjoinable, so it is kept out of the table.
"""

from collections.abc import Iterable

from gossip.errors import RemoteProtocolError
from gossip.wire.layout import VERSION_BYTES
from gossip.wire.messages import MemberState, NodeState

KINDS = (("protocol", 0, 1, 2), ("delegate protocol", 3, 4, 5))
"""The name of each version range, and the positions of its minimum, maximum and current version."""


class Versions:
    """The versions of all members of a table, counted by position and value."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: list[dict[int, int]] = [{} for _ in range(VERSION_BYTES)]

    def add(self, versions: bytes) -> None:
        """Count a member's six bytes."""
        for counts, version in zip(self._counts, versions, strict=True):
            counts[version] = counts.get(version, 0) + 1

    def remove(self, versions: bytes) -> None:
        """Remove a member's six bytes from the count."""
        for counts, version in zip(self._counts, versions, strict=True):
            counts[version] -= 1
            if not counts[version]:
                del counts[version]

    def verify(self, name: str, versions: bytes) -> None:
        """Check that all members would still understand each other with `name` in the table.

        Raises:
            RemoteProtocolError: the versions are incompatible; the member must stay out.
        """
        for kind, low, high, current in KINDS:
            floor = max(versions[low], *self._counts[low])
            ceiling = min(versions[high], *self._counts[high])
            if not floor <= versions[current] <= ceiling:
                raise RemoteProtocolError(
                    f"node {name!r} {kind} version ({versions[current]}) is incompatible: "
                    f"[{floor}, {ceiling}]"
                )
            lowest, highest = min(self._counts[current]), max(self._counts[current])
            if versions[low] > lowest or versions[high] < highest:
                raise RemoteProtocolError(
                    f"node {name!r} understands {kind} versions [{versions[low]}, {versions[high]}]: "
                    f"others speak [{lowest}, {highest}]"
                )

    def verify_any(self, rows: Iterable[NodeState]) -> None:
        """Check that at least one of the alive `rows`, if there are any, could be in the table.

        An incompatible peer sends only incompatible rows. Any other peer has each row judged on its own: one
        incompatible member among its rows is no reason to refuse the peer.

        Raises:
            RemoteProtocolError: none is compatible; the whole merge must be refused.
        """
        problem: RemoteProtocolError | None = None
        tried: set[bytes] = set()  # a cluster has a handful of different versions
        for row in rows:
            if row.state is not MemberState.ALIVE or row.versions in tried:
                continue
            if len(row.versions) != VERSION_BYTES:
                return
            tried.add(row.versions)
            try:
                self.verify(row.name, row.versions)
            except RemoteProtocolError as error:
                problem = problem or error
            else:
                return
        if problem is not None:
            raise problem
