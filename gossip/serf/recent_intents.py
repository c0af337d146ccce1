"""Join and leave intents about members that are not known yet (Serf `serf.go`, recentIntents).

An intent may overtake the announcement of its member. The newest per name is kept for a while and applied
when the member appears.
"""

from msgspec import Struct

from gossip.wire.serf_messages import JoinIntent, LeaveIntent

Intent = JoinIntent | LeaveIntent


def overrides(intent: Intent, known: Intent) -> bool:
    """Tell whether `intent` is newer; at a tie a join overrides a leave.

    Join intents come only from the member itself, and never at the time of its own leave, so a leave at the
    same time is a force-leave by a peer that missed the join. If the join were ignored, the member would
    never stop leaving.
    """
    if intent.ltime == known.ltime:
        return isinstance(intent, JoinIntent) and isinstance(known, LeaveIntent)
    return intent.ltime > known.ltime


class Heard(Struct, frozen=True, gc=False):
    """An intent and its time of arrival in monotonic seconds."""

    intent: Intent
    at: float


class RecentIntents:
    """The newest intent per unknown name, at most `limit` names, each for `timeout` seconds."""

    __slots__ = ("_by_name", "_limit", "_timeout")

    def __init__(self, limit: int, timeout: float) -> None:
        self._by_name: dict[str, Heard] = {}
        self._limit = limit
        self._timeout = timeout

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._by_name)

    def offer(self, intent: Intent, now: float) -> bool:
        """Store `intent` if it overrides the one stored for its name; return whether it did.

        At the limit the oldest name is dropped.
        """
        known = self._by_name.get(intent.node)
        if known is not None and not overrides(intent, known.intent):
            return False
        self._by_name.pop(intent.node, None)
        if len(self._by_name) >= self._limit:
            del self._by_name[next(iter(self._by_name))]
        self._by_name[intent.node] = Heard(intent, now)
        return True

    def time_of(self, name: str) -> int:
        """Return the Lamport time of the intent stored for `name`, 0 if there is none."""
        heard = self._by_name.get(name)
        return heard.intent.ltime if heard else 0

    def take(self, name: str) -> Intent | None:
        """Remove and return the intent stored for `name`."""
        heard = self._by_name.pop(name, None)
        return heard.intent if heard else None

    def expire(self, now: float) -> None:
        """Drop intents older than the time-out."""
        old = [name for name, heard in self._by_name.items() if now - heard.at > self._timeout]
        for name in old:
            del self._by_name[name]
