"""The output of `lb.policy.settle`: decisions, and its state in words for people, logs and history."""

from enum import StrEnum

from msgspec import Struct

from lb.policy.plan import Claim
from lb.policy.witness import Health


class Reason(StrEnum):
    """The reason why a member's line changed."""

    ARRIVED = "arrived"
    CHANGED = "changed"
    LEFT = "left"
    WITHDRAWN = "withdrawn"
    REPLACED = "replaced"
    FAILED = "failed"
    ABSENT = "absent"  # in an old file, and not confirmed by gossip since


class Change(Struct, frozen=True, order=True):
    """One member that enters, moves within or leaves the file."""

    member: str
    reason: Reason
    successor: str = ""  # the newcomer at its address; "" if none


class Account(Struct, frozen=True):
    """The background of a change, for the log."""

    change: Change
    said_by: tuple[str, ...]  # the members that reported it; () if none did
    seconds: float  # from the first report to the change
    health: Health  # HAProxy's verdict on the server


class Decision(Struct, frozen=True):
    """The required state: these lines in the file, these servers drained and all others ready."""

    members: tuple[Claim, ...]
    changes: tuple[Change, ...]  # empty: only `draining` is new, the file stays unchanged
    draining: frozenset[str]
    settled_in: float  # seconds from the oldest of the changes to this decision
    accounts: tuple[Account, ...] = ()  # one for each of `changes`


class Word(StrEnum):
    """The state in one word."""

    OBSERVE = "observing"
    SETTLE = "settling"
    WAITING = "waiting"
    HELD = "held"
    DEGRADED = "degraded"
    EMPTY = "empty"


class State(Struct, frozen=True):
    """The state for a person, as in ``observing`` or ``held(min_backends)``."""

    word: Word
    detail: str = ""

    def __str__(self) -> str:
        """Return the word, with its detail in brackets."""
        return f"{self.word}({self.detail})" if self.detail else self.word.value


class Topic(StrEnum):
    """The subject of a note about a member, besides its status."""

    HELD = "held"
    DISPUTED = "disputed"
    DAMPED = "damped"
    SUSPECT = "suspect"
    DRAINING = "draining"
    MOVING = "moving"  # it is reported elsewhere, but HAProxy may reach it at the old place
    NO_ROOM = "no room"


class Note(Struct, frozen=True, order=True):
    """A note for a person about one member."""

    member: str
    topic: Topic
    detail: str = ""  # why it is held, or the member that has the disputed place
