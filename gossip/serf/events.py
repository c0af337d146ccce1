"""User events: delivered once each, repeated to whoever joins (Serf `serf.go`, handleUserEvent)."""

from gossip.errors import LocalProtocolError
from gossip.serf.config import SerfConfig
from gossip.serf.lamport import LamportClock
from gossip.serf.recent import RecentTimes
from gossip.wire.serf_codec import encode_serf
from gossip.wire.serf_messages import PastEvent, PastEvents, UserEvent


class UserEvents:
    """The event clock and the events of recent times."""

    __slots__ = ("_size_limit", "clock", "recent")

    def __init__(self, config: SerfConfig) -> None:
        self.clock = LamportClock()
        self.recent: RecentTimes[PastEvent] = RecentTimes(config.buffered_times, config.buffered_messages)
        self._size_limit = config.user_event_size_limit

    def receive(self, event: UserEvent) -> bool:
        """Witness `event`; return whether it is new and must be delivered and passed on.

        Raises:
            RemoteProtocolError: its Lamport time is out of range, or there is no room for it.
        """
        self.clock.witness(event.ltime)
        return self.recent.is_news(event.ltime, PastEvent(event.name, event.payload), self.clock.time)

    def create(self, name: str, payload: bytes, *, coalesce: bool) -> tuple[UserEvent, bytes]:
        """Return a new event with its bytes; `receive` it next.

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
        """Return the recent events as push/pull carries them."""
        return tuple(PastEvents(time, tuple(events)) for time, events in self.recent)
