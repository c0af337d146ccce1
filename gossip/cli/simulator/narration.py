"""A run in words: one line for each effect, command and fault, and the report of a run that broke a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gossip.serf.effects import (
    ContactSeed,
    JoinEnded,
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
    QueryAcked,
    QueryAnswered,
    QueryFinished,
    QueryReceived,
    QueueDeep,
    ResolveSeeds,
    SuspicionConfirmed,
    SuspicionRefuted,
    UserEventReceived,
)
from gossip.swim.effects import (
    BroadcastFinished,
    MessageRejected,
    NameConflict,
    OpenPushPull,
    OpenStreamPing,
    PathsChecked,
    PingFromElsewhere,
    SendPacket,
)

if TYPE_CHECKING:
    from gossip.serf.effects import Effect
    from gossip.sim.trace import Entry
    from gossip.sim.trial import Outcome


def report(outcome: Outcome) -> str:
    """Return what is needed to reproduce a failed run: the broken rule, the seed, the scenario, the trace."""
    failure = outcome.failure
    assert failure is not None, "the run broke no rule"
    return (
        f"{failure.rule}: {failure.detail} (at {failure.at:.3f} s)\n"
        f"seed {outcome.scenario.seed}, trace {outcome.digest}\n\n"
        f"{outcome.scenario.text()}\n{narrate(outcome.tail)}\n"
    )


def narrate(entries: Iterable[Entry]) -> str:
    """Return the entries of a trace, one line each: time in seconds, host, event."""
    return "\n".join(f"{entry.at:12.6f}  {entry.who}  {_in_words(entry.what)}" for entry in entries)


def describe(effect: Effect) -> str:
    """Return `effect` in words."""
    return _WORDS[type(effect)](effect)


def _in_words(what: Effect | str) -> str:
    return what if isinstance(what, str) else describe(what)


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
    SuspicionConfirmed: lambda effect: f"hears {effect.evidence.reporter} confirm {effect.member.name}",
    SuspicionRefuted: lambda effect: f"no longer suspects {effect.member.name}",
    MemberLeaving: lambda effect: f"sees {effect.member.name} leaving",
    MemberLeft: lambda effect: f"sees {effect.member.name} left",
    MemberFailed: lambda effect: f"sees {effect.member.name} failed",
    MemberReaped: lambda effect: f"forgets {effect.member.name}",
    UserEventReceived: _event,
    QueryReceived: lambda effect: f"receives query {effect.query.name!r} from {effect.query.source_node}",
    QueryAcked: lambda effect: f"has the ack of {effect.origin} to query {effect.token}",
    QueryAnswered: lambda effect: f"has the answer of {effect.origin} to query {effect.token}",
    QueryFinished: lambda effect: f"stops waiting for answers to query {effect.token}",
    QueueDeep: lambda effect: f"has {effect.depth} broadcasts in its {effect.queue} queue",
    PushPullReceived: _merged,
    ResolveSeeds: lambda effect: f"looks up {len(effect.seeds)} seeds",
    ContactSeed: lambda effect: f"asks {effect.to} to join",
    JoinEnded: lambda effect: f"has joined through {effect.contacted} addresses",
    LeaveAnnounced: lambda _: "has announced its leave",
    LeaveFinished: lambda _: "has finished its leave",
    SendPacket: lambda effect: f"sends {len(effect.parts)} messages to {effect.to}",
    OpenPushPull: lambda effect: f"opens push/pull with {effect.node}",
    OpenStreamPing: lambda effect: f"pings {effect.node} over a stream",
    BroadcastFinished: lambda effect: f"has spread broadcast {effect.token}",
    MessageRejected: lambda effect: f"rejects a message from {effect.source}: {effect.reason}",
    NameConflict: _conflict,
    PingFromElsewhere: lambda effect: f"is pinged by {effect.node} from {effect.source}",
    PathsChecked: lambda effect: f"has checked the paths to {effect.node}",
}
