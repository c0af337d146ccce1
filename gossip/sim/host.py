"""A machine with one agent on it: the cluster's record of each.

The agent comes and goes (`node` is None while it is down); name and number stay. A restart under another
address gets a new `Host`, as a new container would.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from gossip.serf.saved_state import FIRST_START

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from gossip.serf.node import SerfNode
    from gossip.sim.schedule import Action
    from gossip.wire.address import Address

MAX_INBOX = 4096
"""Messages that wait for a stalled agent; any more are lost, as in a full socket buffer."""
MAX_BACKLOG = 1024
"""Packets that wait for a slow agent."""


class Stall(Enum):
    """How much of a paused agent keeps running."""

    NONE = "runs"
    IO = "keeps time, but neither sends nor receives"
    """Lifeguard's anomaly (section 5.2): blocked before sending and after receiving."""
    ALL = "stands still"
    """As under SIGSTOP, or in a frozen virtual machine."""

    @property
    def is_running_timers(self) -> bool:
        """Whether the agent still keeps time."""
        return self is not Stall.ALL


class Absence(Enum):
    """Why there is no agent on a host."""

    NONE = "up"
    CRASHED = "crashed"
    LEFT = "left"


class Host:
    """One machine and its agent."""

    __slots__ = (
        "absence",
        "address",
        "busy_until",
        "bytes_sent",
        "cost",
        "down_since",
        "drain",
        "inbox",
        "incoming",
        "is_flushing",
        "last_now",
        "life",
        "name",
        "node",
        "number",
        "offset",
        "outbox",
        "outgoing",
        "packets_received",
        "packets_sent",
        "remembers",
        "rng",
        "saved",
        "seeds",
        "stall",
        "streams_opened",
        "tags",
        "up_since",
        "waiting",
        "wake_at",
    )

    def __init__(self, name: str, number: int, address: Address, tags: Mapping[str, str]) -> None:
        self.name = name
        self.number = number
        self.address = address
        self.tags = tags
        self.seeds: tuple[str, ...] = ()  # names of hosts to join through
        self.node: SerfNode | None = None
        self.rng: Random | None = None
        self.life = 0  # how often the agent was started
        self.absence = Absence.CRASHED
        self.saved = FIRST_START  # the snapshot of the last life
        self.drain = 0.0  # seconds between the leave intent and the leave broadcast
        self.remembers = False  # this life began with the snapshot of the last
        self.up_since = 0.0
        self.down_since = 0.0
        # Time as this host sees it: the world's plus `offset`.
        self.offset = 0.0
        self.last_now = 0.0
        self.wake_at = 0.0  # the world's time of the one valid timer entry
        # Faults of the process.
        self.stall = Stall.NONE
        self.inbox: list[Action] = []
        self.outbox: list[Action] = []
        self.cost = 0.0  # seconds that each packet takes to handle
        self.busy_until = 0.0
        self.waiting = 0
        self.is_flushing = False  # while effects are being carried out
        # Limited and counted by the agent's driver.
        self.outgoing = 0
        self.incoming = 0
        self.packets_sent = 0
        self.bytes_sent = 0
        self.packets_received = 0
        self.streams_opened = 0

    def local_time(self, now: float) -> float:
        """Return the time on this host's monotonic clock when the world's clock shows `now`."""
        local = now + self.offset
        self.last_now = max(self.last_now, local)
        return self.last_now

    def keep(self, action: Action) -> None:
        """Postpone an arrival until the stall ends."""
        if len(self.inbox) < MAX_INBOX:
            self.inbox.append(action)

    def hold_back(self, action: Action) -> None:
        """Postpone a transmission of the agent until the stall ends."""
        if len(self.outbox) < MAX_INBOX:
            self.outbox.append(action)

    def __repr__(self) -> str:
        """Show name, address and whether the agent is up."""
        return f"<{self.name} {self.address} {self.absence.value}>"
