"""User events: delivered once each, replayed to members that join (Serf `serf.go`, handleUserEvent)."""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

from gossip.errors import LocalProtocolError
from gossip.serf.config import SerfConfig
from gossip.serf.effects import Effect, UserEventReceived
from gossip.serf.lamport import LamportClock
from gossip.serf.recent import RecentTimes
from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import PastEvent, PastEvents, UserEvent

MAX_HISTORY_BYTES = 2**20
"""The newest bytes of events in a push/pull: 1,900 of the longest events that members send.

If a push/pull were too long for peers to read, no member could join.
"""

EVENT_OVERHEAD = 32
"""Approximate bytes of an event in a push/pull besides its name and payload."""


class UserEvents:
    """The event clock and the events of recent times."""

    __slots__ = ("_emit", "_size_limit", "clock", "recent")

    def __init__(self, config: SerfConfig, emit: Callable[[Effect], None], last: int = 0) -> None:
        """Start after `last`, the last Lamport time of an earlier life: older events are not delivered."""
        self.clock = LamportClock(last)
        self.recent: RecentTimes[PastEvent] = RecentTimes(
            config.buffered_times, config.buffered_messages, config.buffered_bytes
        )
        self.recent.minimum = self.clock.time if last else 0
        self._size_limit = config.user_event_size_limit
        self._emit = emit

    def receive(self, event: UserEvent) -> bool:
        """Witness `event`; return whether it is new and must be delivered and passed on.

        Raises:
            RemoteProtocolError: its Lamport time is out of range, or there is no room for it.
        """
        self.clock.witness(event.ltime)
        past = PastEvent(event.name, event.payload)
        return self.recent.is_news(event.ltime, past, self.clock.time, _size(past))

    def deliver(self, event: UserEvent) -> bool:
        """Witness `event`, and hand it to the driver if it is new; return whether it was.

        Raises:
            RemoteProtocolError: see `receive`.
        """
        is_news = self.receive(event)
        if is_news:
            self._emit(UserEventReceived(event))
        return is_news

    def create(self, name: str, payload: bytes, *, coalesce: bool) -> tuple[UserEvent, bytes]:
        """Return a new event with its bytes; `deliver` it next.

        Raises:
            LocalProtocolError: name and payload, or the encoded event, exceed the limit (512 bytes).
        """
        limit = self._size_limit
        if len(name.encode("utf-8", "surrogateescape")) + len(payload) > limit:
            raise LocalProtocolError(f"user event exceeds configured limit of {limit} bytes before encoding")
        event = UserEvent(self.clock.time, name, payload, coalesce)
        encoded = encode_serf(event)
        if len(encoded) > limit:
            raise LocalProtocolError(
                f"encoded user event exceeds configured limit of {limit} bytes after encoding"
            )
        self.clock.increment()
        return event, encoded

    def history(self) -> tuple[PastEvents, ...]:
        """Return recent events in the form of a push/pull: the newest, at most `MAX_HISTORY_BYTES` in all."""
        if self.recent.size_bytes <= MAX_HISTORY_BYTES:
            return tuple(PastEvents(time, tuple(events)) for time, events in self.recent)
        room, history = MAX_HISTORY_BYTES, list[PastEvents]()
        for time, events in sorted(self.recent, reverse=True):
            ends = list(accumulate(map(_size, events)))
            fitting = bisect_right(ends, room)
            if fitting:
                history.append(PastEvents(time, tuple(events[:fitting])))
            room = max(room - ends[-1], 0)
        return tuple(history)


def _size(event: PastEvent) -> int:
    return len(event.name.encode("utf-8", "surrogateescape")) + len(event.payload) + EVENT_OVERHEAD
