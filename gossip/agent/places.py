"""Limits on connections: their number and their bytes, for all peers together and for each source.

A source that opens many connections, or lets many bytes pile up, is the first to lose some. A newcomer is
never refused while a connection of the source with the most waits for its peer: the one that has waited
longest gives up its place. So neither a thousand silent connections nor a flood of half-sent messages keeps
others out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from math import inf

import trio

from gossip.errors import RemoteProtocolError


def source_of(host: str) -> str:
    """Return the source that `host` belongs to: an IPv4 address, or an IPv6 network of 64 bits."""
    return ip_address(host).exploded[:19] if ":" in host else host


class Place:
    """One connection. While it waits for its peer, it may be closed in favour of another."""

    __slots__ = ("held", "is_evicted", "is_open", "scope", "since", "source", "standing")

    def __init__(self, source: str, now: float) -> None:
        self.source = source
        self.scope = trio.CancelScope()
        self.since: float | None = now  # when it began to wait for its peer; None while we work on it
        self.standing = 0  # connections of the lowest standing are closed first
        self.held = 0
        self.is_open = True
        self.is_evicted = False


class Places:
    """All connections of one kind."""

    def __init__(
        self, most: int, most_per_source: int, *, most_bytes: int = 0, most_bytes_per_source: int = 0
    ) -> None:
        self.refused = 0  # connections that got no place
        self.evicted = 0  # connections that lost their place
        self.most = most
        self._most_per_source = most_per_source
        self._most_bytes = most_bytes
        self._most_bytes_per_source = most_bytes_per_source
        self._by_source: dict[str, list[Place]] = {}
        self._held: dict[str, int] = {}
        self._count = 0
        self.held = 0  # bytes held by all connections

    def __len__(self) -> int:
        """Return how many places are taken."""
        return self._count

    def take(self, source: str, now: float) -> Place | None:
        """Return a place for a connection from `source`, None if all are taken by busy connections."""
        if len(self._by_source.get(source, ())) >= self._most_per_source:
            has_room = self._evict(source)
        elif self._count >= self.most:
            has_room = self._evict(max(self._by_source, key=self._greed))
        else:
            has_room = True
        if not has_room:
            self.refused += 1
            return None
        place = Place(source, now)
        self._by_source.setdefault(source, []).append(place)
        self._count += 1
        return place

    def give_back(self, place: Place) -> None:
        """Free `place` and its bytes; from then on it holds nothing."""
        self.hold(place, -place.held)
        place.is_open = False
        places = self._by_source.get(place.source, [])
        if place in places:
            places.remove(place)
            self._count -= 1
            if not places:
                del self._by_source[place.source]

    def hold(self, place: Place, size: int) -> None:
        """Add `size` bytes, which may be negative, to those held by `place`.

        Raises:
            RemoteProtocolError: that is too much for its source, or for all, and it holds the most of all.
        """
        if not place.is_open:
            return
        place.held += size
        self.held += size
        of_source = self._held.pop(place.source, 0) + size
        if of_source:
            self._held[place.source] = of_source
        if size <= 0:
            return
        if of_source > self._most_bytes_per_source:
            raise RemoteProtocolError(f"{of_source} bytes in unfinished connections of one peer")
        while self.held > self._most_bytes:
            largest = max(self._all(), key=lambda each: each.held, default=place)
            if largest is place or not largest.held:
                raise RemoteProtocolError(f"{self.held} bytes in unfinished connections")
            self._close(largest)

    @contextmanager
    def occupied(self, place: Place) -> Iterator[None]:
        """Run the body of the connection; it ends silently if the place is lost."""
        try:
            with place.scope:
                yield
        finally:
            self.give_back(place)

    def _all(self) -> Iterator[Place]:
        for places in self._by_source.values():
            yield from places

    def _greed(self, source: str) -> tuple[int, float]:
        """Return how many places `source` has, and for ties the start of its longest wait."""
        places = self._by_source[source]
        return len(places), -min((each.since for each in places if each.since is not None), default=inf)

    def _evict(self, source: str) -> bool:
        """Close the longest-waiting connection of `source`; return whether there was one."""
        waiting = [place for place in self._by_source[source] if place.since is not None]
        if not waiting:
            return False
        self._close(min(waiting, key=lambda place: (place.standing, place.since)))
        return True

    def _close(self, place: Place) -> None:
        self.evicted += 1
        place.is_evicted = True
        self.give_back(place)
        place.scope.cancel()
