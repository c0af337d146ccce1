"""Bodies of ``explain``: an agent's case of a member that was suspected or failed. Serf has none.

All times are whole milliseconds: moments since 1970, and durations.
"""

from typing import NamedTuple, Self

from gossip.ipc.fields import Fields, as_fields, flag, items, number, text, texts


class Explain(NamedTuple):
    """Ask for the case of the member called `node`."""

    node: str

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(text(fields, "Node"))

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {"Node": self.node}


class ToldProbe(NamedTuple):
    """A failed probe by the agent itself; `stream` is why the TCP ping failed, empty for no answer."""

    started: int
    duration: int
    health: int
    relays: tuple[str, ...]
    nacked: tuple[str, ...]
    is_stream_tried: bool
    stream: str

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(
            number(fields, "Started"),
            number(fields, "Duration"),
            number(fields, "Health"),
            texts(fields, "Relays"),
            texts(fields, "Nacked"),
            flag(fields, "StreamTried"),
            text(fields, "Stream"),
        )

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {
            "Duration": self.duration,
            "Health": self.health,
            "Nacked": list(self.nacked),
            "Relays": list(self.relays),
            "Started": self.started,
            "Stream": self.stream,
            "StreamTried": self.is_stream_tried,
        }


class ToldEvidence(NamedTuple):
    """The evidence for a suspicion; `channel` is one of own probe, gossip, push/pull."""

    reporter: str
    accuser: str
    witnesses: tuple[str, ...]
    channel: str
    sender: str
    timeout: int
    minimum: int
    confirmations: int
    health: int
    probe: ToldProbe | None

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        probe = fields.get("Probe")
        return cls(
            text(fields, "Reporter"),
            text(fields, "Accuser"),
            texts(fields, "Witnesses"),
            text(fields, "Channel"),
            text(fields, "Sender"),
            number(fields, "Timeout"),
            number(fields, "Minimum"),
            number(fields, "Confirmations"),
            number(fields, "Health"),
            None if probe is None else ToldProbe.from_fields(as_fields(probe)),
        )

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {
            "Accuser": self.accuser,
            "Channel": self.channel,
            "Confirmations": self.confirmations,
            "Health": self.health,
            "Minimum": self.minimum,
            "Probe": None if self.probe is None else self.probe.to_fields(),
            "Reporter": self.reporter,
            "Sender": self.sender,
            "Timeout": self.timeout,
            "Witnesses": list(self.witnesses),
        }


class ToldEntry(NamedTuple):
    """One event in the member's case: suspected, confirmed, refuted, failed, returned and so on."""

    kind: str
    at: int
    incarnation: int
    address: str
    evidence: ToldEvidence | None

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        evidence = fields.get("Evidence")
        return cls(
            text(fields, "Kind"),
            number(fields, "At"),
            number(fields, "Incarnation"),
            text(fields, "Addr"),
            None if evidence is None else ToldEvidence.from_fields(as_fields(evidence)),
        )

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {
            "Addr": self.address,
            "At": self.at,
            "Evidence": None if self.evidence is None else self.evidence.to_fields(),
            "Incarnation": self.incarnation,
            "Kind": self.kind,
        }


class Explanation(NamedTuple):
    """The response to explain; `is_known`: the member list has the name; `forgotten`: entries dropped."""

    node: str = ""
    observer: str = ""
    now: int = 0
    is_known: bool = False
    status: str = ""
    is_suspect: bool = False
    forgotten: int = 0
    entries: tuple[ToldEntry, ...] = ()

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Read the body."""
        return cls(
            text(fields, "Node"),
            text(fields, "Observer"),
            number(fields, "Now"),
            flag(fields, "Known"),
            text(fields, "Status"),
            flag(fields, "Suspect"),
            number(fields, "Forgotten"),
            tuple(ToldEntry.from_fields(as_fields(item)) for item in items(fields, "Entries")),
        )

    def to_fields(self) -> Fields:
        """Return the map form."""
        return {
            "Entries": [entry.to_fields() for entry in self.entries],
            "Forgotten": self.forgotten,
            "Known": self.is_known,
            "Node": self.node,
            "Now": self.now,
            "Observer": self.observer,
            "Status": self.status,
            "Suspect": self.is_suspect,
        }
