"""A shell for `lb.settle` without time: it polls at every deadline and keeps all decisions."""

from gossip.serf.members import MemberStatus
from lb.policy.candidate import Sighting
from lb.policy.convergence import DetectorView
from lb.policy.plan import Claim
from lb.policy.settle import Settle, SettleConfig
from lb.policy.witness import Health

ALIVE, LEAVING, LEFT, FAILED = (
    MemberStatus.ALIVE,
    MemberStatus.LEAVING,
    MemberStatus.LEFT,
    MemberStatus.FAILED,
)
Q = 0.8  # quiet period of a LAN of three


def claim(member, port=None, *, weight=100, backend="web"):
    return Claim(
        backend, member, "10.0.0.1", int(member.rpartition("-")[2]) if port is None else port, weight
    )


class Balancer:
    """A load balancer whose detector's view and clock the test sets."""

    def __init__(self, *servers, start=1000.0, **config):
        self.now = start
        self.settle = Settle(SettleConfig(**config))
        self.decisions = []  # (time, decision)
        self.suspects = set()
        self.up = None  # None: HAProxy calls those DOWN that gossip calls gone, and all others UP
        self.healths = {}  # HAProxy's word where it differs from the recorded one
        self.is_asked = True
        self.statuses = {}
        self.answering = set()  # hosts and ports that take connections though they are in no file yet
        self.health = 0
        self.others = 3
        self.silent_since = None
        for server in servers:
            self.see(server, ALIVE)
        self.advance(5.0)
        self.decisions.clear()

    @property
    def view(self):
        return DetectorView(
            suspects=frozenset(self.suspects),
            retransmit_limit=4,
            gossip_interval=0.2,
            probe_interval=1.0,
            last_heard=self.now if self.silent_since is None else self.silent_since,
            local_health=self.health,
            others_alive=self.others,
            answering=frozenset(self.answering),
            healths=self.haproxy_says() if self.is_asked else None,
        )

    def haproxy_says(self):
        words = {member: self.word_on(member) for member in self.servers}
        return words | self.healths

    def word_on(self, member):
        if self.up is None:
            return Health.UP if self.statuses.get(member) in (ALIVE, LEAVING) else Health.DOWN
        return Health.UP if member in self.up else Health.DOWN

    def see(self, member, status, asked=...):
        asked = claim(member) if asked is ... else asked
        self.statuses[member] = status
        self.settle.observe([Sighting(member, status, asked)], self.now)
        self.poll()

    def poll(self):
        decision = self.settle.handle_timeout(self.view, self.now)
        if decision is not None:
            self.decisions.append((self.now, decision))
        assert self.settle.next_deadline() > self.now

    def advance(self, seconds):
        end = self.now + seconds
        while self.settle.next_deadline() <= end:
            self.now = self.settle.next_deadline()
            self.poll()
        self.now = end

    def fall_silent(self):
        self.silent_since = self.now

    def hear(self):
        self.silent_since = None

    @property
    def servers(self):
        return [member.member for member in self.settle.members]

    @property
    def swaps(self):
        return [(at, decision) for at, decision in self.decisions if decision.changes]

    @property
    def state(self):
        return str(self.settle.state(self.view, self.now))

    @property
    def notes(self):
        return self.settle.notes(self.view, self.now)
