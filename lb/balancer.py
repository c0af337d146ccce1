"""The loop that joins the parts: gossip's events to `settle`, its decisions to a file, the file to HAProxy.

`observe` is called by the agent's driver with every batch of effects, synchronously; `run` lives beside the
agent. Every decision is made by `lb.settle`; here it is carried out and put into words.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

import trio

from gossip.agent.service import Agent
from gossip.errors import ConfigError
from gossip.serf.effects import Effect
from gossip.serf.members import MemberStatus
from gossip.serf.node import SerfNode
from lb.command_socket import HAProxyError
from lb.convergence import DetectorView
from lb.decision import Change, Decision, Word
from lb.deployment import Deployment, Goal
from lb.haproxy import HAProxy
from lb.inspection import inspect
from lb.membership import Membership
from lb.plan import Claim, Plan, PlanConfig, make_plan
from lb.render import Renderer
from lb.server_state import ServerName
from lb.settle import Settle

log = logging.getLogger("lb")

RESYNC_INTERVAL = 30.0
"""Seconds between two looks at all members: heals an event that was missed."""
HEALTH_INTERVAL = 1.0
MAX_REMEMBERED_DRAINS = 1000
"""Servers that stay drained although they are out of the plan: until the reload that removes them."""
MAX_REASON_CHANGES = 5


class Balancer:
    """Keeps HAProxy's servers the same as the members; `deployment` does the work."""

    def __init__(
        self,
        settle: Settle,
        plan_config: PlanConfig,
        renderer: Renderer,
        deployment: Deployment,
        haproxy: HAProxy,
    ) -> None:
        self.state = ""
        self._settle = settle
        self._plan_config = plan_config
        self._renderer = renderer
        self._deployment = deployment
        self._haproxy = haproxy
        self._membership = Membership(plan_config)
        self._node: SerfNode | None = None
        self._wake = trio.Event()
        self._plan: Plan = make_plan((), plan_config).plan
        self._drained: dict[ServerName, None] = {}
        self._up: frozenset[str] | None = None
        self._up_at = 0.0
        self._state_since = 0.0

    def start_from(self, claims: Iterable[Claim], reason: str) -> None:
        """Ask for a file with these servers, before anything is known from gossip."""
        self._carry_out(Decision(tuple(sorted(claims)), (), frozenset(), 0.0), reason)

    def observe(self, effects: Sequence[Effect], now: float) -> None:
        """Take in a batch of effects of the node."""
        sightings, is_relevant = self._membership.read(effects, self._is_member)
        if sightings:
            self._settle.observe(sightings, now)
        if is_relevant:
            self._wake.set()

    async def run(self, agent: Agent) -> None:
        """Decide until cancelled."""
        node = self._node = agent.driver.node
        self._state_since = resynced_at = trio.current_time()
        self._settle.observe(self._membership.sight_all(node.members()), resynced_at)
        while True:
            self._wake = trio.Event()
            now = trio.current_time()
            if now >= resynced_at + RESYNC_INTERVAL:
                self._settle.observe(self._membership.sight_all(node.members()), now)
                resynced_at = now
            await self._look_at_health(now)
            self._decide(node, trio.current_time())
            with trio.move_on_at(min(self._settle.next_deadline(), resynced_at + RESYNC_INTERVAL)):
                await self._wake.wait()

    def _is_member(self, name: str) -> bool:
        return self._node is not None and self._node.member(name) is not None

    async def _look_at_health(self, now: float) -> None:
        """Ask HAProxy which servers are up, while the answer matters: to end a hold."""
        if not self.state.startswith(Word.HELD):
            self._up = None
            return
        if self._up is not None and now < self._up_at + HEALTH_INTERVAL:
            return
        self._up_at = now
        members = {(s.backend, s.name): s.member for s in self._plan.servers}
        try:
            rows = await self._haproxy.runtime.servers()
        except HAProxyError:
            self._up = frozenset()  # nobody vouches for anybody: the hold goes on
            return
        up = ((row.place.name.backend, row.place.name.server) for row in rows if row.is_up)
        self._up = frozenset(members[name] for name in up if name in members)

    def _decide(self, node: SerfNode, now: float) -> None:
        view = _view(node, self._up)
        decision = self._settle.handle_timeout(view, now)
        if decision is not None:
            self._carry_out(decision, _words(decision.changes))
        state = str(self._settle.state(view, now))
        if state != self.state:
            extra = {"event": "lb.state", "before": self.state, "for": f"{now - self._state_since:.2f}s"}
            log.info(state, extra=extra)
            self.state, self._state_since = state, now

    def _carry_out(self, decision: Decision, reason: str) -> None:
        planned = make_plan(decision.members, self._plan_config)
        for rejection in planned.rejections:
            self._membership.complain(rejection)
        for mapped in planned.mapped:
            self._membership.complain(mapped)
        self._drain(planned.plan, decision.draining)
        self._plan = planned.plan
        content = self._render(planned.plan)
        if content is not None:
            self._deployment.want(Goal(content, reason, decision.settled_in))

    def _drain(self, plan: Plan, members: frozenset[str]) -> None:
        """Drain the servers of `members`, and whatever is on its way out: its reload may have to wait."""
        names = {ServerName(s.backend, s.name): s.member for s in plan.servers}
        before = (*self._drained, *(ServerName(s.backend, s.name) for s in self._plan.servers))
        leaving = [name for name in dict.fromkeys(before) if name not in names]
        drained = [name for name, member in names.items() if member in members]
        self._drained = dict.fromkeys((*leaving, *drained)[-MAX_REMEMBERED_DRAINS:])
        self._deployment.want_drained(self._drained)

    def _render(self, plan: Plan) -> bytes | None:
        """Return the inspected file for `plan`, None if the template or the result is not acceptable."""
        try:
            content = self._renderer.render(plan).content
            findings = inspect(content, self._renderer.render(plan.emptied()).content, plan)
        except ConfigError as error:
            findings = (str(error),)
        if findings:
            extra = {"event": "lb.refused", "reason": "; ".join(findings)}
            log.error("cannot make a configuration: the present one stays", extra=extra)
            return None
        return content


def _view(node: SerfNode, up: frozenset[str] | None) -> DetectorView:
    alive = Counter(member.status for member in node.members())[MemberStatus.ALIVE]
    swim = node.config.swim
    return DetectorView(
        suspects=frozenset(node.suspects()),
        retransmit_limit=node.retransmit_limit(),
        gossip_interval=swim.gossip_interval,
        probe_interval=swim.probe_interval,
        last_heard=node.last_heard,
        local_health=node.local_health,
        others_alive=max(0, alive - 1),
        up=up,
    )


def _words(changes: Sequence[Change]) -> str:
    """Return why the file changes, for the log."""
    words = [
        f"{c.member} {c.reason}" + (f" by {c.successor}" if c.successor else "")
        for c in changes[:MAX_REASON_CHANGES]
    ]
    more = len(changes) - MAX_REASON_CHANGES
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")
