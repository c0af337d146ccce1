"""A name that comes back at another address: whose is it (memberlist `state.go`, aliveNode, canReclaim)?

A container restarts under its name with a new address; so may a stranger say, in the name of a member that is
there. While the member is alive or suspect, the name is its own. Once it is gone, by its own word or by
ours, both addresses are pinged: the name passes on when the old one is silent and the new one answers.

A claim is kept for a while. It may come before the death is noticed, and an old process may answer until it
has stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.errors import RemoteProtocolError
from gossip.swim.effects import Effect, NameConflict
from gossip.wire.address import unpack_address
from gossip.wire.codec import encode
from gossip.wire.messages import Dead, MemberState

if TYPE_CHECKING:
    from collections.abc import Callable

    from gossip.swim.config import SwimConfig
    from gossip.swim.deadlines import Deadlines
    from gossip.swim.member import Member
    from gossip.swim.member_table import MemberTable
    from gossip.swim.piggyback import Piggyback
    from gossip.swim.pings import Pings
    from gossip.wire.address import Address
    from gossip.wire.messages import Alive

RECLAIM = "reclaim"
"""Timer key: the pings for a claim are late, or the claim has expired."""

PINGS = 3
"""Times that each address is pinged, so that a lost packet or two do not give a name away."""

PING_SPACING = 0.5
"""Probe timeouts between two pings for a claim; after the last, a whole one passes: two in all."""

RETRY_AFTER = 2.0
"""Seconds until an owner that answered is asked again: after a leave, processes answer until they stop."""

CLAIM_LIFETIME = 60.0
"""Seconds for which a claim is kept: a failure takes up to 30 s to be noticed."""

MAX_CLAIMS = 64
"""Claims at once. Each causes six pings in three seconds, half of them to an address that may be forged."""


class Claim:
    """An announcement of a known name at another address, and who answered since the pings began."""

    __slots__ = ("alive", "claimant_answers", "encoded", "expires", "owner_answers", "pings")

    def __init__(self, alive: Alive, encoded: bytes | None, expires: float) -> None:
        self.alive = alive
        self.encoded = encoded
        self.expires = expires
        self.pings = 0
        self.owner_answers = False
        self.claimant_answers = False

    @property
    def address(self) -> Address:
        """Where the name would go."""
        return unpack_address(self.alive.addr, self.alive.port)


class Reclaims:
    """The claims to names of members at other addresses, at most one for each name."""

    __slots__ = ("_claims", "_config", "_deadlines", "_emit", "_piggyback", "_pinged", "_pings", "_table")

    def __init__(
        self,
        config: SwimConfig,
        table: MemberTable,
        pings: Pings,
        piggyback: Piggyback,
        emit: Callable[[Effect], None],
        deadlines: Deadlines,
    ) -> None:
        self._config = config
        self._table = table
        self._pings = pings
        self._piggyback = piggyback
        self._emit = emit
        self._deadlines = deadlines
        self._claims: dict[str, Claim] = {}
        self._pinged: dict[int, tuple[str, bool]] = {}  # by sequence number: the name, whether its owner

    def __len__(self) -> int:
        """Return how many claims are kept."""
        return len(self._claims)

    def consider(self, member: Member, alive: Alive, encoded: bytes | None, now: float) -> None:
        """Keep the claim `alive` to the name of `member`; look into it if the member is gone.

        Raises:
            RemoteProtocolError: there are too many claims.
        """
        claim = self._claims.get(member.name)
        if claim is None:
            if len(self._claims) >= MAX_CLAIMS:
                raise RemoteProtocolError(
                    f"member {member.name!r} at another address: {MAX_CLAIMS} such claims are open"
                )
            claim = self._claims[member.name] = Claim(alive, encoded, now + CLAIM_LIFETIME)
            self._deadlines.set((RECLAIM, member.name), claim.expires)
            self.member_gone(member, now)
        elif not claim.pings:
            claim.alive, claim.encoded = alive, encoded  # the newest, as long as nobody is being asked
        if not member.is_gone:
            self._emit(NameConflict(member.name, member.address, unpack_address(alive.addr, alive.port)))

    def member_gone(self, member: Member, now: float) -> None:
        """Look into the claim to the name of `member`, if there is one and the member is gone."""
        claim = self._claims.get(member.name)
        if claim is not None and member.is_gone:
            self._ping(member, claim, now)

    def drop(self, name: str) -> None:
        """Forget the claim to `name`, whose owner's row is no more: it is anybody's now."""
        if name in self._claims:
            self._forget(name)
            self._deadlines.cancel((RECLAIM, name))

    def receive_ack(self, seq: int) -> None:
        """Take note of who answers; an owner that does is told what is said of it, so that it can refute."""
        pinged = self._pinged.pop(seq, None)
        if pinged is None:
            return
        name, is_owner = pinged
        claim, member = self._claims[name], self._table.by_name[name]
        if not is_owner:
            claim.claimant_answers = True
            return
        claim.owner_answers = True
        if member.is_gone:
            reporter = name if member.state is MemberState.LEFT else self._table.me.name
            self._piggyback.send_to_member(member, (encode(Dead(member.incarnation, name, reporter)),))

    def timed_out(self, name: str, now: float) -> Claim | None:
        """The pings for a claim are late, or the claim has expired; return it if the name passes on."""
        claim, member = self._claims[name], self._table.by_name[name]
        if not member.is_gone or now >= claim.expires:
            self._forget(name)
        elif claim.owner_answers:
            self._emit(NameConflict(name, member.address, claim.address))
            claim.pings, claim.owner_answers, claim.claimant_answers = 0, False, False
            self._stop_listening(name)
            self._deadlines.set((RECLAIM, name), now + RETRY_AFTER)
        elif claim.pings < PINGS:
            self._ping(member, claim, now)
        else:
            self._forget(name)
            if claim.claimant_answers:
                return claim
        return None

    def _ping(self, member: Member, claim: Claim, now: float) -> None:
        for address, is_owner in ((member.address, True), (claim.address, False)):
            ping = self._pings.new(member.name)
            self._pinged[ping.seq] = (member.name, is_owner)
            self._piggyback.send_alone(address, encode(ping))
        claim.pings += 1
        wait = self._config.probe_timeout * (PING_SPACING if claim.pings < PINGS else 1.0)
        self._deadlines.set((RECLAIM, member.name), now + wait)

    def _forget(self, name: str) -> None:
        del self._claims[name]
        self._stop_listening(name)

    def _stop_listening(self, name: str) -> None:
        self._pinged = {seq: pinged for seq, pinged in self._pinged.items() if pinged[0] != name}
