"""What happened, in words: events of the node as log lines, complaints about peers at a bounded rate."""

import logging
from typing import assert_never

from gossip.agent.log import Complaints
from gossip.serf.effects import (
    MemberEvent,
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
from gossip.swim.effects import MessageRejected, NameConflict

log = logging.getLogger("gossip.agent")

Reported = MemberEvent | MessageRejected | NameConflict | UserEventReceived | PushPullReceived


class Chronicle:
    """Writes the log of one node."""

    def __init__(self) -> None:
        self._complaints = Complaints()

    def complain(self, peer: str, reason: str, now: float) -> None:
        """Log what the peer at `peer` (host:port) did wrong: once per host and minute."""
        held = self._complaints.admit(peer.rpartition(":")[0], now)
        if held is not None:
            log.warning("peer broke the protocol", extra={"peer": peer, "reason": reason, "held_back": held})

    def report(self, effect: Reported, now: float) -> None:
        """Log one effect."""
        match effect:
            case MessageRejected():
                self.complain(effect.source, effect.reason, now)
            case NameConflict():
                self._report_conflict(effect, now)
            case UserEventReceived():
                log.debug("user event", extra={"event": effect.event.name, "ltime": effect.event.ltime})
            case PushPullReceived():
                log.debug("push/pull", extra={"rows": len(effect.nodes), "initiated": effect.initiated})
            case _:
                _report_member(effect)

    def _report_conflict(self, conflict: NameConflict, now: float) -> None:
        held = self._complaints.admit(f"name {conflict.name}", now)
        if held is not None:
            fields = {"member": conflict.name, "addr": conflict.mine, "other": conflict.theirs}
            log.error("two agents use one name", extra=fields | {"held_back": held})


def _report_member(effect: MemberEvent) -> None:
    member = effect.member
    fields: dict[str, object] = {"member": member.name, "addr": member.address}
    match effect:
        case MemberJoined():
            text = "member joined"
        case MemberUpdated():
            text = "member updated"
        case MemberSuspected():
            text = "member suspected"
            fields["reporter"] = effect.reporter
        case SuspicionRefuted():
            text = "suspicion refuted"
        case MemberLeaving():
            text = "member leaving"
        case MemberLeft():
            text = "member left"
        case MemberFailed():
            text = "member failed"
        case MemberReaped():
            text = "member reaped"
        case _:
            assert_never(effect)
    log.info(text, extra=fields)
