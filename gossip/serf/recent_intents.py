"""Join and leave intents about members that are not known yet (Serf `serf.go`, recentIntents).

An intent may overtake the announcement of its member. The newest per name is kept for a while and applied
when the member appears.
"""

from msgspec import Struct

from gossip.wire.serf_messages import JoinIntent, LeaveIntent

Intent = JoinIntent | LeaveIntent


def overrides(intent: Intent, known: Intent) -> bool:
    """Tell whether `intent` is newer; at a tie a join overrides a leave.

    Only a member itself says that it joins, and never at the time of its own leave: this leave is by somebody
    else, who did not know better. Were the join ignored, the member would be leaving for ever.
    """
    if intent.ltime == known.ltime:
        return isinstance(intent, JoinIntent) and isinstance(known, LeaveIntent)
    return intent.ltime > known.ltime


class Heard(Struct, frozen=True, gc=False):
    """An intent, and when it came in monotonic seconds."""

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
        """Return how many names are remembered."""
        return len(self._by_name)

    def offer(self, intent: Intent, now: float) -> bool:
        """Remember `intent` if it overrides what is known; return whether it did.

        At the limit the longest remembered name makes room.
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
        """Return the Lamport time of what is known about `name`, 0 if nothing is."""
        heard = self._by_name.get(name)
        return heard.intent.ltime if heard else 0

    def take(self, name: str) -> Intent | None:
        """Forget and return what is known about `name`."""
        heard = self._by_name.pop(name, None)
        return heard.intent if heard else None

    def expire(self, now: float) -> None:
        """Forget what is older than the time-out."""
        old = [name for name, heard in self._by_name.items() if now - heard.at > self._timeout]
        for name in old:
            del self._by_name[name]
