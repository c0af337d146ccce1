"""What a node told its driver, as a few words for the trace: the same in every run of the same events."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossip.serf.effects import (
    LeaveAnnounced,
    LeaveFinished,
    MemberFailed,
    MemberJoined,
    MemberLeaving,
    MemberLeft,
    MemberReaped,
    MemberSuspected,
    MemberUpdated,
    PushPullReceived,
    SuspicionRefuted,
    UserEventReceived,
)
from gossip.swim.effects import (
    BroadcastFinished,
    MessageRejected,
    NameConflict,
    OpenPushPull,
    OpenStreamPing,
    SendPacket,
)

if TYPE_CHECKING:
    from gossip.serf.effects import Effect


def describe(effect: Effect) -> str:
    """Return `effect` in words."""
    return _WORDS[type(effect)](effect)


def _suspected(effect: MemberSuspected) -> str:
    return f"suspects {effect.member.name} on the word of {effect.reporter or 'a push/pull'}"


def _event(effect: UserEventReceived) -> str:
    return f"receives event {effect.event.name!r} of time {effect.event.ltime}"


def _merged(effect: PushPullReceived) -> str:
    side = "called" if effect.initiated else "was called"
    return f"{side}: merges {len(effect.nodes)} rows, {len(effect.left)} left"


def _conflict(effect: NameConflict) -> str:
    return f"knows {effect.name} at {effect.mine}, not at {effect.theirs}"


_WORDS: dict[type[Effect], Callable[..., str]] = {
    MemberJoined: lambda effect: f"sees {effect.member.name} alive",
    MemberUpdated: lambda effect: f"sees new tags of {effect.member.name}",
    MemberSuspected: _suspected,
    SuspicionRefuted: lambda effect: f"no longer suspects {effect.member.name}",
    MemberLeaving: lambda effect: f"sees {effect.member.name} leaving",
    MemberLeft: lambda effect: f"sees {effect.member.name} left",
    MemberFailed: lambda effect: f"sees {effect.member.name} failed",
    MemberReaped: lambda effect: f"forgets {effect.member.name}",
    UserEventReceived: _event,
    PushPullReceived: _merged,
    LeaveAnnounced: lambda _: "has announced its leave",
    LeaveFinished: lambda _: "has finished its leave",
    SendPacket: lambda effect: f"sends {len(effect.parts)} messages to {effect.to}",
    OpenPushPull: lambda effect: f"opens push/pull with {effect.node}",
    OpenStreamPing: lambda effect: f"pings {effect.node} over a stream",
    BroadcastFinished: lambda effect: f"has spread broadcast {effect.token}",
    MessageRejected: lambda effect: f"rejects a message from {effect.source}: {effect.reason}",
    NameConflict: _conflict,
}
