"""A member's case as a short story in plain English, and as data with times in seconds and ISO 8601."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from gossip.ipc.case_bodies import Explanation, ToldEntry, ToldEvidence, ToldProbe

MINUTE, HOUR, DAY = 60, 3600, 86_400
LATEST = 253_402_300_799_000
"""The last second of the year 9999 in milliseconds: no later time can be formatted."""
DETAIL = "    "


def tell(case: Explanation) -> Iterator[str]:
    """Yield the lines of the story, oldest event first."""
    yield _headline(case)
    if not case.entries:
        yield f"Nothing is known against it: {case.observer} has not heard of any suspicion since it started."
        return
    if case.forgotten:
        yield f"{case.forgotten} older events are forgotten."
    told: set[int] = set()  # start times of the probes that were already mentioned
    for entry in case.entries:
        yield f"{moment(entry.at)}  ({ago(case.now - entry.at)})  {_event(case, entry)}"
        evidence = entry.evidence
        if evidence is None:
            continue
        if evidence.probe is not None and evidence.probe.started not in told:
            told.add(evidence.probe.started)
            yield from (DETAIL + line for line in _probe(case, evidence.probe))
        yield from (DETAIL + line for line in _terms(case, entry.kind, evidence))


def _headline(case: Explanation) -> str:
    if not case.is_known:
        status = "not in the member list any more"
    elif case.is_suspect:
        status = f"{case.status}, and suspected"
    else:
        status = case.status
    return f"{case.node} is {status}, says {case.observer}."


def _event(case: Explanation, entry: ToldEntry) -> str:
    evidence = entry.evidence
    if evidence is not None and entry.kind in _IN_WORDS:
        return _IN_WORDS[entry.kind](case, evidence)
    texts = {
        "refuted": f"refuted by {case.node} itself, with incarnation {entry.incarnation}",
        "returned": f"returned at {entry.address}, with incarnation {entry.incarnation}",
        "leaving": "said that it is about to leave",
        "reaped": "erased from the member list",
    }
    return texts.get(entry.kind, entry.kind)


def _suspected(case: Explanation, evidence: ToldEvidence) -> str:
    sender = evidence.sender or "a peer"
    if evidence.channel == "own probe":
        return f"suspected by {_who(case, evidence.accuser)}, whose probe got no answer"
    if evidence.channel == "push/pull":
        by = f" by {evidence.accuser}" if evidence.accuser not in ("", case.observer) else ""
        return f"suspected{by}: the state of {sender} (push/pull) listed it as suspected or failed"
    passed_on = "" if sender == evidence.accuser else f", as gossip from {sender} says"
    return f"suspected by {_who(case, evidence.accuser)}{passed_on}"


def _confirmed(case: Explanation, evidence: ToldEvidence) -> str:
    left = seconds(evidence.timeout)
    return f"confirmed by {_who(case, evidence.reporter)}: now {left} to refute, from the suspicion on"


def _failed(case: Explanation, evidence: ToldEvidence) -> str:
    declared = f"declared failed by {_who(case, evidence.reporter)}"
    if not evidence.timeout:
        return f"{declared}; {case.observer} had heard of no suspicion before"
    said = [f"suspected by {evidence.accuser}"] if evidence.accuser else []
    if evidence.witnesses:
        said.append(f"confirmed by {_list(evidence.witnesses)}")
    return f"{declared}, and not refuted" + (f" ({'; '.join(said)})" if said else "")


_IN_WORDS: Mapping[str, Callable[[Explanation, ToldEvidence], str]] = {
    "suspected": _suspected,
    "confirmed": _confirmed,
    "failed": _failed,
}


def _probe(case: Explanation, probe: ToldProbe) -> Iterator[str]:
    waited = seconds(probe.duration)
    yield f"direct ping of {case.observer}, sent {moment(probe.started)}: no answer in {waited}"
    if probe.relays:
        silent = [relay for relay in probe.relays if relay not in probe.nacked]
        found = [f"{_list(probe.nacked)} got no answer either"] if probe.nacked else []
        if silent:
            found.append(f"{_list(silent)} stayed silent")
        yield f"indirect pings through {_list(probe.relays)}: {'; '.join(found)}"
    else:
        yield "indirect pings: there was nobody to ask"
    if probe.is_stream_tried:
        yield f"ping over TCP: {probe.stream or 'no answer'}"


def _terms(case: Explanation, kind: str, evidence: ToldEvidence) -> Iterator[str]:
    """Yield the conditions under which the member was suspected."""
    if kind != "suspected":
        return
    terms = f"time to refute: {seconds(evidence.timeout)}"
    if evidence.confirmations:
        count = evidence.confirmations
        terms += f", {seconds(evidence.minimum)} after {count} confirmation{'s' * (count > 1)}"
    doubt = "healthy" if not evidence.health else "it doubted itself, and probed more patiently"
    yield f"{terms}; local health of {case.observer}: {evidence.health} ({doubt})"


def _who(case: Explanation, name: str) -> str:
    return f"{name} (the agent asked)" if name == case.observer else name or "somebody"


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def seconds(milliseconds: int) -> str:
    """Return a duration in seconds: ``4 s``, ``0.35 s``."""
    return f"{milliseconds / 1000:g} s"


def ago(milliseconds: int) -> str:
    """Return how long ago something happened, in a suitable unit."""
    past = max(0, milliseconds) / 1000
    if past < MINUTE:
        return f"{past:.1f} s ago"
    if past < HOUR:
        return f"{past / MINUTE:.0f} min ago"
    if past < 2 * DAY:
        return f"{past / HOUR:.0f} h ago"
    return f"{past / DAY:.0f} days ago"


def moment(milliseconds: int) -> str:
    """Return a moment in UTC: ``2026-11-24T21:30:05.120Z``."""
    whole, rest = divmod(min(milliseconds, LATEST), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{rest:03d}Z"


def as_json(case: Explanation) -> dict[str, object]:
    """Return the case as data: moments as ISO 8601, durations in seconds."""
    return {
        "node": case.node,
        "observer": case.observer,
        "at": moment(case.now),
        "known": case.is_known,
        "status": case.status or None,
        "suspected": case.is_suspect,
        "forgotten": case.forgotten,
        "events": [_entry_json(case, entry) for entry in case.entries],
    }


def _entry_json(case: Explanation, entry: ToldEntry) -> dict[str, object]:
    return {
        "event": entry.kind,
        "at": moment(entry.at),
        "seconds_ago": (case.now - entry.at) / 1000,
        "incarnation": entry.incarnation,
        "addr": entry.address,
        "evidence": _evidence_json(entry.evidence) if entry.evidence else None,
    }


def _evidence_json(evidence: ToldEvidence) -> dict[str, object]:
    return {
        "said_by": evidence.reporter or None,
        "suspected_first_by": evidence.accuser or None,
        "confirmed_by": list(evidence.witnesses),
        "heard_by": evidence.channel,
        "heard_from": evidence.sender or None,
        "timeout": evidence.timeout / 1000,
        "shortest_timeout": evidence.minimum / 1000,
        "confirmations_that_count": evidence.confirmations,
        "local_health": evidence.health,
        "probe": _probe_json(evidence.probe) if evidence.probe else None,
    }


def _probe_json(probe: ToldProbe) -> dict[str, object]:
    return {
        "at": moment(probe.started),
        "deadline_after": probe.duration / 1000,
        "local_health": probe.health,
        "asked": list(probe.relays),
        "got_no_answer_either": list(probe.nacked),
        "tcp": (probe.stream or "no answer") if probe.is_stream_tried else "not tried",
    }
