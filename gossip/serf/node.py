"""`SerfNode`: a Serf member as a pure state machine; the object that both drivers hold (serf-wire section 5).

`SerfNode` creates the parts, dispatches each input to one of them, and wakes SWIM afterwards, so that queued
broadcasts are sent. SWIM's callbacks go to `SerfDelegate`. Datagrams from peers never raise; streams raise
`RemoteProtocolError`, so that the driver can close them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from gossip.errors import RemoteProtocolError
from gossip.serf.anti_entropy import AntiEntropy, leaving_members, read_state
from gossip.serf.broadcasts import Broadcasts, QueueCheckDue
from gossip.serf.delegate import SerfDelegate
from gossip.serf.effects import Effect, PushPullReceived
from gossip.serf.events import UserEvents
from gossip.serf.intents import Intents
from gossip.serf.join import Join, JoinDue
from gossip.serf.leave import LEAVE_BROADCAST_TOKEN, GracefulLeave, LeaveStage, LeaveStageLate
from gossip.serf.local_state import LocalState
from gossip.serf.members import MemberStatus, SerfMember
from gossip.serf.open_queries import QueryEnds
from gossip.serf.ping_delegate import CoordinatePings
from gossip.serf.queries import IncomingQuery, Queries, QueryRequest
from gossip.serf.query_exchange import QueryExchange
from gossip.serf.rejoin import AgainDue, Rejoin, RejoinDue
from gossip.serf.roster import LeaveRecheck, PruneDue, ReapDue, Roster
from gossip.serf.saved_state import FIRST_START, SavedState
from gossip.serf.seeds import Seeds
from gossip.serf.stats import counters, figures
from gossip.serf.tags import decode_tags, encode_tags
from gossip.serf.user_messages import UserMessages
from gossip.swim.node import SwimNode
from gossip.swim.runtime import Runtime
from gossip.wire.messages import PROTOCOL_VERSIONS, Ack, Alive, Ping, PushPull

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from gossip.serf.config import SerfConfig
    from gossip.wire.address import Address
    from gossip.wire.coordinate_codec import Coordinate


class LocalMember(Struct, frozen=True, gc=False):
    """What this node announces about itself; `addr` is 4 or 16 raw bytes."""

    name: str
    addr: bytes
    port: int
    tags: Mapping[str, str] = {}
    protocol: int = PROTOCOL_VERSIONS[-1]  # of Serf, as announced
    incarnation: int = 1  # above that of the last start, if possible: peers may consider that life dead


class SerfNode:
    """One Serf member without sockets or clocks; `now` is monotonic seconds that never go back."""

    def __init__(
        self,
        config: SerfConfig,
        me: LocalMember,
        *,
        rng: Random,
        now: float,
        saved: SavedState = FIRST_START,
    ) -> None:
        """Create a node that knows no other members; `saved` is the state kept from its last start.

        Raises:
            LocalProtocolError: the tags do not fit into a message.
        """
        self.config = config
        self.name = me.name
        versions = bytes((*PROTOCOL_VERSIONS[:-1], me.protocol))
        alive = Alive(me.incarnation, me.name, me.addr, me.port, encode_tags(me.tags), versions)
        self._effects: list[Effect] = []
        emit = self._emit = self._effects.append
        runtime = Runtime(rng)
        deadlines = self._deadlines = runtime.deadlines
        roster = self._roster = Roster(config, deadlines, emit, saved.member_time)
        self._events = UserEvents(config, emit, saved.event_time)
        self._seen_queries = Queries(config, saved.query_time)
        self._broadcasts = Broadcasts(config, runtime, emit, now)
        self._intents = Intents(me.name, self._roster, self._broadcasts)
        self._leave = GracefulLeave(config, self._intents, deadlines, emit)
        self._seeds = Seeds()
        self._join = Join(self._seeds, self._intents, deadlines, emit)
        self._rejoin = Rejoin(config, self._roster, self._seeds, self._join, runtime, emit)
        state = self._state = LocalState(self._roster, self._events, self._seen_queries)
        self._pings = None if config.disable_coordinates else CoordinatePings(me.name, self._roster, rng)
        delegate = SerfDelegate(roster, self._broadcasts, state, self._leave, self._rejoin, self._pings, emit)
        swim = self._swim = SwimNode(config.swim, alive, delegate, emit, runtime, now=now)
        self._queries = QueryExchange(config, self._swim, self._roster, self._seen_queries, runtime, emit)
        self._anti_entropy = AntiEntropy(swim, roster, self._intents, self._events, self._seen_queries)
        self._messages = UserMessages(self._intents, self._events, self._queries, self._broadcasts)
        self._roster.joined(alive, now)
        self._rejoin.look_for(saved, now)

    # --- inputs -------------------------------------------------------------------------------------------

    def receive_packet(self, parts: Sequence[bytes], source: Address, now: float) -> None:
        """Handle the messages of one datagram; broken ones are counted, reported and change nothing."""
        user_messages = self._swim.receive_packet(parts, source, now)
        rejected = self._swim.rejected
        for payload in user_messages:
            try:
                self._messages.receive(payload, now)
            except RemoteProtocolError as error:
                self._swim.reject(str(source), error)
        if self._swim.rejected - rejected < len(user_messages):
            self._swim.heard_from(source, now)
        if user_messages:
            self._swim.wake(now)

    def receive_user_message(self, payload: bytes, now: float) -> None:
        """Handle one Serf message that came over a stream.

        Raises:
            RemoteProtocolError: it is broken; nothing changed.
        """
        self._messages.receive(payload, now)
        self._swim.wake(now)

    def local_state(self, *, join: bool) -> PushPull:
        """Return this node's whole state, for either side of a push/pull.

        The side that accepted the stream sends this first and merges afterwards.
        """
        return self._swim.local_state(join=join)

    def merge_remote_state(
        self, remote: PushPull, *, initiated: bool, now: float, replay: bool = False, peer: str = ""
    ) -> None:
        """Merge a peer's whole state. With `initiated`, a join, and no `replay`, its old events are ignored.

        `peer` is the sender, a name or ``host:port``, kept as evidence.

        Raises:
            RemoteProtocolError: versions do not fit, or Serf's part is broken; nothing was merged.
        """
        state = read_state(remote.user_state)
        joining = initiated and remote.join
        self._swim.merge_remote_state(remote, now, joining=joining, peer=peer)
        if initiated:
            self._swim.last_heard = now
            self._rejoin.heard(remote.nodes, now)
        left: tuple[str, ...] = ()
        if state is not None:
            leaving = leaving_members(state, remote.nodes)
            ignore_old = joining and not replay
            self._anti_entropy.merge(state, leaving, joining=joining, ignore_old=ignore_old, now=now)
            left = tuple(name for name in state.left_members if name not in leaving)
        self._emit(PushPullReceived(remote.nodes, left, initiated))
        self._swim.wake(now)

    def answer_stream_ping(self, ping: Ping) -> Ack | None:
        """Return the ack for a ping over a stream; None if it is for another member."""
        return self._swim.answer_stream_ping(ping)

    def stream_ping_answered(self, seq: int, now: float) -> None:
        """The driver carried out `OpenStreamPing` and got the matching ack in time."""
        self._swim.stream_ping_answered(seq)

    def stream_ping_failed(self, seq: int, reason: str, now: float) -> None:
        """The driver could not carry out `OpenStreamPing`, because of `reason`: kept as evidence."""
        self._swim.stream_ping_failed(seq, reason)

    # --- time ---------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """Return when `handle_timeout` wants to be called."""
        return self._deadlines.next()

    def handle_timeout(self, now: float) -> None:  # noqa: C901 - a case for each timer
        """Handle everything that is due at `now`."""
        while (timer := self._deadlines.pop_due(now)) is not None:
            match timer:
                case ReapDue():
                    self._roster.reap(now)
                case PruneDue(name):
                    self._roster.prune_now(name, now)
                case LeaveRecheck(name):
                    self._question_leave(name, now)
                case RejoinDue():
                    self._rejoin.round(now)
                case AgainDue():
                    self._rejoin.ask_again()
                case JoinDue():
                    self._join.try_again()
                case QueueCheckDue():
                    self._broadcasts.check(now)
                case QueryEnds(token):
                    self._queries.finish(token)
                case LeaveStageLate():
                    self._leave.advance(now)
                case _:
                    self._swim.handle_timeout(timer, now)
                    continue
            self._swim.wake(now)

    def effects(self) -> list[Effect]:
        """Return and clear the effects emitted since the last call."""
        drained = self._effects[:]
        self._effects.clear()
        return drained

    # --- commands -----------------------------------------------------------------------------------------

    def join(self, seeds: Sequence[str], *, replay: bool = False) -> int:
        """Join through `seeds` once; return the number of the attempt, which `JoinEnded` carries.

        Whenever members are missing, the seeds that answered are asked again, for the node's whole life.

        Raises:
            LocalProtocolError: too many joins are in progress; nothing changed.
        """
        return self._join.begin(seeds, replay=replay)

    def keep_joining(
        self,
        seeds: Sequence[str],
        *,
        replay: bool = False,
        interval: float,
        max_attempts: int = 0,
        now: float,
    ) -> None:
        """Join through `seeds` now and every `interval` seconds, until an attempt meets another member.

        Meanwhile a node that is alone also contacts them in the rounds of `rejoin`, which do not count. Each
        attempt ends with a `JoinEnded`. After `max_attempts` failures, one last attempt is made; 0: no limit.
        """
        self._join.keep_trying(seeds, replay=replay, interval=interval, max_attempts=max_attempts)
        self._rejoin.begin(now)

    def remember_seeds(self, seeds: Sequence[str]) -> None:
        """Ask `seeds` whenever members are missing; no seed is contacted now."""
        self._seeds.remember(seeds)

    def seeds_resolved(
        self, attempt: int, places: Mapping[str, tuple[Address, ...]], errors: Sequence[str], now: float
    ) -> None:
        """The driver carried out `ResolveSeeds`: addresses by seed, and an error for each that has none."""
        self._join.resolved(attempt, places, errors, now)

    def contact_ended(
        self, attempt: int, to: Address, error: str, *, met_others: bool = False, now: float
    ) -> None:
        """The driver carried out `ContactSeed`: `error` if it failed; whether the peer knows others."""
        self._join.contact_ended(attempt, to, error, met_others=met_others, now=now)
        if not error:
            self._rejoin.begin(now)
        self._swim.wake(now)

    def announce_join(self, now: float) -> None:
        """Broadcast a join intent, after a join command has reached a seed.

        Does nothing while leaving: a join that completes late must not cancel the leave.
        """
        self._intents.announce_join(now)
        self._swim.wake(now)

    def begin_leave(self, now: float) -> None:
        """Broadcast the leave intent; `LeaveAnnounced` follows when the broadcast has finished.

        The node stays a full member until `finish_leave`, so that a driver can drain in between.
        """
        self._leave.begin(now, has_company=self._swim.any_other_alive())
        self._swim.wake(now)

    def finish_leave(self, now: float) -> None:
        """Send the leave broadcast (and the intent, if not sent yet); `LeaveFinished` follows."""
        has_company = self._swim.any_other_alive()
        self._leave.begin(now, has_company=has_company)
        if self._leave.depart(now, has_company=has_company):
            self._swim.leave(now, LEAVE_BROADCAST_TOKEN if has_company else 0)
            if not has_company:
                self._leave.end()

    def force_leave(self, name: str, *, prune: bool, now: float) -> int:
        """Declare that a failed member has left; `prune` erases it everywhere. Unknown names are accepted.

        Returns the token of the `BroadcastFinished` that follows, 0 if no other member is alive.
        """
        token = self._broadcasts.new_token() if self._swim.any_other_alive() else 0
        self._intents.force_leave(name, token, prune=prune, now=now)
        self._swim.wake(now)
        return token

    def set_tags(self, tags: Mapping[str, str], now: float) -> int:
        """Replace this node's tags by `tags` and announce them; return a token as `force_leave` does.

        Raises:
            LocalProtocolError: they do not fit into 512 bytes, or the node is leaving; nothing changed.
        """
        meta = encode_tags(tags)
        is_news = meta != self._swim.table.me.alive.meta
        token = self._broadcasts.new_token() if self._swim.any_other_alive() else 0
        self._swim.announce(meta, now, token)
        if is_news:
            self._roster.updated(self._swim.table.me.alive)
        return token

    def move(self, addr: bytes, now: float) -> None:
        """Announce this node at a new address (4 or 16 raw bytes); LocalProtocolError while leaving."""
        self._swim.move(addr, now)
        self._roster.updated(self._swim.table.me.alive)

    def user_event(self, name: str, payload: bytes, *, coalesce: bool, now: float) -> None:
        """Send a user event to all members, this node included.

        Raises:
            LocalProtocolError: it is longer than the limit (512 bytes); nothing was sent.
        """
        event, encoded = self._events.create(name, payload, coalesce=coalesce)
        self._events.deliver(event)
        self._broadcasts.send(self._broadcasts.events, encoded)
        self._swim.wake(now)

    def query(self, request: QueryRequest, now: float) -> int:
        """Send a query to all members, this node included; return the token of its effects.

        `QueryAcked` and `QueryAnswered` follow until `QueryFinished`.

        Raises:
            LocalProtocolError: it is too long, or too many queries are running; nothing was sent.
        """
        query, token = self._queries.ask(request, now)
        self._broadcasts.send(self._broadcasts.queries, query)
        self._swim.wake(now)
        return token

    def respond(self, query: IncomingQuery, payload: bytes, now: float) -> None:
        """Answer a query that was received.

        Raises:
            LocalProtocolError: it was answered, its deadline has passed, or the answer is too long.
        """
        self._queries.respond(query, payload, now)

    def check_paths(self, name: str, now: float) -> bool:
        """Ping a member by datagrams and a stream: `PathsChecked` follows within a probe interval.

        Returns False, and no effect follows, if the name is unknown, being checked, or over the limit.
        """
        return self._swim.check_paths(name, now)

    def push_pull_now(self, names: Sequence[str]) -> None:
        """Ask the driver for a push/pull with each of the known members `names`."""
        for member in filter(None, map(self._swim.table.by_name.get, names)):
            self._swim.push_pull_with(member)

    # --- read access --------------------------------------------------------------------------------------

    @property
    def swim(self) -> SwimNode:
        """The layer below, for tools that inspect a node; treat it as read-only."""
        return self._swim

    def members(self) -> list[SerfMember]:
        """Return all members, this node first, then in the order in which they were learnt."""
        return list(self._roster.members.values())

    def member(self, name: str) -> SerfMember | None:
        """Return the member called `name`, None if there is none."""
        return self._roster.members.get(name)

    def count_alive(self) -> int:
        """Return how many members have neither failed nor left, this node included."""
        return self._roster.count_alive()

    def coordinate(self, name: str) -> Coordinate | None:
        """Return the network coordinate of the member `name`, None while it is unknown."""
        return self._pings.coordinate(name) if self._pings else None

    @property
    def tags(self) -> Mapping[str, str]:
        """This node's own tags."""
        return decode_tags(self._swim.table.me.alive.meta)

    @property
    def status(self) -> MemberStatus:
        """This node's own status: alive, leaving or left."""
        if self._leave.stage is LeaveStage.IN:
            return MemberStatus.ALIVE
        return MemberStatus.LEFT if self._leave.stage is LeaveStage.OUT else MemberStatus.LEAVING

    def suspects(self) -> list[str]:
        """Return the names of all members under suspicion."""
        return list(self._swim.view.suspicions)

    def is_suspect(self, name: str) -> bool:
        """Tell whether the member is under suspicion."""
        return name in self._swim.view.suspicions

    @property
    def local_health(self) -> int:
        """Lifeguard's local health score, 0 (healthy) to 7."""
        return self._swim.health.score

    @property
    def last_heard(self) -> float:
        """When a known member that is not suspect was last heard, -inf for never."""
        return self._swim.last_heard

    @property
    def rejected(self) -> int:
        """How many broken messages were dropped."""
        return self._swim.rejected

    def retransmit_limit(self) -> int:
        """Return how often each broadcast is sent at the current cluster size."""
        return self._swim.retransmit_limit

    @property
    def clocks(self) -> tuple[int, int, int]:
        """The last Lamport times of members' intents, of user events and of queries."""
        return self._state.last_times

    def saved_state(self) -> SavedState:
        """Return the state to keep for the next start of this member."""
        return self._state.saved()

    def stats(self) -> dict[str, str]:
        """Return the `serf` section of Serf's stats, without the figures that only the agent knows."""
        resets = self._pings.resets if self._pings else None
        clocks = (self._roster.clock, self._events.clock, self._seen_queries.clock)
        return figures(self._swim.health, self._roster, clocks, self._broadcasts, resets)

    def counters(self) -> dict[str, str]:
        """Return further counts of this node: flaps of members, broadcasts dropped from full queues."""
        return counters(self._roster, self._broadcasts)

    def pending_broadcasts(self) -> int:
        """Return how many intents, queries and events are queued."""
        return self._broadcasts.pending()

    # --- parts of the above -------------------------------------------------------------------------------

    def _question_leave(self, name: str, now: float) -> None:
        """Re-send the leave intent to a member stuck in `leaving`, so that it can refute it."""
        if name != self.name:
            self._swim.send_user(self._roster.members[name].address, self._intents.question_leave(name, now))
        elif self._swim.any_other_alive():
            self._intents.repeat_leave(now)
