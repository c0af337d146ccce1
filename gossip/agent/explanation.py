"""A member's case for the IPC: the entries of its history, with wall-clock times."""

import time

from gossip.agent.case_history import Case, Entry
from gossip.agent.driver import Driver
from gossip.ipc.case_bodies import Explanation, ToldEntry, ToldEvidence, ToldProbe
from gossip.swim.evidence import Evidence, ProbeRecord

MILLISECONDS = 1000


class _Clock:
    """Turns monotonic seconds into milliseconds since 1970, by the current wall clock."""

    def __init__(self, now: float) -> None:
        self.now = round(time.time() * MILLISECONDS)
        self._monotonic = now

    def moment(self, at: float) -> int:
        """Return the wall-clock time of `at`; 0 if it is before 1970."""
        return max(0, self.now - duration(self._monotonic - at))


def duration(seconds: float) -> int:
    """Return `seconds` as whole milliseconds, not below 0."""
    return max(0, round(seconds * MILLISECONDS))


def explain_member(name: str, driver: Driver, case: Case | None) -> Explanation:
    """Return everything known about the member called `name`."""
    clock = _Clock(driver.now())
    member = driver.node.member(name)
    return Explanation(
        node=name,
        observer=driver.node.name,
        now=clock.now,
        is_known=member is not None,
        status=member.status.name.lower() if member else "",
        is_suspect=driver.node.is_suspect(name),
        forgotten=case.forgotten if case else 0,
        entries=tuple(_told(entry, clock) for entry in case.entries) if case else (),
    )


def _told(entry: Entry, clock: _Clock) -> ToldEntry:
    evidence = _told_evidence(entry.evidence, clock) if entry.evidence else None
    return ToldEntry(entry.kind, clock.moment(entry.at), entry.incarnation, str(entry.address), evidence)


def _told_evidence(evidence: Evidence, clock: _Clock) -> ToldEvidence:
    return ToldEvidence(
        reporter=evidence.reporter,
        accuser=evidence.accuser,
        witnesses=evidence.witnesses,
        channel=evidence.origin.channel.value,
        sender=evidence.origin.sender,
        timeout=duration(evidence.deadline - evidence.suspected_at),
        minimum=duration(evidence.minimum),
        confirmations=evidence.confirmations,
        health=evidence.health,
        probe=_told_probe(evidence.probe, clock) if evidence.probe else None,
    )


def _told_probe(probe: ProbeRecord, clock: _Clock) -> ToldProbe:
    return ToldProbe(
        started=clock.moment(probe.started),
        duration=duration(probe.deadline - probe.started),
        health=probe.health,
        relays=probe.relays,
        nacked=probe.nacked,
        is_stream_tried=probe.stream is not None,
        stream=probe.stream or "",
    )
