"""Bodies of ``doctor``: the faults that an agent found around it. Serf has no such command."""

from typing import NamedTuple, Self

from gossip.ipc.fields import Fields, as_fields, items, number, text


class Finding(NamedTuple):
    """One fault: `check` is its kind, `peer` and `direction` are empty where there are none."""

    severity: str
    check: str
    peer: str
    direction: str
    seen: str
    remedy: str

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        keys = ("Severity", "Check", "Peer", "Direction", "Seen", "Remedy")
        return cls(*(text(fields, key) for key in keys))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {
            "Check": self.check,
            "Direction": self.direction,
            "Peer": self.peer,
            "Remedy": self.remedy,
            "Seen": self.seen,
            "Severity": self.severity,
        }


class Diagnosis(NamedTuple):
    """The response to doctor: the findings, and how many of how many live peers were examined."""

    observer: str = ""
    examined: int = 0
    peers: int = 0
    findings: tuple[Finding, ...] = ()

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(
            text(fields, "Observer"),
            number(fields, "Examined"),
            number(fields, "Peers"),
            tuple(Finding.from_fields(as_fields(item)) for item in items(fields, "Findings")),
        )

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {
            "Examined": self.examined,
            "Findings": [finding.to_fields() for finding in self.findings],
            "Observer": self.observer,
            "Peers": self.peers,
        }
