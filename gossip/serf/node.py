"""`SerfNode`: a Serf member as a pure state machine; the object that both drivers hold (serf-wire section 5).

It owns a `SwimNode` and is its delegate. The same four verbs: `receive_*`, `handle_timeout`, `next_deadline`,
`effects`. It never raises on a peer's datagram; streams raise `RemoteProtocolError` so that the driver can
close them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from gossip.serf.anti_entropy import AntiEntropy, leaving_members, read_state
from gossip.serf.broadcasts import USER, Broadcasts
from gossip.serf.effects import Effect, PushPullReceived, UserEventReceived
from gossip.serf.events import UserEvents
from gossip.serf.leave import LEAVE, GracefulLeave, LeaveStage
from gossip.serf.members import MemberStatus, SerfMember
from gossip.serf.open_queries import QUERY
from gossip.serf.queries import IncomingQuery, QueryRequest
from gossip.serf.query_exchange import QueryExchange
from gossip.serf.roster import DOUBT, PRUNE, REAP, Roster
from gossip.serf.saved_state import FIRST_START, KnownPeer, SavedState
from gossip.serf.tags import decode_tags, encode_tags
from gossip.swim.effects import BroadcastFinished, OpenPushPull, SendPacket
from gossip.swim.node import SwimNode
from gossip.wire.messages import PROTOCOL_VERSIONS, Ack, Alive, MemberState, Ping, PushPull
from gossip.wire.serf_codec import decode_serf, decode_serf_gossip, encode_serf
from gossip.wire.serf_messages import JoinIntent, LeaveIntent, SerfMessageType, UserEvent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from gossip.serf.config import SerfConfig
    from gossip.swim.evidence import Evidence
    from gossip.swim.member import Member
    from gossip.wire.address import Address

RECONNECT = "reconnect"
"""Timer key: try to reach a failed member again; set only while there is one."""

LAST_GOSSIPED_TYPE = bytes((SerfMessageType.QUERY,))


class LocalMember(Struct, frozen=True, gc=False):
    """What this node announces of itself; `addr` is 4 or 16 raw bytes."""

    name: str
    addr: bytes
    port: int
    tags: Mapping[str, str] = {}


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
        """Create a node that knows nobody; `saved` is what its last life kept for this one.

        Raises:
            LocalProtocolError: the tags do not fit into a message.
        """
        self.config = config
        self.name = me.name
        self._rng = rng
        alive = Alive(1, me.name, me.addr, me.port, encode_tags(me.tags), PROTOCOL_VERSIONS)
        self._effects: list[Effect] = []
        self._emit = self._effects.append
        self._swim = SwimNode(config.swim, alive, self, self._emit, rng=rng, now=now)
        self._deadlines = self._swim.deadlines
        self._roster = Roster(config, self._deadlines, self._emit, saved.member_time)
        self._events = UserEvents(config, saved.event_time)
        self._queries = QueryExchange(config, self._swim, self._roster, self._emit, saved.query_time)
        self._anti_entropy = AntiEntropy(
            self._swim, self._roster, self._events, self._queries.clock, self._apply_leave, self._deliver
        )
        self._broadcasts = Broadcasts(config, self._swim)
        self._leave = GracefulLeave(config, self._swim, self._roster, self._broadcast_intent, self._emit)
        self._roster.joined(alive, now)

    # --- inputs -------------------------------------------------------------------------------------------

    def receive_packet(self, parts: Sequence[bytes], source: Address, now: float) -> None:
        """Handle the messages of one datagram; broken ones are counted, reported and change nothing."""
        self._swim.receive_packet(parts, source, now)

    def local_state(self, *, join: bool) -> PushPull:
        """Return this node's whole state, for either side of a push/pull.

        The side that was called sends this first and merges afterwards.
        """
        return self._swim.local_state(join=join)

    def merge_remote_state(
        self, remote: PushPull, *, initiated: bool, now: float, replay: bool = False
    ) -> None:
        """Merge a peer's whole state. With `initiated`, a join, and no `replay`, its old events are ignored.

        Raises:
            RemoteProtocolError: versions do not fit or Serf's part is broken; nothing was merged.
        """
        state = read_state(remote.user_state)
        joining = initiated and remote.join
        self._swim.merge_remote_state(remote, now, joining=joining)
        if initiated:
            self._swim.last_heard = now
        left: tuple[str, ...] = ()
        if state is not None:
            leaving = leaving_members(state, remote.nodes)
            ignore_old = joining and not replay
            self._anti_entropy.merge(state, leaving, joining=joining, ignore_old=ignore_old, now=now)
            left = tuple(name for name in state.left_members if name not in leaving)
        self._emit(PushPullReceived(remote.nodes, left, initiated))

    def answer_stream_ping(self, ping: Ping) -> Ack | None:
        """Return the ack for a ping over a stream; None if it is meant for somebody else."""
        return self._swim.answer_stream_ping(ping)

    def stream_ping_answered(self, seq: int, now: float) -> None:
        """The driver carried out `OpenStreamPing` and got the matching ack in time."""
        self._swim.stream_ping_answered(seq)

    # --- time ---------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """Return when `handle_timeout` wants to be called."""
        return self._deadlines.next()

    def handle_timeout(self, now: float) -> None:
        """Handle everything that is due at `now`."""
        while (key := self._deadlines.pop_due(now)) is not None:
            kind, subject = key
            if kind == REAP:
                self._roster.reap(now)
            elif kind == PRUNE:
                self._roster.prune_now(subject, now)
            elif kind == DOUBT:
                self._question_leave(subject, now)
            elif kind == RECONNECT:
                self._reconnect(now)
            elif kind == QUERY:
                self._queries.finish(subject)
            elif kind == LEAVE:
                self._leave.advance(now)
            else:
                self._swim.handle_timeout(key, now)

    def effects(self) -> list[Effect]:
        """Drain what is to be done and told since the last call."""
        drained = self._effects[:]
        self._effects.clear()
        return drained

    # --- commands -----------------------------------------------------------------------------------------

    def announce_join(self, now: float) -> None:
        """Tell everybody that this node is in on purpose: after a join command reached somebody.

        Does nothing while leaving: a join that ends late must not take the leave back.
        """
        if self._leave.stage is not LeaveStage.IN:
            return
        intent = JoinIntent(self._roster.clock.time, self.name)
        self._roster.clock.witness(intent.ltime)
        self._roster.join_intent(intent, now)
        self._broadcasts.send(self._broadcasts.intents, encode_serf(intent), now)

    def begin_leave(self, now: float) -> None:
        """Say that this node is about to leave; `LeaveAnnounced` follows when that has spread.

        The node stays a full member until `finish_leave`, so that a driver can drain in between.
        """
        self._leave.begin(now)

    def finish_leave(self, now: float) -> None:
        """Say farewell; `LeaveFinished` follows when the driver may stop. Begins the leave if need be."""
        self._leave.finish(now)

    def force_leave(self, name: str, *, prune: bool, now: float) -> int:
        """Declare that a failed member has left; `prune` erases it everywhere. Unknown names are fine.

        Returns the token of the `BroadcastFinished` to come, 0 if there is nobody to tell.
        """
        intent = LeaveIntent(self._roster.clock.increment(), name, prune)
        self._apply_leave(intent, now)
        if not self._swim.any_other_alive():
            return 0
        token = self._broadcasts.new_token()
        self._broadcast_intent(intent, token, now)
        return token

    def set_tags(self, tags: Mapping[str, str], now: float) -> int:
        """Announce `tags` instead of the present ones; return a token as `force_leave` does.

        Raises:
            LocalProtocolError: they do not fit into 512 bytes, or the node is leaving; nothing changed.
        """
        meta = encode_tags(tags)
        is_news = meta != self._swim.view.me.alive.meta
        token = self._broadcasts.new_token() if self._swim.any_other_alive() else 0
        self._swim.announce(meta, now, token)
        if is_news:
            self._roster.updated(self._swim.view.me.alive)
        return token

    def user_event(self, name: str, payload: bytes, *, coalesce: bool, now: float) -> None:
        """Send an event to everybody, this node included.

        Raises:
            LocalProtocolError: it is longer than the limit (512 bytes); nothing was sent.
        """
        event, encoded = self._events.create(name, payload, coalesce=coalesce)
        self._deliver(event)
        self._broadcasts.send(self._broadcasts.events, encoded, now)

    def query(self, request: QueryRequest, now: float) -> int:
        """Send a query to everybody, this node included; return the token of its effects.

        `QueryAcked` and `QueryAnswered` follow until `QueryFinished`.

        Raises:
            LocalProtocolError: it is too long, or too many queries are running; nothing was sent.
        """
        query, token = self._queries.ask(request, self._rng, now)
        self._broadcasts.send(self._broadcasts.queries, query, now)
        return token

    def respond(self, query: IncomingQuery, payload: bytes, now: float) -> None:
        """Answer a query that was received.

        Raises:
            LocalProtocolError: it was answered, its deadline has passed, or the answer is too long.
        """
        self._queries.respond(query, payload, now)

    def push_pull_now(self, names: Sequence[str]) -> None:
        """Ask the driver for a push/pull with each of the known members `names`."""
        for name in names:
            member = self._swim.membership.by_name.get(name)
            if member is not None:
                self._swim.push_pull_with(member)

    # --- what others read ---------------------------------------------------------------------------------

    @property
    def swim(self) -> SwimNode:
        """The layer below, for whoever watches a node's inside; nobody else changes it."""
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

    @property
    def tags(self) -> Mapping[str, str]:
        """This node's own tags."""
        return decode_tags(self._swim.view.me.alive.meta)

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
        """Return how often each broadcast is sent in a cluster of the present size."""
        return self._swim.retransmit_limit

    def saved_state(self) -> SavedState:
        """Return what the next life of this member needs to know of the present one."""
        return SavedState(
            member_time=self._roster.clock.time - 1,
            event_time=self._events.clock.time - 1,
            query_time=self._queries.clock.time - 1,
            peers=tuple(
                KnownPeer(member.name, member.address)
                for member in self._roster.members.values()
                if member.name != self.name and member.status is not MemberStatus.LEFT
            ),
        )

    def stats(self) -> dict[str, str]:
        """Return the figures of the `serf` section of Serf's stats; what the core cannot know is left out."""
        figures = {
            "members": len(self._roster.members),
            "failed": len(self._roster.with_status(MemberStatus.FAILED)),
            "left": len(self._roster.with_status(MemberStatus.LEFT)),
            "health_score": self.local_health,
            "member_time": self._roster.clock.time,
            "event_time": self._events.clock.time,
            "query_time": self._queries.clock.time,
            "intent_queue": len(self._broadcasts.intents),
            "event_queue": len(self._broadcasts.events),
            "query_queue": len(self._broadcasts.queries),
        }
        return {name: str(figure) for name, figure in figures.items()}

    # --- delegate of SWIM ---------------------------------------------------------------------------------

    def member_joined(self, member: Member, now: float) -> None:
        """See `Delegate`."""
        self._roster.joined(member.alive, now)

    def member_updated(self, member: Member, now: float) -> None:
        """See `Delegate`."""
        self._roster.updated(member.alive)

    def member_gone(self, member: Member, evidence: Evidence, now: float) -> None:
        """See `Delegate`."""
        self._roster.gone(member.name, evidence, now, has_left=member.state is MemberState.LEFT)
        if (RECONNECT, "") not in self._deadlines:
            self._deadlines.set((RECONNECT, ""), now + self.config.reconnect_interval)

    def member_suspected(self, member: Member, reporter: str, now: float) -> None:
        """See `Delegate`."""
        self._roster.suspected(member.name, reporter)

    def suspicion_refuted(self, member: Member, now: float) -> None:
        """See `Delegate`."""
        self._roster.refuted(member.name)

    def receive_user_message(self, payload: bytes, now: float) -> None:
        """Handle one Serf message, from a datagram or a stream. See also `Delegate`.

        Raises:
            RemoteProtocolError: it is broken; nothing changed.
        """
        if payload[:1] > LAST_GOSSIPED_TYPE:
            self._queries.receive_direct(decode_serf(payload))
            return
        message = decode_serf_gossip(payload)
        if isinstance(message, JoinIntent):
            self._roster.clock.witness(message.ltime)
            queue = self._broadcasts.intents if self._roster.join_intent(message, now) else None
        elif isinstance(message, LeaveIntent):
            queue = self._broadcasts.intents if self._apply_leave(message, now) else None
        elif isinstance(message, UserEvent):
            queue = self._broadcasts.events if self._deliver(message) else None
        else:
            queue = self._broadcasts.queries if self._queries.receive(message, now) else None
        if queue is not None:
            self._broadcasts.send(queue, payload, now)

    def pending_broadcasts(self) -> int:
        """See `Delegate`."""
        return self._broadcasts.pending()

    def take_broadcasts(self, budget: int, room: int) -> list[bytes]:
        """See `Delegate`."""
        # Counted like Serf: members that SWIM has forgotten are members still.
        return self._broadcasts.take(budget, room, len(self._roster.members))

    def broadcast_finished(self, token: int, now: float) -> None:
        """See `Delegate`."""
        if not self._leave.broadcast_finished(token, now):
            self._emit(BroadcastFinished(token))

    def local_user_state(self) -> bytes:
        """See `Delegate`."""
        return self._anti_entropy.local_state()

    # --- parts of the above -------------------------------------------------------------------------------

    def _apply_leave(self, intent: LeaveIntent, now: float) -> bool:
        """Witness and apply a leave intent; return whether to pass it on."""
        self._roster.clock.witness(intent.ltime)
        if intent.node == self.name and self._leave.stage is LeaveStage.IN:
            # Not true: we are here. At a tie others may have heard of the leave before our join intent.
            if intent.ltime >= self._roster.members[self.name].status_ltime:
                self.announce_join(now)
            return False
        return self._roster.leave_intent(intent, now)

    def _question_leave(self, name: str, now: float) -> None:
        """Tell a member that has been leaving for long that it is, in our eyes: if that is wrong, it refutes.

        It may never have heard of the leave: somebody else's, of an earlier life, or at the time of its join.
        Our own leave is told to everybody again: a newcomer whose peers are Serf's holds us alive.
        """
        intent = self._roster.doubtful_leave(name, now)
        if name == self.name:
            if self._swim.any_other_alive():
                self._broadcast_intent(intent, 0, now)
        else:
            to = self._roster.members[name].address
            self._emit(SendPacket(to, (USER + encode_serf(intent),)))

    def _deliver(self, event: UserEvent) -> bool:
        """Hand an event on if it is new; return whether it was."""
        is_news = self._events.receive(event)
        if is_news:
            self._emit(UserEventReceived(event))
        return is_news

    def _broadcast_intent(self, intent: LeaveIntent, token: int, now: float) -> None:
        self._broadcasts.send(self._broadcasts.intents, encode_serf(intent), now, token)

    def _reconnect(self, now: float) -> None:
        """Now and then try a failed member; the more failed, the likelier (Serf `serf.go`, reconnect)."""
        failed = self._roster.with_status(MemberStatus.FAILED)
        if not failed:
            return
        self._deadlines.set((RECONNECT, ""), now + self.config.reconnect_interval)
        if self._rng.random() <= len(failed) / max(1, self._roster.count_alive()):
            member = failed[int(self._rng.random() * len(failed))]
            # No join: after a partition, the events of the other side are news and not to be ignored.
            self._emit(OpenPushPull(member.address, member.name, join=False))
