"""One row of SWIM's member table, and the precedence of messages about it (SWIM section 4.2).

`LEAST_RISE` alone decides whether a message overrides the known state.
"""

from gossip.wire.address import Address, unpack_address
from gossip.wire.messages import Alive, MemberState, NodeState

CRC_SINCE_PROTOCOL = 5
NACK_SINCE_PROTOCOL = 4
STREAM_PING_SINCE_PROTOCOL = 3


ALIVE, SUSPECT, DEAD, LEFT = MemberState

LEAST_RISE = {
    # (state in the message, known state): how much greater the message's incarnation must be
    (ALIVE, ALIVE): 1,
    (ALIVE, SUSPECT): 1,
    (ALIVE, DEAD): 1,
    (ALIVE, LEFT): 1,
    (SUSPECT, ALIVE): 0,
    (DEAD, ALIVE): 0,
    (DEAD, SUSPECT): 0,
    (LEFT, ALIVE): 0,
    (LEFT, SUSPECT): 0,
    (LEFT, DEAD): 0,
}
"""The precedence of messages. A pair that is missing never overrides, such as a suspicion of a dead member or
a second death. *Left* comes from the member itself, so it beats a death at the same incarnation."""


def supersedes(state: MemberState, incarnation: int, old_state: MemberState, old_incarnation: int) -> bool:
    """Tell whether a message of `state` at `incarnation` overrides the known one, by `LEAST_RISE`."""
    least = LEAST_RISE.get((state, old_state))
    return least is not None and incarnation - old_incarnation >= least


class Member:
    """A member as SWIM knows it. `alive` is the last accepted announcement, shared by reference."""

    __slots__ = ("alive", "incarnation", "is_heard", "name", "rise_from", "rise_since", "since", "state")

    def __init__(self, alive: Alive, now: float) -> None:
        self.name = alive.node
        self.alive = alive
        self.incarnation = alive.incarnation
        self.is_heard = False  # whether a packet ever came from its address, or it answered a probe
        self.state = MemberState.ALIVE
        self.since = now  # when `state` was entered
        self.rise_from = alive.incarnation  # the incarnation at `rise_since`
        self.rise_since = now

    def enter(self, state: MemberState, incarnation: int, now: float) -> None:
        """Accept a message; `since` changes only when the state does."""
        if state is not self.state:
            self.since = now
        self.state = state
        self.incarnation = incarnation

    @property
    def address(self) -> Address:
        """The gossip address of the member."""
        return unpack_address(self.alive.addr, self.alive.port)

    @property
    def protocol_max(self) -> int:
        """The newest memberlist protocol that the member understands."""
        return self.alive.versions[1]

    @property
    def is_gone(self) -> bool:
        """Dead or left."""
        return self.state >= MemberState.DEAD

    def row(self) -> NodeState:
        """Return the member as a row of a push/pull."""
        alive = self.alive
        return NodeState(
            self.name, alive.addr, alive.port, alive.meta, self.incarnation, self.state, alive.versions
        )
