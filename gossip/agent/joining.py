"""Carries out the node's joins: resolves names, and does a push/pull with each address.

Which seeds to try, how often, and what counts as success is up to the core (`gossip.serf.join`). Each effect
is answered exactly once, whatever happens to it, because an attempt waits for every answer.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import trio

from gossip.agent.resolve import resolve_all
from gossip.agent.transport import dial_error
from gossip.errors import RemoteProtocolError
from gossip.serf.effects import ContactSeed, JoinEffect, JoinEnded, ResolveSeeds
from gossip.serf.node import SerfNode
from gossip.wire.address import Address
from gossip.wire.messages import PushPull

Apply = Callable[[Callable[[SerfNode, float], object]], object]


class Exchange(Protocol):
    """A push/pull with the node at `to`; raises OSError, RemoteProtocolError or trio.TooSlowError."""

    def __call__(self, to: Address, *, replay: bool) -> Awaitable[PushPull]:
        """Return the peer's state, after merging it."""


class Joins:
    """The joins of one node that are in progress."""

    def __init__(self, name: str, default_port: int, exchange: Exchange, apply: Apply) -> None:
        self._name = name
        self._default_port = default_port
        self._exchange = exchange
        self._apply = apply
        self._events: dict[int, trio.Event] = {}  # of the attempts that a caller waits for
        self._ended: dict[int, JoinEnded] = {}

    def expect(self, attempt: int) -> None:
        """Keep the outcome of `attempt` until `outcome` takes it."""
        self._events[attempt] = trio.Event()

    async def outcome(self, attempt: int) -> JoinEnded:
        """Wait for the end of `attempt`; call `expect` first."""
        try:
            await self._events[attempt].wait()
            return self._ended[attempt]
        finally:
            self._events.pop(attempt, None)
            self._ended.pop(attempt, None)

    def carry_out(self, effect: JoinEffect, start: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
        """Carry out `effect`; `start` runs a task in the background."""
        if isinstance(effect, ResolveSeeds):
            start(partial(self._resolve, effect))
        elif isinstance(effect, ContactSeed):
            start(partial(self._contact, effect))
        elif effect.attempt in self._events:
            self._ended[effect.attempt] = effect
            self._events[effect.attempt].set()

    async def _resolve(self, effect: ResolveSeeds) -> None:
        """Look up the addresses of seeds; a name without any address is an error."""
        places, errors = await resolve_all(effect.seeds, self._default_port)
        self._apply(lambda node, now: node.seeds_resolved(effect.attempt, places, errors, now))

    async def _contact(self, effect: ContactSeed) -> None:
        """Exchange states with one address."""
        error, met_others = "", False
        try:
            remote = await self._exchange(effect.to, replay=effect.replay)
            met_others = any(row.name != self._name for row in remote.nodes)
        except (OSError, RemoteProtocolError, trio.TooSlowError) as reason:
            error = f"Failed to join {effect.to.host}: {dial_error(reason, effect.to)}"
        except Exception as bug:
            error = f"Failed to join {effect.to.host}: {bug!r}"
            raise
        finally:
            self._apply(
                lambda node, now: node.contact_ended(
                    effect.attempt, effect.to, error, met_others=met_others, now=now
                )
            )
