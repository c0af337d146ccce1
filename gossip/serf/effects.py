"""Effects that Serf's layer emits in addition to SWIM's: member events, user events, queries, joins, leaves.

Member events carry the live row by reference, so a driver must read it before the next input.
"""

from msgspec import Struct

from gossip.serf.members import SerfMember
from gossip.serf.queries import IncomingQuery
from gossip.swim.effects import Effect as SwimEffect
from gossip.swim.evidence import Evidence
from gossip.wire.address import Address
from gossip.wire.messages import NodeState
from gossip.wire.serf_messages import UserEvent


class MemberJoined(Struct, frozen=True, gc=False):
    """A member is alive: new, or back from failed or left."""

    member: SerfMember


class MemberUpdated(Struct, frozen=True, gc=False):
    """An alive member announces new tags or a new address."""

    member: SerfMember


class MemberSuspected(Struct, frozen=True, gc=False):
    """`reporter` could not reach the member; its status is unchanged so far.

    The reporter is empty if the suspicion came by push/pull, whose rows do not name one.
    """

    member: SerfMember
    reporter: str
    evidence: Evidence = Evidence()


class SuspicionConfirmed(Struct, frozen=True, gc=False):
    """One more member, the reporter of `evidence`, could not reach a suspected one."""

    member: SerfMember
    evidence: Evidence


class SuspicionRefuted(Struct, frozen=True, gc=False):
    """A suspected member proved to be alive."""

    member: SerfMember
    evidence: Evidence = Evidence()


class MemberLeaving(Struct, frozen=True, gc=False):
    """The member announced that it is leaving; it still answers."""

    member: SerfMember


class MemberLeft(Struct, frozen=True, gc=False):
    """The member left on purpose."""

    member: SerfMember


class MemberFailed(Struct, frozen=True, gc=False):
    """The member stopped answering without leaving; `evidence` has the reporters and their reasons."""

    member: SerfMember
    evidence: Evidence = Evidence()


class MemberReaped(Struct, frozen=True, gc=False):
    """The member was erased: failed or left for too long, or pruned."""

    member: SerfMember


class UserEventReceived(Struct, frozen=True, gc=False):
    """A user event, delivered once."""

    event: UserEvent


class QueryReceived(Struct, frozen=True, gc=False):
    """A query that is for this member; answer it with `SerfNode.respond` until its deadline."""

    query: IncomingQuery


class QueryAcked(Struct, frozen=True, gc=False):
    """A member acknowledged our query; `token` is the one that `SerfNode.query` returned."""

    token: int
    origin: str


class QueryAnswered(Struct, frozen=True, gc=False):
    """A member answered our query."""

    token: int
    origin: str
    payload: bytes


class QueryFinished(Struct, frozen=True, gc=False):
    """Our query has reached its deadline: no more acks and answers follow."""

    token: int


class PushPullReceived(Struct, frozen=True, gc=False):
    """A peer's whole view was merged: its rows and the names it knows to have left."""

    nodes: tuple[NodeState, ...]
    left: tuple[str, ...]
    initiated: bool


class ResolveSeeds(Struct, frozen=True, gc=False):
    """Look up all addresses of each seed, then call `SerfNode.seeds_resolved` with the same `attempt`."""

    attempt: int
    seeds: tuple[str, ...]


class ContactSeed(Struct, frozen=True, gc=False):
    """Push/pull with `to` as a join, merge with `replay`, then call `SerfNode.contact_ended`."""

    attempt: int
    to: Address
    replay: bool


class JoinEnded(Struct, frozen=True, gc=False):
    """A join command, or one attempt of the retry-join, is over."""

    attempt: int
    contacted: int
    errors: tuple[str, ...]
    others: int
    """How many of the contacted seeds knew other members; a node may be among its own seeds."""
    is_retry: bool = False
    retry_in: float = 0.0
    """Seconds until the retry-join tries again; 0: it does not try again."""
    gave_up: bool = False
    """The retry-join has used up its attempts."""


class QueueDeep(Struct, frozen=True, gc=False):
    """A check found a queue of broadcasts, "intent", "query" or "event", at or above its warning depth.

    Or the queue has dropped broadcasts to stay within its limit: `dropped` is how many since the last check.
    """

    queue: str
    depth: int
    dropped: int


class LeaveAnnounced(Struct, frozen=True, gc=False):
    """The leave intent has been broadcast, or timed out: the driver may call `finish_leave`."""


class LeaveFinished(Struct, frozen=True, gc=False):
    """The leave is complete: the driver may stop."""


MemberEvent = (
    MemberJoined
    | MemberUpdated
    | MemberSuspected
    | SuspicionConfirmed
    | SuspicionRefuted
    | MemberLeaving
    | MemberLeft
    | MemberFailed
    | MemberReaped
)
QueryEffect = QueryReceived | QueryAcked | QueryAnswered | QueryFinished
LeaveEffect = LeaveAnnounced | LeaveFinished
JoinEffect = ResolveSeeds | ContactSeed | JoinEnded
Effect = (
    SwimEffect
    | MemberEvent
    | UserEventReceived
    | QueryEffect
    | PushPullReceived
    | JoinEffect
    | LeaveEffect
    | QueueDeep
)
