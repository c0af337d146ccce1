"""The loop that connects the parts: gossip's events to decisions, decisions to a file, the file to HAProxy.

The agent's driver calls `observe` with every batch of effects, synchronously; `run` runs beside the agent.
`lb.policy.reconciler` makes every decision; this module carries it out and describes it.
"""

import logging
from collections.abc import Iterable, Sequence

import trio

from gossip.agent.service import Agent
from gossip.errors import ConfigError
from gossip.serf.effects import Effect
from lb.deploy.deployer import Deployment, Goal
from lb.event_log import EventLog
from lb.haproxy.cli_socket import HAProxyError
from lb.haproxy.client import HAProxy
from lb.haproxy.config_text import ServerName, ServerPlace
from lb.haproxy.connect_check import MAX_CONNECTS, find_answering
from lb.policy.decision import Change
from lb.policy.plan import Claim, Plan, PlanConfig, Server
from lb.policy.reconciler import Reconciler, Step
from lb.policy.settle import Settle
from lb.policy.witness import Healths
from lb.render.renderer import Renderer
from lb.render.verify_output import inspect

log = logging.getLogger("lb")

HEALTH_INTERVAL = 1.0
MAX_REMEMBERED_DRAINS = 1000
"""Servers that stay drained although they are no longer in the plan, until the reload that removes them."""
MAX_REASON_CHANGES = 5


class Balancer:
    """Keeps HAProxy's servers in step with the members; `deployment` does the work."""

    def __init__(
        self,
        settle: Settle,
        plan_config: PlanConfig,
        renderer: Renderer,
        deployment: Deployment,
        haproxy: HAProxy,
    ) -> None:
        self.state = ""
        self._events = EventLog()
        self._reconciler = Reconciler(settle, plan_config, self._events.complain)
        self._renderer = renderer
        self._deployment = deployment
        self._haproxy = haproxy
        self._wake = trio.Event()
        self._drained: dict[ServerName, None] = {}
        self._healths: Healths | None = None
        self._answering: frozenset[tuple[str, int]] = frozenset()
        self._moves_tried = 0
        self._asked_at = 0.0
        self._state_since = 0.0
        self._undone: tuple[Step, str] | None = None  # decided but not carried out yet

    def start_from(self, claims: Iterable[Claim], reason: str) -> None:
        """Request a file with these servers, before gossip has reported anything."""
        self._carry_out(self._reconciler.start_from(claims), reason)

    def observe(self, effects: Sequence[Effect], now: float) -> None:
        """Process a batch of the node's effects."""
        if self._reconciler.observe(effects, now):
            self._wake.set()

    def use_renderer(self, renderer: Renderer) -> None:
        """Render the current plan, and all later ones, with another template or other settings."""
        self._renderer = renderer
        content = self._render(self._reconciler.plan)
        if content is not None:
            self._deployment.want(Goal(content, "configuration reloaded"))

    async def run(self, agent: Agent) -> None:
        """Decide until cancelled; after an exception it can be run again."""
        self._state_since = trio.current_time()
        if self._undone is not None:
            self._carry_out(*self._undone)
        self._reconciler.begin(agent.driver.node, self._state_since)
        while True:
            self._wake = trio.Event()
            self._decide(trio.current_time())
            if await self._look_around(trio.current_time()):
                self._decide(trio.current_time())
            with trio.move_on_at(self._reconciler.next_deadline()):
                await self._wake.wait()

    async def _look_around(self, now: float) -> bool:
        """Ask HAProxy about servers, and try their new places, while it matters; return if there is news."""
        if not self._reconciler.needs_health:
            self._healths = None
            self._answering = frozenset()
            return False
        if self._healths is not None and now < self._asked_at + HEALTH_INTERVAL:
            return False
        self._asked_at = now
        servers = {ServerPlace(ServerName(s.backend, s.name), s.host, s.port): s.member for s in self._plan}
        try:
            rows = await self._haproxy.runtime.servers()
        except HAProxyError:
            rows = ()  # it confirms nothing and agrees to nothing: servers stay
        self._healths = {servers[row.place]: row.health for row in rows if row.place in servers}
        self._answering = await find_answering(self._some_moves())
        return True

    def _some_moves(self) -> list[tuple[str, int]]:
        """Return the new places to try, different ones each time."""
        moves = [(claim.host, claim.port) for claim in self._reconciler.moves]
        self._moves_tried += MAX_CONNECTS
        first = self._moves_tried % len(moves) if moves else 0
        return moves[first:] + moves[:first]

    @property
    def _plan(self) -> tuple[Server, ...]:
        return self._reconciler.plan.servers

    def _decide(self, now: float) -> None:
        step = self._reconciler.handle_timeout(self._healths, now, self._answering)
        if step is not None:
            self._events.tell_changes(step)
            self._carry_out(step, _words(step.decision.changes))
        self._events.tell_room(self._reconciler.full, self._reconciler.turned_away)
        state = self._reconciler.state
        if str(state) != self.state:
            self._events.tell_state(state, self.state, now - self._state_since, self._reconciler.kept)
            self.state, self._state_since = str(state), now

    def _carry_out(self, step: Step, reason: str) -> None:
        self._undone = (step, reason)
        self._drain(step)
        content = self._render(step.after)
        if content is not None:
            self._deployment.want(Goal(content, reason, step.decision.settled_in))
        self._undone = None

    def _drain(self, step: Step) -> None:
        """Drain servers that leave or are removed: their reload may have to wait."""
        members = step.decision.draining
        names = {ServerName(s.backend, s.name): s.member for s in step.after.servers}
        before = (*self._drained, *(ServerName(s.backend, s.name) for s in step.before.servers))
        leaving = [name for name in dict.fromkeys(before) if name not in names]
        drained = [name for name, member in names.items() if member in members]
        self._drained = dict.fromkeys((*leaving, *drained)[-MAX_REMEMBERED_DRAINS:])
        self._deployment.want_drained(self._drained)

    def _render(self, plan: Plan) -> bytes | None:
        """Return the verified file for `plan`, None if the template or the result is unacceptable."""
        try:
            content = self._renderer.render(plan).content
            findings = inspect(content, self._renderer.render(plan.emptied()).content, plan)
        except ConfigError as error:
            findings = (str(error),)
        if findings:
            extra = {"event": "lb.refused", "reason": "; ".join(findings)}
            log.error("cannot render a configuration: keeping the current one", extra=extra)
            return None
        return content


def _words(changes: Sequence[Change]) -> str:
    """Return the reason for a change of the file, for the log."""
    words = [
        f"{c.member} {c.reason}" + (f" by {c.successor}" if c.successor else "")
        for c in changes[:MAX_REASON_CHANGES]
    ]
    more = len(changes) - MAX_REASON_CHANGES
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")
