"""The log of a node: its events as log lines, and complaints about peers at a bounded rate."""

import logging

from gossip.agent.line_budget import LineBudget
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
    QueueDeep,
    SuspicionConfirmed,
    SuspicionRefuted,
    UserEventReceived,
)
from gossip.swim.effects import MessageRejected, NameConflict
from gossip.swim.evidence import Evidence

log = logging.getLogger("gossip.agent")

Reported = MemberEvent | MessageRejected | NameConflict | UserEventReceived | PushPullReceived | QueueDeep


class EventLog:
    """Writes the log of one node."""

    def __init__(self) -> None:
        self._complaints = Complaints()
        self._budget = LineBudget()

    @property
    def withheld(self) -> int:
        """How many lines about members and events were withheld."""
        return self._budget.withheld

    def sum_up(self, now: float) -> None:
        """Log the number of lines withheld in the last period, if it is over."""
        for kind, member, lines in self._budget.end_period(now):
            log.warning("log lines withheld", extra={"of": kind, "member": member, "lines": lines})

    def complain(self, peer: str, reason: str, now: float) -> None:
        """Log the fault of the peer at `peer` (host:port): once per host and minute."""
        held = self._complaints.admit(peer.rpartition(":")[0], now)
        if held is not None:
            log.warning(
                "peer violated the protocol", extra={"peer": peer, "reason": reason, "withheld": held}
            )

    def report_key(self, peer: str, keys: tuple[str, str], now: float) -> None:
        """Log that the peer encrypts with a key other than our primary one: once per host and minute."""
        if self._complaints.admit(f"key {peer.rpartition(':')[0]}", now) is not None:
            primary, used = keys
            log.warning(
                "peer encrypts with a different key", extra={"peer": peer, "key": used, "ours": primary}
            )

    def report(self, effect: Reported, now: float) -> None:
        """Log one effect."""
        match effect:
            case MessageRejected():
                self.complain(effect.source, effect.reason, now)
            case NameConflict():
                self._report_conflict(effect, now)
            case UserEventReceived():
                self._report_event(effect, now)
            case PushPullReceived():
                log.debug("push/pull", extra={"rows": len(effect.nodes), "initiated": effect.initiated})
            case QueueDeep():
                self._report_queue(effect)
            case _:
                self._report_member(effect, now)

    def _report_event(self, effect: UserEventReceived, now: float) -> None:
        if not log.isEnabledFor(logging.DEBUG):
            return
        event = effect.event
        self.sum_up(now)
        if self._budget.admit("user event", event.name):
            log.debug("user event", extra={"event": event.name, "ltime": event.ltime})

    def _report_member(self, effect: MemberEvent, now: float) -> None:
        text = _TEXTS[type(effect)]
        self.sum_up(now)
        if self._budget.admit(text, effect.member.name):
            log.info(text, extra=_fields(effect))

    def _report_queue(self, effect: QueueDeep) -> None:
        """Log a deep queue; the core checks each queue every 30 s."""
        fields = {"queue": effect.queue, "depth": effect.depth}
        if effect.dropped:
            log.warning("broadcast queue is full: dropping", extra=fields | {"dropped": effect.dropped})
        else:
            log.warning("broadcast queue is deep", extra=fields)

    def _report_conflict(self, conflict: NameConflict, now: float) -> None:
        held = self._complaints.admit(f"name {conflict.name}", now)
        if held is not None:
            fields = {"member": conflict.name, "addr": conflict.mine, "other": conflict.theirs}
            log.error("two agents use the same name", extra=fields | {"withheld": held})


_TEXTS: dict[type[MemberEvent], str] = {
    MemberJoined: "member joined",
    MemberUpdated: "member updated",
    MemberSuspected: "member suspected",
    SuspicionConfirmed: "suspicion confirmed",
    SuspicionRefuted: "suspicion refuted",
    MemberLeaving: "member leaving",
    MemberLeft: "member left",
    MemberFailed: "member failed",
    MemberReaped: "member reaped",
}


def _fields(effect: MemberEvent) -> dict[str, object]:
    """Return the keys and values of the log line about `effect`."""
    member = effect.member
    fields: dict[str, object] = {"member": member.name, "addr": member.address}
    match effect:
        case MemberSuspected() if effect.reporter:
            fields["reporter"] = effect.reporter
        case SuspicionConfirmed():
            fields["reporter"] = effect.evidence.reporter
        case MemberFailed():
            fields |= _in_words(effect.evidence)
    return fields


def _in_words(evidence: Evidence) -> dict[str, object]:
    """Return the evidence for a failure as keys and values of a log line; empty ones are left out."""
    probe = evidence.probe
    fields: dict[str, object] = {
        "reporter": evidence.reporter,
        "suspected_by": evidence.accuser,
        "witnesses": ",".join(evidence.witnesses),
        "relays": ",".join(probe.relays) if probe else "",
        "relays_answered": ",".join(probe.nacked) if probe else "",
    }
    return {name: field for name, field in fields.items() if field}
