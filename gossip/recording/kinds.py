"""The classes that a node's state may consist of; nothing else is written or read (ADR 12)."""

from enum import Enum
from random import Random
from typing import get_args

from msgspec import Struct

from gossip.serf.answers import Answers
from gossip.serf.anti_entropy import AntiEntropy
from gossip.serf.broadcasts import Broadcasts, QueueCheckDue
from gossip.serf.config import SerfConfig
from gossip.serf.coordinate import CoordinateClient
from gossip.serf.delegate import SerfDelegate
from gossip.serf.effects import Effect
from gossip.serf.events import UserEvents
from gossip.serf.intents import Intents
from gossip.serf.join import Attempt, Cause, Join, JoinDue, Retry
from gossip.serf.lamport import LamportClock
from gossip.serf.leave import GracefulLeave, LeaveStage, LeaveStageLate
from gossip.serf.local_state import LocalState
from gossip.serf.lost_members import LostMember, LostMembers
from gossip.serf.members import MemberStatus, SerfMember
from gossip.serf.node import SerfNode
from gossip.serf.open_queries import OpenQueries, OpenQuery, QueryEnds
from gossip.serf.ping_delegate import CoordinatePings
from gossip.serf.queries import IncomingQuery, Queries, QueryRequest
from gossip.serf.query_exchange import QueryExchange
from gossip.serf.recent import RecentTimes
from gossip.serf.recent_intents import Heard, RecentIntents
from gossip.serf.rejoin import AgainDue, Rejoin, RejoinDue
from gossip.serf.roster import LeaveRecheck, PruneDue, ReapDue, Roster
from gossip.serf.saved_state import KnownPeer, SavedState
from gossip.serf.seeds import Seeds
from gossip.serf.user_messages import UserMessages
from gossip.swim.config import SwimConfig
from gossip.swim.deadlines import Deadlines, Timer
from gossip.swim.detector import FailureDetector, PingLate, ProbeDue, RelayLate, VerdictDue
from gossip.swim.dissemination import Broadcast, BroadcastQueue
from gossip.swim.evidence import Channel, Evidence, Origin, ProbeRecord
from gossip.swim.health import LocalHealth
from gossip.swim.member import Member
from gossip.swim.member_table import MemberTable
from gossip.swim.node import GossipDue, PushPullDue, PushPullStagger, SwimNode
from gossip.swim.path_check import PathCheck, PathCheckLate, PathChecks
from gossip.swim.piggyback import Piggyback
from gossip.swim.pings import Pings
from gossip.swim.probe import Probe
from gossip.swim.reclaim import Claim, ReclaimDue, Reclaims
from gossip.swim.relay import Relay, Relays
from gossip.swim.runtime import Runtime
from gossip.swim.suspicion import Suspicion
from gossip.swim.versions import Versions
from gossip.swim.view import SuspicionEnds, View
from gossip.wire.address import Address
from gossip.wire.coordinate_codec import Coordinate
from gossip.wire.messages import Ack, Alive, MemberState, NodeState, Ping, PushPull
from gossip.wire.serf_messages import JoinIntent, LeaveIntent, PastEvent, UserEvent

PARTS: tuple[type, ...] = (
    Answers, AntiEntropy, Attempt, Broadcast, BroadcastQueue, Broadcasts, Claim, CoordinateClient,
    CoordinatePings, Deadlines, FailureDetector, GracefulLeave, Intents, Join, LamportClock,
    LocalHealth, LocalState, LostMembers, Member, MemberTable, OpenQueries, OpenQuery, PathCheck,
    PathChecks, Piggyback, Pings, Probe, Queries, QueryExchange, RecentIntents, RecentTimes, Reclaims,
    Rejoin, Relays, Retry, Roster, Runtime, Seeds, SerfDelegate, SerfMember, SerfNode, Suspicion,
    SwimNode, UserEvents, UserMessages, Versions, View,
)  # fmt: skip
"""Classes whose instances have an identity: each instance is one row."""

TIMERS: tuple[type[Timer], ...] = (
    AgainDue, GossipDue, JoinDue, LeaveRecheck, LeaveStageLate, PathCheckLate, PingLate, ProbeDue, PruneDue,
    PushPullDue, PushPullStagger, QueryEnds, QueueCheckDue, ReapDue, ReclaimDue, RejoinDue, RelayLate,
    SuspicionEnds, VerdictDue,
)  # fmt: skip
"""The timers of a node."""

VALUES: tuple[type[Struct], ...] = (
    Ack, Address, Alive, Coordinate, IncomingQuery, JoinIntent, LeaveIntent, NodeState, PastEvent, Ping,
    PushPull, QueryRequest, Relay, SerfConfig, SwimConfig, UserEvent, Heard, Evidence, Origin,
    ProbeRecord,
    KnownPeer, LostMember, SavedState,
    *TIMERS, *get_args(Effect),
)  # fmt: skip
"""Frozen structs, written in place."""

ENUMS: tuple[type[Enum], ...] = (Cause, Channel, LeaveStage, MemberState, MemberStatus)

METHODS = frozenset({("list", "append")})
"""Bound methods that a node's parts hold."""

TUPLE, MAPPING, METHOD, ROWS = "tuple", "mapping", "method", "rows"
LIST, DICT, RANDOM = "list", "dict", "Random"

PLAIN = frozenset((type(None), bool, int, float, str, bytes))
PARTS_BY_NAME = {cls.__name__: cls for cls in PARTS}
VALUES_BY_NAME = {cls.__name__: cls for cls in VALUES}
ENUMS_BY_NAME = {cls.__name__: cls for cls in ENUMS}
KIND = {cls: cls.__name__ for cls in (*PARTS, *VALUES, *ENUMS)}
NUMBERED = frozenset((*PARTS, list, dict, Random))
SLOTS: dict[type, tuple[str, ...]] = {cls: tuple(vars(cls).get("__slots__", ())) for cls in PARTS}
