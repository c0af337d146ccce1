"""Two agents with one name: the members vote, and the loser stops (Serf `serf.go`, handleNodeConflict).

An agent that hears of its own name at another address asks all members which address they know. If most of
the answers have another address than its own, it stops without leaving, to take nothing from the other agent.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.serf.effects import Effect
from gossip.serf.queries import QueryRequest
from gossip.serf.query_exchange import CONFLICT_QUERY
from gossip.swim.effects import NameConflict
from gossip.wire.address import Address, unpack_address
from gossip.wire.query_codec import decode_conflict_response

if TYPE_CHECKING:
    import trio

    from gossip.agent.service import Agent

log = logging.getLogger("gossip.agent")


class NameConflictVote:
    """Asks about this agent's own name when another agent uses it; one vote at a time."""

    def __init__(self, agent: "Agent", nursery: "trio.Nursery") -> None:
        self._agent = agent
        self._nursery = nursery
        self._is_voting = False

    def observe(self, effects: Sequence[Effect], _now: float) -> None:
        """Process a batch of the node's effects."""
        for effect in effects:
            if not isinstance(effect, NameConflict) or effect.name != self._agent.driver.node.name:
                continue
            if not self._is_voting and not self._agent.is_leaving:
                self._is_voting = True
                self._nursery.start_soon(self._vote, effect.theirs)

    async def _vote(self, other: Address) -> None:
        driver = self._agent.driver
        name, mine = driver.node.name, driver.node.members()[0].address
        request = QueryRequest(name=CONFLICT_QUERY, payload=name.encode("utf-8", "surrogateescape"))
        try:
            answers = await self._agent.queries.collect(request, driver.node.count_alive() - 1)
        except LocalProtocolError as error:
            log.warning("cannot put a name conflict to the vote", extra={"reason": str(error)})
            return
        finally:
            self._is_voting = False
        known = [address for answer in answers if (address := _address(answer.payload)) is not None]
        ours = known.count(mine)
        extra = {"member": name, "address": mine, "other": other, "votes": len(known), "for_us": ours}
        if not known or ours >= len(known) // 2 + 1:
            log.warning("name conflict won: keeping the name", extra=extra)
            return
        log.error("name conflict lost: stopping; give this agent a unique name", extra=extra)
        self._agent.abort()


def _address(payload: bytes) -> Address | None:
    """Return the address in a vote; None if it cannot be read or has no address."""
    try:
        addr, port = decode_conflict_response(payload)
        return unpack_address(addr, port) if addr else None
    except RemoteProtocolError:
        return None
