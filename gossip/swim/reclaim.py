"""Decides whether a member's name may move to another address (ADR 15; memberlist canReclaim).

A container may restart under its old name at a new address; a stranger may also forge such an
announcement. Both addresses are pinged: the name moves if the old address is silent and the new one answers.
A member that is believed to be alive is pinged more often before its name moves (ADR 29). If both answer, two
agents have one name.

An announcement is kept as a `Claim` for up to `CLAIM_LIFETIME`, because an old process answers until it has
stopped. This node's own name never moves: a claim to it only checks whether another agent answers there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossip.errors import RemoteProtocolError
from gossip.swim.deadlines import Timer
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


class ReclaimDue(Timer, frozen=True, gc=False):
    """It is time to evaluate the pings of a claim to `name`, or the claim has expired."""

    name: str


PINGS = 3
"""Pings to each address, so that one or two lost packets do not give a name away."""

PINGS_OF_THE_LIVING = 5
"""Pings to each address while the owner is believed to be alive.

At 10 % packet loss, an owner that answers is taken for silent once in 4,000 times.
"""

PING_SPACING = 0.5
"""Time between two pings, in probe timeouts. A whole timeout follows the last one: two or three in total."""

RETRY_AFTER = 2.0
"""Seconds until an owner that answered is pinged again: after a leave, its process answers until it stops."""

CLAIM_LIFETIME = 60.0
"""Seconds that a claim is kept: noticing a failure can take up to 30 s."""

MAX_CLAIMS = 64
"""Claims at the same time. Each causes ten pings in 1.5 s, half of them to an unverified address."""


class Claim:
    """An announcement of a known name at another address, and which of the two addresses answered."""

    __slots__ = (
        "alive",
        "ask_again_at",
        "claimant_answers",
        "encoded",
        "expires",
        "owner_answers",
        "pings",
    )

    def __init__(self, alive: Alive, encoded: bytes | None, expires: float) -> None:
        self.alive = alive
        self.encoded = encoded
        self.expires = expires
        self.ask_again_at = 0.0  # set once both have been asked and the name stayed
        self.pings = 0
        self.owner_answers = False
        self.claimant_answers = False

    @property
    def address(self) -> Address:
        """The address that the name would move to."""
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
        self._pinged: dict[int, tuple[str, bool]] = {}  # sequence number: name, whether its owner was pinged

    def __len__(self) -> int:
        """Return how many claims are kept."""
        return len(self._claims)

    def consider(self, member: Member, alive: Alive, encoded: bytes | None, now: float) -> None:
        """Keep the claim `alive` to the name of `member`, and start the pings.

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
            self._ping(member, claim, now)
        elif not claim.pings:
            claim.alive, claim.encoded = alive, encoded  # keep the newest until the pings start
            if now >= claim.ask_again_at:
                self._ping(member, claim, now)

    def member_gone(self, member: Member, now: float) -> None:
        """Start the pings for a claim to the name of `member`, if there is one and the member is gone."""
        claim = self._claims.get(member.name)
        if claim is not None and not claim.pings:
            self._ping(member, claim, now)

    def drop(self, name: str) -> None:
        """Forget the claim to `name`: the owner's row was removed, so the name is free."""
        if name in self._claims:
            self._forget(name)
            self._deadlines.cancel(ReclaimDue(name))

    def receive_ack(self, seq: int) -> None:
        """Record which address answered; send an answering owner its death, so that it refutes."""
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
        """Evaluate the pings of a claim, send further ones, or drop it; return it if the name may move."""
        claim, member = self._claims[name], self._table.by_name[name]
        if now >= claim.expires:
            self._forget(name)
        elif member.is_gone and not claim.pings:
            self._ping(member, claim, now)
        elif member.is_gone and claim.owner_answers:
            self._rest(member, claim, now + RETRY_AFTER, now)
        elif claim.pings < (PINGS if member.is_gone else PINGS_OF_THE_LIVING):
            self._ping(member, claim, now)
        elif claim.owner_answers or member is self._table.me:
            self._rest(member, claim, claim.expires, now)
        else:
            self._forget(name)
            if claim.claimant_answers:
                return claim
        return None

    def _rest(self, member: Member, claim: Claim, until: float, now: float) -> None:
        """Keep the name where it is, and pause the pings until `until` or until a later claim."""
        if claim.claimant_answers:
            self._emit(NameConflict(member.name, member.address, claim.address))
        claim.pings, claim.owner_answers, claim.claimant_answers = 0, False, False
        claim.ask_again_at = now + RETRY_AFTER
        self._stop_listening(member.name)
        self._deadlines.set(ReclaimDue(member.name), until)

    def _ping(self, member: Member, claim: Claim, now: float) -> None:
        for address, is_owner in ((member.address, True), (claim.address, False)):
            if is_owner and member is self._table.me:
                continue
            ping = self._pings.new(member.name)
            self._pinged[ping.seq] = (member.name, is_owner)
            self._piggyback.send_alone(address, encode(ping))
        claim.pings += 1
        is_last = claim.pings >= (PINGS if member.is_gone else PINGS_OF_THE_LIVING)
        wait = self._config.probe_timeout * (1.0 if is_last else PING_SPACING)
        self._deadlines.set(ReclaimDue(member.name), now + wait)

    def _forget(self, name: str) -> None:
        del self._claims[name]
        self._stop_listening(name)

    def _stop_listening(self, name: str) -> None:
        self._pinged = {seq: pinged for seq, pinged in self._pinged.items() if pinged[0] != name}
