"""The acts of a scenario, one Struct each: commands to agents, faults of processes, faults of links.

An act has a time (`at`, seconds since the start). One that lasts also has a duration (`for`, seconds; by
default, until the end of the phase with faults). In a scenario file the key ``do`` holds the kind of the
act. `gossip.sim.performer` carries the acts out.
"""

from msgspec import Struct, field

from gossip.sim.network import Conditions, Seconds

Names = tuple[str, ...]
"""Hosts: names, ranges such as ``n3..n7``, or ``*`` for all."""


class Act(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, tag_field="do"):
    """Something that happens at a given time."""

    at: Seconds = 0.0


class Lasting(Act, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """An act that ends by itself."""

    lasts: Seconds = field(default=0.0, name="for")


class Crash(Act, frozen=True, tag="crash"):
    """The agent dies without leaving."""

    node: str


class Restart(Act, frozen=True, tag="restart"):
    """The agent starts again on the same address; a running one crashes first."""

    node: str
    snapshot: bool = False  # it remembers the members it knew, as with Serf's snapshot file


class MassRestart(Act, frozen=True, tag="restart-all"):
    """Many agents crash at once and restart at random times within `within` seconds."""

    nodes: Names
    within: Seconds = 1.0
    snapshot: bool = False


class Move(Act, frozen=True, tag="move"):
    """The machine is replaced: same name, new address, no memory."""

    node: str
    to_address_of: str = ""  # the address that this host had; without it, a fresh one


class Leave(Act, frozen=True, tag="leave"):
    """The agent leaves gracefully; it drains for `drain` seconds after its announcement."""

    node: str
    drain: Seconds = 0.0


class ForceLeave(Act, frozen=True, tag="force-leave"):
    """A node declares that a failed member has left; with `prune`, the member is removed as well."""

    node: str
    about: str
    prune: bool = False


class SetTags(Act, frozen=True, tag="tags"):
    """A node announces new tags."""

    node: str
    tags: dict[str, str]


class SendEvent(Act, frozen=True, tag="event"):
    """A node sends a user event."""

    node: str
    name: str
    payload: str = ""


class JoinAgain(Act, frozen=True, tag="join"):
    """A node receives a join command."""

    node: str
    to: Names


class Pause(Lasting, frozen=True, tag="pause"):
    """An agent neither sends nor receives for a while; with `freeze`, its timers stop as well."""

    node: str
    freeze: bool = False


class Slow(Lasting, frozen=True, tag="slow"):
    """An agent takes `cost` seconds for each packet."""

    node: str
    cost: Seconds = 0.05


class Jump(Act, frozen=True, tag="clock-jump"):
    """A host's clock jumps forward."""

    node: str
    seconds: Seconds


class Partition(Lasting, frozen=True, tag="partition"):
    """The hosts `one` and `other` (by default all the other hosts) cannot reach each other.

    With `one_way`, only packets from `one` to `other` are lost.
    """

    one: Names
    other: Names = ()
    one_way: bool = False


class Link(Lasting, frozen=True, tag="link"):
    """Links from `sources` to `targets` have these `conditions`, such as loss or delay."""

    sources: Names = field(default=("*",), name="from")
    targets: Names = field(default=("*",), name="to")
    both_ways: bool = False
    conditions: Conditions = Conditions()


class Heal(Act, frozen=True, tag="heal"):
    """All current faults of links end."""


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
