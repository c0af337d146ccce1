"""What can happen in a scenario, one Struct each: commands, faults of processes, faults of links.

Each act has a time (`at`, seconds) and, if it lasts, a length (`for`, seconds; without it, to the end of the
phase with faults). In a file the act's kind is the key ``do``.
"""

from msgspec import Struct, field

from gossip.sim.network import Conditions, Seconds

Names = tuple[str, ...]
"""Hosts: names, ranges such as ``n3..n7``, or ``*`` for all."""


class Act(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, tag_field="do"):
    """Something that happens at a time."""

    at: Seconds = 0.0


class Lasting(Act, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Something that ends by itself."""

    lasts: Seconds = field(default=0.0, name="for")


class Crash(Act, frozen=True, tag="crash"):
    """The agent vanishes without a word."""

    node: str


class Restart(Act, frozen=True, tag="restart"):
    """The agent starts anew, on the same address; one that runs crashes first."""

    node: str
    snapshot: bool = False  # it remembers the members that it knew


class MassRestart(Act, frozen=True, tag="restart-all"):
    """Many agents crash at once and come back within some seconds."""

    nodes: Names
    within: Seconds = 1.0
    snapshot: bool = False


class Move(Act, frozen=True, tag="move"):
    """The machine is replaced: same name, another address, nothing remembered."""

    node: str
    to_address_of: str = ""  # the address that this host had; without it, a fresh one


class Leave(Act, frozen=True, tag="leave"):
    """The agent leaves gracefully; once it has said so, it drains for some seconds."""

    node: str
    drain: Seconds = 0.0


class ForceLeave(Act, frozen=True, tag="force-leave"):
    """Somebody declares that a failed member has left."""

    node: str
    about: str
    prune: bool = False


class SetTags(Act, frozen=True, tag="tags"):
    """A node announces other tags."""

    node: str
    tags: dict[str, str]


class SendEvent(Act, frozen=True, tag="event"):
    """A node sends a user event."""

    node: str
    name: str
    payload: str = ""


class JoinAgain(Act, frozen=True, tag="join"):
    """A node is told to join others by hand."""

    node: str
    to: Names


class Pause(Lasting, frozen=True, tag="pause"):
    """An agent stops: it keeps time but neither sends nor receives, or it `freezes` altogether."""

    node: str
    freeze: bool = False


class Slow(Lasting, frozen=True, tag="slow"):
    """An agent takes `cost` seconds to handle each packet."""

    node: str
    cost: Seconds = 0.05


class Jump(Act, frozen=True, tag="clock-jump"):
    """A host's clock leaps forward."""

    node: str
    seconds: Seconds


class Partition(Lasting, frozen=True, tag="partition"):
    """`one` and `other` (all the rest, unless given) no longer reach each other.

    With `one_way` only what `one` sends to `other` is lost.
    """

    one: Names
    other: Names = ()
    one_way: bool = False


class Link(Lasting, frozen=True, tag="link"):
    """Links from `sources` to `targets` are under `conditions`."""

    sources: Names = field(default=("*",), name="from")
    targets: Names = field(default=("*",), name="to")
    both_ways: bool = False
    conditions: Conditions = Conditions()


class Heal(Act, frozen=True, tag="heal"):
    """Every fault of links that is in force ends."""


AnyAct = (
    Crash
    | Restart
    | MassRestart
    | Move
    | Leave
    | ForceLeave
    | SetTags
    | SendEvent
    | JoinAgain
    | Pause
    | Slow
    | Jump
    | Partition
    | Link
    | Heal
)
