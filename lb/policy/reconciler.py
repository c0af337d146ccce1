"""The decisions of one load balancer, without I/O: gossip's effects in, plans out; used like the core.

It connects `discovery` (gossip's reports), `settle` (which members are in the file, and when) and `plan` (the
resulting lines). `lb.controller` carries the plans out on HAProxy; `lb.sim.balancers` holds the same object
on virtual time.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from gossip.serf.effects import Effect
from gossip.serf.members import MemberStatus
from gossip.serf.node import SerfNode
from gossip.swim.config import retransmit_limit
from gossip.swim.effects import NameConflict
from lb.policy.convergence import DetectorView
from lb.policy.decision import Decision, Note, State, Word
from lb.policy.discovery import Membership
from lb.policy.plan import Claim, MappedName, Plan, PlanConfig, Rejection, make_plan
from lb.policy.settle import Settle
from lb.policy.witness import Healths

RESYNC_INTERVAL = 30.0
"""Seconds between two checks of all members, which make up for missed events."""


class Step(Struct, frozen=True):
    """A decision, and the plans before and after it."""

    decision: Decision
    before: Plan
    after: Plan


class Reconciler:
    """Keeps the plan in step with the members.

    Call `observe` with each batch of the node's effects, from the first one, and `begin` once the node runs;
    from then on call `handle_timeout` whenever `observe` returned True, and at `next_deadline`. `now` is the
    node's own monotonic clock.
    """

    __slots__ = (
        "_complain",
        "_config",
        "_membership",
        "_node",
        "_resync_at",
        "_settle",
        "notes",
        "plan",
        "state",
    )

    def __init__(
        self,
        settle: Settle,
        config: PlanConfig,
        complain: Callable[[Rejection | MappedName], None],
    ) -> None:
        """Begin with an empty plan; `complain` gets what is wrong with members, every time it is seen."""
        self.plan: Plan = make_plan((), config).plan
        self.state = State(Word.EMPTY)  # as of the last `handle_timeout`
        self._settle = settle
        self.notes: tuple[Note, ...] = ()  # notes about individual members, as of the same time
        self._config = config
        self._complain = complain
        self._membership = Membership(config, complain)
        self._node: SerfNode | None = None
        self._resync_at = math.inf

    def start_from(self, claims: Iterable[Claim]) -> Step:
        """Return the step to a file with these servers, before gossip has reported anything."""
        return self._plan(Decision(tuple(sorted(claims)), (), frozenset(), 0.0))

    def begin(self, node: SerfNode, now: float) -> None:
        """Follow `node` from now on."""
        self._node = node
        self._resync(node, now)

    def observe(self, effects: Sequence[Effect], now: float) -> bool:
        """Process a batch of the node's effects; return whether there is reason to call `handle_timeout`."""
        sightings, is_relevant = self._membership.read(effects, self._is_member)
        for effect in effects:
            if isinstance(effect, NameConflict):
                self._settle.note_rival(effect.name, now)
        if sightings:
            self._settle.observe(sightings, now)
        return is_relevant

    def handle_timeout(
        self, healths: Healths | None, now: float, answering: Collection[tuple[str, int]] = ()
    ) -> Step | None:
        """Return what must become true now, None if nothing has changed.

        Args:
            healths: HAProxy's verdict on each member's server, None if it was not asked; see `needs_health`.
            now: monotonic seconds.
            answering: hosts and ports of `moves` that just accepted a connection.
        """
        node = self._node
        assert node is not None, "a reconciler that has not begun"
        if now >= self._resync_at:
            self._resync(node, now)
        view = replace(detector_view(node, healths), answering=frozenset(answering))
        decision = self._settle.handle_timeout(view, now)
        self.state = self._settle.state(view, now)
        self.notes = self._settle.notes(view, now)
        return None if decision is None else self._plan(decision)

    def next_deadline(self) -> float:
        """Return when to call `handle_timeout` at the latest."""
        return min(self._settle.next_deadline(), self._resync_at)

    @property
    def needs_health(self) -> bool:
        """Whether HAProxy's verdict on its servers matters, as of the last `handle_timeout`."""
        return self._settle.needs_health

    @property
    def moves(self) -> tuple[Claim, ...]:
        """New places of servers, which may be taken as soon as a server answers there."""
        return self._settle.moves

    @property
    def kept(self) -> tuple[str, ...]:
        """Members whose servers stay unchanged although gossip says otherwise."""
        return self._settle.kept

    @property
    def turned_away(self) -> int:
        """How often a newcomer found its backend full."""
        return self._settle.turned_away

    @property
    def full(self) -> Mapping[str, int]:
        """Backends that are full, and how many newcomers wait for room in each."""
        return self._settle.full

    def _is_member(self, name: str) -> bool:
        return self._node is not None and self._node.member(name) is not None

    def _resync(self, node: SerfNode, now: float) -> None:
        self._settle.observe(self._membership.sight_all(node.members()), now)
        self._resync_at = now + RESYNC_INTERVAL

    def _plan(self, decision: Decision) -> Step:
        planned = make_plan(decision.members, self._config)
        for rejection in planned.rejections:
            self._complain(rejection)
        for mapped in planned.mapped:
            self._complain(mapped)
        step = Step(decision, self.plan, planned.plan)
        self.plan = planned.plan
        return step


def detector_view(node: SerfNode, healths: Healths | None) -> DetectorView:
    """Return the node's current knowledge, with HAProxy's verdicts."""
    members = node.members()
    alive = Counter(member.status for member in members)[MemberStatus.ALIVE]
    swim = node.config.swim
    return DetectorView(
        suspects=frozenset(node.suspects()),
        # memberlist's number: the agent sends more often, to reach every member, which takes no longer.
        retransmit_limit=retransmit_limit(swim.retransmit_mult, len(members)),
        gossip_interval=swim.gossip_interval,
        probe_interval=swim.probe_interval,
        last_heard=node.last_heard,
        local_health=node.local_health,
        others_alive=max(0, alive - 1),
        healths=healths,
    )
