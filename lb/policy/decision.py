"""What `lb.settle` says: decisions to carry out, and its state in words for people, logs and history."""

from enum import StrEnum

from msgspec import Struct

from lb.policy.plan import Claim
from lb.policy.witness import Health


class Reason(StrEnum):
    """Why a member's line changed."""

    ARRIVED = "arrived"
    CHANGED = "changed"
    LEFT = "left"
    WITHDRAWN = "withdrawn"
    REPLACED = "replaced"
    FAILED = "failed"
    ABSENT = "absent"  # in an old file, and nobody has mentioned it since


class Change(Struct, frozen=True, order=True):
    """One member that enters, moves within or goes out of the file."""

    member: str
    reason: Reason
    successor: str = ""  # the newcomer at its address; "" if there is none


class Account(Struct, frozen=True):
    """How a change came about: what one wants to read of it in the log."""

    change: Change
    said_by: tuple[str, ...]  # members; () if nobody said anything
    seconds: float  # from the first word about it to the change
    health: Health  # what HAProxy said of the server


class Decision(Struct, frozen=True):
    """What has to be true now: these lines in the file, these servers drained and all others ready."""

    members: tuple[Claim, ...]
    changes: tuple[Change, ...]  # empty: only `draining` is new, the file stays as it is
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
    """The state as a person reads it, as in ``observing`` or ``held(min_backends)``."""

    word: Word
    detail: str = ""

    def __str__(self) -> str:
        """Return the word, its detail in brackets."""
        return f"{self.word}({self.detail})" if self.detail else self.word.value


class Topic(StrEnum):
    """What there is to say about a member beside its status."""

    HELD = "held"
    DISPUTED = "disputed"
    DAMPED = "damped"
    SUSPECT = "suspect"
    DRAINING = "draining"
    MOVING = "moving"  # it is said to be elsewhere, but HAProxy may find it where it was
    NO_ROOM = "no room"


class Note(Struct, frozen=True, order=True):
    """Something that a person should know about one member."""

    member: str
    topic: Topic
    detail: str = ""  # why it is held; which member has the disputed place
