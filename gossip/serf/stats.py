"""The `serf` section of a node's statistics, with Serf's names (Serf `serf.go`, Stats)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.serf.members import MemberStatus

if TYPE_CHECKING:
    from gossip.serf.broadcasts import Broadcasts
    from gossip.serf.lamport import LamportClock
    from gossip.serf.roster import Roster
    from gossip.swim.health import LocalHealth


def figures(
    health: LocalHealth,
    roster: Roster,
    clocks: tuple[LamportClock, LamportClock, LamportClock],
    broadcasts: Broadcasts,
    coordinate_resets: int | None,
) -> dict[str, str]:
    """Return the `serf` section of Serf's stats; `coordinate_resets` is None without coordinates.

    `clocks` are those of members, of events and of queries.
    """
    counts = {
        "members": len(roster.members),
        "failed": len(roster.with_status(MemberStatus.FAILED)),
        "left": len(roster.with_status(MemberStatus.LEFT)),
        "health_score": health.score,
        "member_time": clocks[0].time,
        "event_time": clocks[1].time,
        "query_time": clocks[2].time,
        "intent_queue": len(broadcasts.intents),
        "event_queue": len(broadcasts.events),
        "query_queue": len(broadcasts.queries),
    }
    if coordinate_resets is not None:
        counts["coordinate_resets"] = coordinate_resets
    return {name: str(count) for name, count in counts.items()}


def counters(roster: Roster, broadcasts: Broadcasts) -> dict[str, str]:
    """Return counts since the start that Serf's stats lack; Serf reports flaps to statsd only."""
    return {"member_flaps": str(roster.flaps), "dropped_broadcasts": str(broadcasts.dropped())}
