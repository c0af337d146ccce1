"""This node's view of the cluster: messages applied to members (serf-wire 3.3 to 3.7, memberlist `state.go`).

Messages (alive, suspect, dead) come from packets, from anti-entropy and from our own probes; one handler each
decides, records, re-gossips the *same bytes*, and tells the delegate. The view owns incarnation, refutation
and suspicion; it knows nothing of probing or of packets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.swim.config import suspicion_minimum
from gossip.swim.deadlines import Timer
from gossip.swim.effects import Effect
from gossip.swim.eviction import EVICTION_INTERVAL, least_missed
from gossip.swim.evidence import Channel, Evidence, Origin, ProbeRecord
from gossip.swim.incarnation import (
    LAST_INCARNATION,
    highest_incarnation,
    verify_accusation,
    verify_first,
    verify_rise,
)
from gossip.swim.member import Member, supersedes
from gossip.swim.suspicion import HEARSAY, Suspicion
from gossip.swim.versions import Versions
from gossip.wire.address import ADDRESS_LENGTHS
from gossip.wire.codec import decode_gossip, encode
from gossip.wire.layout import VERSION_BYTES
from gossip.wire.messages import (
    MAX_META_BYTES,
    MAX_NAME_BYTES,
    Alive,
    Dead,
    MemberState,
    NodeState,
    Suspect,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gossip.swim.config import SwimConfig
    from gossip.swim.deadlines import Deadlines
    from gossip.swim.delegate import Delegate
    from gossip.swim.dissemination import BroadcastQueue
    from gossip.swim.health import LocalHealth
    from gossip.swim.member_table import MemberTable
    from gossip.swim.reclaim import Reclaims

MAX_FORMER_ADDRESSES = 8
"""Earlier addresses of this node to remember; a message about an older one is a name conflict."""


class SuspicionEnds(Timer, frozen=True, gc=False):
    """The deadline of a suspicion."""

    name: str


class View:
    """Applies messages about members to the member table."""

    def __init__(  # noqa: PLR0913, PLR0917 - the state it changes, and its listeners
        self,
        config: SwimConfig,
        table: MemberTable,
        queue: BroadcastQueue,
        health: LocalHealth,
        reclaims: Reclaims,
        delegate: Delegate,
        emit: Callable[[Effect], None],
        deadlines: Deadlines,
    ) -> None:
        self._config = config
        self._table = table
        self._queue = queue
        self._health = health
        self._reclaims = reclaims
        self._delegate = delegate
        self._emit = emit
        self._deadlines = deadlines
        self._me = table.me
        self._first_incarnation, self._born = table.me.incarnation, table.me.since
        self.suspicions: dict[str, Suspicion] = {}
        self.versions = Versions()
        self.versions.add(self._me.alive.versions)
        self._former: list[tuple[bytes, int]] = []  # earlier addresses of this node, in this life
        self.is_leaving = False
        self.is_joining = False  # true while merging a cluster that may know an earlier life of this node
        self.refutations = 0
        self.refused_members = 0  # newcomers refused because of `max_members`
        self.evicted_members = 0  # dropped to make room for newcomers
        self._evicted_at = float("-inf")
        queue.enqueue(encode(self._me.alive), key=self._me.name)

    # --- messages ---------------------------------------------------------------------------------------

    def handle_alive(self, alive: Alive, encoded: bytes | None, now: float) -> None:
        """Handle an alive message; `encoded` is its bytes as received, None to encode it here."""
        if not _is_usable(alive):
            return
        _verify_length(alive)
        member = self._table.by_name.get(alive.node)
        if member is None:
            self._admit(alive, encoded, now)
        elif member is self._me:
            self._hear_of_myself(alive, now)
        else:
            self._renew(member, alive, encoded, now)

    def handle_suspect(
        self,
        suspect: Suspect,
        encoded: bytes | None,
        now: float,
        origin: Origin = Origin(),  # noqa: B008 - frozen
        probe: ProbeRecord | None = None,
    ) -> None:
        """Handle a suspect message; `probe` is our own failed probe, if that is its source."""
        member = self._table.by_name.get(suspect.node)
        if member is None or suspect.incarnation < member.incarnation:
            return
        self._verify_accusation(member, suspect.incarnation, now)
        suspicion = self.suspicions.get(member.name)
        if suspicion is not None:
            suspicion.probe = probe or suspicion.probe
            if suspicion.confirm(suspect.reporter):
                self._gossip(member.name, encoded or encode(suspect))
                self._deadlines.set(SuspicionEnds(member.name), suspicion.deadline)
                self._delegate.suspicion_confirmed(
                    member, suspicion.evidence(suspect.reporter, suspect.incarnation), now
                )
            return
        if not supersedes(MemberState.SUSPECT, suspect.incarnation, member.state, member.incarnation):
            return
        if member is self._me:
            self._refute(suspect.incarnation, now)
            return
        self._gossip(member.name, encoded or encode(suspect))
        member.enter(MemberState.SUSPECT, suspect.incarnation, now)
        suspicion = self._new_suspicion(suspect.reporter, now)
        suspicion.origin, suspicion.probe, suspicion.health = origin, probe, self._health.score
        self.suspicions[member.name] = suspicion
        self._deadlines.set(SuspicionEnds(member.name), suspicion.deadline)
        self._delegate.member_suspected(
            member, suspicion.evidence(suspect.reporter, suspect.incarnation), now
        )

    def handle_dead(self, dead: Dead, encoded: bytes | None, now: float, token: int = 0) -> None:
        """Handle a dead message: the member has died, or has left if it is the sender itself."""
        member = self._table.by_name.get(dead.node)
        if member is None:
            return
        state = MemberState.LEFT if dead.node == dead.reporter else MemberState.DEAD
        if not supersedes(state, dead.incarnation, member.state, member.incarnation):
            return
        self._verify_accusation(member, dead.incarnation, now)
        if member is self._me and not self.is_leaving:
            self._refute(dead.incarnation, now)
            return
        suspicion = self._drop_suspicion(member.name)
        self._queue.enqueue(encoded or encode(dead), key=member.name, token=token)
        member.enter(state, dead.incarnation, now)
        if suspicion is None:
            evidence = Evidence(dead.reporter, incarnation=dead.incarnation)
        else:
            evidence = suspicion.evidence(dead.reporter, dead.incarnation)
        self._delegate.member_gone(member, evidence, now)
        self._reclaims.member_gone(member, now)

    def merge(self, row: NodeState, now: float, peer: str = "") -> None:
        """Merge a row of a push/pull with `peer`.

        A member that the peer considers dead is only suspected here, and can still refute. Such a suspicion
        is hearsay. (memberlist attributes it to the receiver, so that every push/pull confirms it again.)
        """
        if row.state is MemberState.ALIVE:
            known = self._table.by_name.get(row.name)
            if known is None or known is self._me or _says_more(row, known):
                self.handle_alive(_announcement(row), None, now)
        elif row.state is MemberState.LEFT:
            self.handle_dead(Dead(row.incarnation, row.name, row.name), None, now)
        else:
            message = Suspect(row.incarnation, row.name, HEARSAY)
            self.handle_suspect(message, None, now, Origin(Channel.PUSH_PULL, peer))

    # --- own decisions ----------------------------------------------------------------------------------

    def accuse(self, name: str, incarnation: int, now: float, probe: ProbeRecord) -> None:
        """Suspect a member whose `probe` failed; `incarnation` is the member's when the probe began."""
        message = Suspect(incarnation, name, self._me.name)
        self.handle_suspect(message, None, now, Origin(Channel.OWN_PROBE), probe)

    def suspicion_expired(self, name: str, now: float) -> None:
        """A suspected member did not refute in time: declare it dead."""
        member = self._table.by_name[name]
        self.handle_dead(Dead(member.incarnation, name, self._me.name), None, now)

    def announce(self, meta: bytes, token: int) -> None:
        """Announce this node with `meta`, under a new incarnation.

        Raises:
            LocalProtocolError: the node is leaving, or its incarnations are used up.
        """
        if self.is_leaving:
            raise LocalProtocolError("cannot announce new metadata: the node is leaving")
        if self._me.incarnation >= LAST_INCARNATION:
            raise LocalProtocolError(
                f"cannot announce new metadata: no incarnation after {LAST_INCARNATION}; restart"
            )
        self._become(self._me.incarnation + 1, meta)
        self._queue.enqueue(encode(self._me.alive), key=self._me.name, token=token)

    def move(self, addr: bytes) -> None:
        """Announce this node at `addr`, under a new incarnation; raises as `announce` does."""
        me = self._me.alive
        self._former = [*self._former, (me.addr, me.port)][-MAX_FORMER_ADDRESSES:]
        self._me.alive = Alive(me.incarnation, me.node, addr, me.port, me.meta, me.versions)
        try:
            self.announce(me.meta, 0)
        except LocalProtocolError:
            self._me.alive = me
            raise

    def leave(self, token: int, now: float) -> None:
        """Declare that this node has left."""
        self.is_leaving = True
        self.handle_dead(Dead(self._me.incarnation, self._me.name, self._me.name), None, now, token)

    def reclaim_timed_out(self, name: str, now: float) -> None:
        """Evaluate the pings for a claim to `name`; the name moves if its owner was silent.

        Raises:
            RemoteProtocolError: the name would move, but the claim is not a valid announcement.
        """
        claim = self._reclaims.timed_out(name, now)
        if claim is not None:
            self._accept(self._table.by_name[name], claim.alive, claim.encoded, now)

    def forget(self, members: Iterable[Member]) -> None:
        """Drop the version counts and claims of members that were removed from the table."""
        for member in members:
            self.versions.remove(member.alive.versions)
            self._reclaims.drop(member.name)

    # --- parts of the above -----------------------------------------------------------------------------

    def _admit(self, alive: Alive, encoded: bytes | None, now: float) -> None:
        verify_first(alive.node, alive.incarnation)
        self.versions.verify(alive.node, alive.versions)
        alive, encoded = _shared(alive, encoded)
        if len(self._table) >= self._config.max_members:
            self._make_room(alive.node, now)
        member = Member(alive, now)
        self.versions.add(alive.versions)
        self._table.add(member)
        self._gossip(member.name, encoded)
        self._delegate.member_joined(member, now)

    def _make_room(self, newcomer: str, now: float) -> None:
        others = (member for member in self._table.by_name.values() if member is not self._me)
        if now - self._evicted_at >= EVICTION_INTERVAL:
            evicted = least_missed(others, now - self._config.gossip_to_the_dead)
            if evicted is not None:
                self._evicted_at = now
                self._evict(evicted, now)
                return
        self.refused_members += 1
        raise RemoteProtocolError(
            f"no room for member {newcomer!r}: {self._config.max_members} members, "
            f"{self.refused_members} refused so far"
        )

    def _evict(self, member: Member, now: float) -> None:
        self.evicted_members += 1
        if not member.is_gone:
            member.enter(MemberState.DEAD, member.incarnation, now)
            self._delegate.member_gone(member, Evidence(self._me.name), now)
        self._drop_suspicion(member.name)
        self._queue.discard(member.name)
        self._table.drop(member)
        self.forget((member,))

    def _renew(self, member: Member, alive: Alive, encoded: bytes | None, now: float) -> None:
        if member.alive.addr != alive.addr or member.alive.port != alive.port:
            self._reclaims.consider(member, alive, encoded, now)
        elif supersedes(MemberState.ALIVE, alive.incarnation, member.state, member.incarnation):
            self._accept(member, alive, encoded, now)

    def _accept(self, member: Member, alive: Alive, encoded: bytes | None, now: float) -> None:
        """Update `member` from `alive`, whose address and incarnation may both be new.

        Raises:
            RemoteProtocolError: the incarnation rises too fast, or the versions fit no other member.
        """
        verify_rise(member, alive.incarnation, now, self._present(now))
        alive, encoded = _shared(alive, encoded)
        self._change_versions(member, alive)
        suspicion = self._drop_suspicion(member.name)
        old_state, old_meta, old_address = member.state, member.alive.meta, member.address
        self._table.unlist_address(member)
        member.alive = alive
        self._table.list_address(member)
        member.enter(MemberState.ALIVE, alive.incarnation, now)
        self._gossip(member.name, encoded)
        if old_state >= MemberState.DEAD:
            self._delegate.member_joined(member, now)
            return
        if suspicion is not None:
            self._delegate.suspicion_refuted(member, suspicion.evidence(member.name, alive.incarnation), now)
        if old_meta != alive.meta or old_address != member.address:
            self._delegate.member_updated(member, now)

    def _verify_accusation(self, member: Member, incarnation: int, now: float) -> None:
        if member is not self._me:
            verify_accusation(member, incarnation, now, self._present(now))
        elif self.is_joining:
            verify_first(member.name, incarnation)
        else:  # unlike one of another member: peers that accepted the claim also accept one step above it
            verify_rise(member, incarnation, now, self._present(now))

    def _present(self, now: float) -> int:
        """Return the incarnation at which this node would begin if it started now."""
        return self._first_incarnation + int(now - self._born)

    def _change_versions(self, member: Member, alive: Alive) -> None:
        if alive.versions == member.alive.versions:
            return
        self.versions.remove(member.alive.versions)
        try:
            self.versions.verify(alive.node, alive.versions)
        except RemoteProtocolError:
            self.versions.add(member.alive.versions)
            raise
        self.versions.add(alive.versions)

    def _hear_of_myself(self, alive: Alive, now: float) -> None:
        me = self._me
        if self.is_leaving:
            return
        if (alive.addr, alive.port) in self._former:
            if alive.incarnation >= me.incarnation:
                self._verify_accusation(me, alive.incarnation, now)
                self._refute(alive.incarnation, now)
            return
        if alive.addr != me.alive.addr or alive.port != me.alive.port:
            self._reclaims.consider(me, alive, None, now)
            return
        is_mine = alive.meta == me.alive.meta and alive.versions == me.alive.versions
        if alive.incarnation > me.incarnation or (alive.incarnation == me.incarnation and not is_mine):
            self._verify_accusation(me, alive.incarnation, now)
            self._refute(alive.incarnation, now)

    def _refute(self, accused: int, now: float) -> None:
        if accused >= LAST_INCARNATION:
            raise RemoteProtocolError(
                f"message about this node at the last incarnation ({accused}): cannot refute"
            )
        is_highest = accused >= highest_incarnation(self._me, now, self._present(now))
        self._become(max(self._me.incarnation, accused) + 1, self._me.alive.meta)
        self._health.refuted(now)
        self.refutations += 1
        # Keyed by address, as in memberlist: it must not replace a queued message about ourselves. Nor may
        # messages of other members replace it: the key is not a string, because a member may have any name.
        self._queue.enqueue(encode(self._me.alive), key=self._me.address)
        if is_highest:
            # Members that have not heard the claim refuse an answer above it, unless they get there first.
            self._gossip(self._me.name, encode(self._at(accused, self._me.alive.meta)))

    def _become(self, incarnation: int, meta: bytes) -> None:
        self._me.alive = self._at(incarnation, meta)
        self._me.incarnation = incarnation

    def _at(self, incarnation: int, meta: bytes) -> Alive:
        me = self._me.alive
        return Alive(incarnation, me.node, me.addr, me.port, meta, me.versions)

    def _gossip(self, name: str, encoded: bytes) -> None:
        self._queue.enqueue(encoded, key=name)

    def _new_suspicion(self, reporter: str, now: float) -> Suspicion:
        n = len(self._table)
        config = self._config
        k = config.suspicion_mult - 2 if config.confirmations is None else config.confirmations
        if n - 2 < k or config.suspicion_max_mult <= 1:
            k = 0  # too few others to confirm, or no range to shrink: SWIM's own fixed time-out
        minimum = suspicion_minimum(config.suspicion_mult, n, config.probe_interval)
        return Suspicion(reporter, k, minimum, config.suspicion_max_mult * minimum, now)

    def _drop_suspicion(self, name: str) -> Suspicion | None:
        suspicion = self.suspicions.pop(name, None)
        if suspicion is not None:
            self._deadlines.cancel(SuspicionEnds(name))
        return suspicion


def _is_usable(alive: Alive) -> bool:
    """Tell whether the announcement is valid: an incarnation, versions, an address to send to.

    Only peers from before memberlist's protocol 2 leave versions out, or send port 0 for their own port.
    If a row without versions were admitted here, every other peer would refuse our push/pulls.
    """
    versions = alive.versions
    return bool(
        alive.node
        and alive.incarnation
        and alive.port
        and len(alive.addr) in ADDRESS_LENGTHS
        and len(versions) == VERSION_BYTES
        and 0 < versions[0] <= versions[1]
    )


def _verify_length(alive: Alive) -> None:
    name, meta = len(alive.node.encode("utf-8", "surrogateescape")), len(alive.meta)
    if name > MAX_NAME_BYTES:
        raise RemoteProtocolError(f"member name of {name} bytes: expected at most {MAX_NAME_BYTES}")
    if meta > MAX_META_BYTES:
        raise RemoteProtocolError(
            f"member {alive.node!r} with {meta} bytes of metadata: expected at most {MAX_META_BYTES}"
        )


def _says_more(row: NodeState, known: Member) -> bool:
    """Tell whether a row could change the table; most rows of a push/pull are already known."""
    alive = known.alive
    return row.incarnation > known.incarnation or row.addr != alive.addr or row.port != alive.port


def _announcement(row: NodeState) -> Alive:
    return Alive(row.incarnation, row.name, row.addr, row.port, row.meta, row.versions)


def _shared(alive: Alive, encoded: bytes | None) -> tuple[Alive, bytes]:
    """Return the announcement object that all receivers of the same bytes share, and those bytes."""
    if encoded is not None:
        return alive, encoded
    encoded = encode(alive)
    decoded = decode_gossip(encoded)
    assert isinstance(decoded, Alive)
    return decoded, encoded
