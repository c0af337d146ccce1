"""What must hold at every decision of `lb.settle`, whatever happens before it."""

from math import inf

from hypothesis import example, given
from hypothesis import strategies as st

from gossip.serf.members import MemberStatus
from lb.policy.decision import Reason
from lb.policy.failure_lane import MIN_GAP
from lb.policy.plan import PlanConfig, make_plan
from lb.policy.settle import SettleConfig
from lb.policy.witness import Health
from tests.lb.policy.settling import ALIVE, FAILED, LEAVING, LEFT, Balancer, Q, claim

CONFIG = SettleConfig()
BY_FAILURE = (Reason.FAILED, Reason.ABSENT)
EPSILON = 1e-6
MEMBERS = [f"web-{i}" for i in range(6)]
PORTS = st.integers(0, 4)  # fewer than members: addresses are reused
STEPS = st.one_of(
    st.tuples(
        st.just("see"), st.sampled_from(MEMBERS), st.sampled_from([ALIVE, ALIVE, LEAVING, LEFT]), PORTS
    ),
    st.tuples(st.just("see"), st.sampled_from(MEMBERS), st.just(FAILED), PORTS),
    st.tuples(st.just("withdraw"), st.sampled_from(MEMBERS)),
    st.tuples(st.just("suspect"), st.sets(st.sampled_from(MEMBERS), max_size=2)),
    st.tuples(st.just("up"), st.one_of(st.none(), st.sets(st.sampled_from(MEMBERS)))),
    st.tuples(st.just("answer"), st.sets(PORTS)),
    st.tuples(st.just("health"), st.sampled_from([0, 0, 2, 4])),
    st.tuples(st.just("silent")),
    st.tuples(st.just("hear")),
    st.tuples(st.just("advance"), st.sampled_from([0.1, 0.3, 0.7, 1.0, 2.5, 6.0, 31.0])),
)
STORIES = st.lists(STEPS, min_size=8, max_size=40)


class Watched(Balancer):
    """A balancer that judges each of its decisions by a second, simpler account of the world."""

    def __init__(self, seeded=()):
        self.status = dict.fromkeys(seeded, MemberStatus.NONE)
        self.asked = dict.fromkeys(seeded, True)
        self.told_at = dict.fromkeys(seeded, 1000.0)
        self.last_swap = self.last_cut = self.connected_since = -1e9
        super().__init__()
        if seeded:
            self.settle.seed([claim(member) for member in seeded], self.now)
            self.told_at = dict.fromkeys(seeded, self.now)
        self.poll()

    def tell(self, member, status, asked):
        if self.status.get(member) is FAILED and status is LEAVING:
            return  # gossip does not say that
        if (status, asked is not None) != (self.status.get(member), self.asked.get(member)):
            self.told_at[member] = self.now
        self.status[member] = status
        self.asked[member] = asked is not None
        self.suspects = {m for m in self.suspects if self.status.get(m) in (ALIVE, LEAVING)}
        self.see(member, status, asked)

    def do(self, step):
        match step:
            case ("see", member, status, port):
                self.tell(member, status, claim(member, port + 1))
            case ("withdraw", member):
                self.tell(member, ALIVE, None)
            case ("suspect", members):
                self.suspects = {m for m in members if self.status.get(m) in (ALIVE, LEAVING)}
            case ("up", up):
                self.up = up
            case ("answer", ports):
                self.answering = {("10.0.0.1", port + 1) for port in ports}
            case ("health", health):
                self.health = health
            case ("silent",) if self.silent_since is None:
                self.fall_silent()
            case ("hear",):
                self.hear()
            case ("advance", seconds):
                self.advance(seconds)

    def poll(self):
        before = {line.member: line for line in self.settle.members}
        known = len(self.decisions)
        super().poll()
        for _, decision in self.decisions[known:]:
            self.check(before, decision)

    def check(self, old, decision):
        before = set(old)
        for line in decision.members:
            if line.member in before and line.place != old[line.member].place:
                is_down = self.word_on(line.member) is Health.DOWN
                assert is_down or (line.host, line.port) in self.answering, "no move to where nobody answers"
        places = [member.place for member in decision.members]
        assert len(set(places)) == len(places), "one address, one server line"
        names = {member.member for member in decision.members}
        assert decision.draining <= names
        assert all(self.status[m] in (LEAVING, LEFT) or not self.asked[m] for m in decision.draining)
        if decision.changes:
            assert self.now >= self.last_swap + MIN_GAP - EPSILON
            self.last_swap = self.now
        cut = {change.member for change in decision.changes if change.reason in BY_FAILURE}
        if cut:
            self.check_cut(cut, before, names)

    def check_cut(self, cut, before, names):
        assert not self.view.is_isolated(self.now)
        assert all(self.status[m] in (FAILED, MemberStatus.NONE) for m in cut)
        assert all(self.now >= self.told_at[m] + Q - EPSILON for m in cut)
        assert all(self.word_on(m) is Health.DOWN for m in cut), "gossip's word alone removes nobody"
        # one failure that waits for too long ends the wait of all, even if HAProxy keeps its own server
        failed = [m for m in before if self.status[m] in (FAILED, MemberStatus.NONE)]
        starved = any(self.now >= self.told_at[m] + CONFIG.settle_max - EPSILON for m in failed)
        ours = {m for m in self.suspects if m in before or (self.status[m] is ALIVE and self.asked[m])}
        assert not ours or starved
        assert self.health <= 3 or starved
        assert self.now >= self.last_cut + Q - EPSILON or starved
        stays = names & before
        assert any((self.status[m] is ALIVE and self.asked[m]) or self.word_on(m) is Health.UP for m in stays)
        self.last_cut = self.now

    def calm_down(self):
        self.hear()
        self.suspects, self.health, self.up = set(), 0, None
        self.answering = {("10.0.0.1", port) for port in range(10)}
        self.advance(5.0)
        self.now += 700.0  # a late poll is a poll; longer than any flap penalty
        self.poll()
        self.advance(5.0)


def play(steps, seeded=()):
    lb = Watched(seeded)
    for i, member in enumerate(MEMBERS[:5] if not seeded else ()):
        lb.tell(member, ALIVE, claim(member, i + 1))
    lb.advance(3.0)
    for step in steps:
        lb.do(step)
    return lb


@given(STORIES, st.sampled_from([(), tuple(MEMBERS[:3])]))
@example(  # a leave that was spared was due for long when it was not spared any more
    steps=[
        ("see", "web-0", FAILED, 0),
        ("withdraw", "web-0"),
        ("advance", 31.0),
        ("silent",),
        ("see", "web-1", ALIVE, 0),
        ("see", "web-1", ALIVE, 0),
        ("silent",),
    ],
    seeded=tuple(MEMBERS[:3]),
)
def test_every_decision_keeps_the_rules(steps, seeded):
    play(steps, seeded)


@given(STORIES)
@example(  # the last server withdrew, was spared, and asked for another place
    steps=[
        ("see", "web-2", FAILED, 0),
        ("see", "web-4", FAILED, 0),
        ("withdraw", "web-1"),
        ("withdraw", "web-3"),
        ("withdraw", "web-0"),
        ("see", "web-1", ALIVE, 0),
    ],
)
def test_when_the_trouble_is_over_all_alive_members_are_in_and_no_other_but_held_ones(steps):
    lb = play(steps)
    lb.calm_down()
    alive = {m for m, status in lb.status.items() if status is ALIVE and lb.asked[m]}
    servers = set(lb.servers)
    disputed = {note.member for note in lb.notes if note.topic == "disputed"}
    held = {note.member for note in lb.notes if note.topic == "held"}
    leaving = {m for m in servers if lb.status[m] is LEAVING}
    assert alive - disputed <= servers <= alive | held | leaving
    assert not held or not (servers & alive)
    assert lb.settle.next_deadline() == inf or held or leaving


@given(STORIES)
def test_who_left_is_out_after_two_seconds_whatever_else_is_wrong(steps):
    lb = play(steps)
    lb.advance(CONFIG.at_most)
    gone = {m for m in lb.servers if lb.status[m] is LEFT or not lb.asked[m]}
    assert len(gone) <= CONFIG.min_backends, "only the last servers that are not down are spared"
    assert not any(lb.word_on(m) is Health.DOWN for m in gone)


@given(STORIES)
def test_nobody_is_removed_by_failure_while_isolated(steps):
    lb = Watched(tuple(MEMBERS))
    lb.fall_silent()
    lb.advance(4.1)
    lb.decisions.clear()
    for step in steps:
        if step[0] != "hear":
            lb.do(step)
    lb.now += 100.0
    lb.poll()
    lb.advance(5.0)
    assert not any(change.reason in BY_FAILURE for _, d in lb.decisions for change in d.changes)


STORY = st.lists(st.sampled_from([ALIVE, FAILED, ALIVE, LEFT]), min_size=1, max_size=5)


@given(st.lists(STORY, min_size=1, max_size=5), st.randoms(), st.randoms())
def test_two_balancers_that_hear_the_same_in_any_order_write_the_same(stories, first, second):
    plans = []
    for rng in (first, second):
        lb = Watched()
        lb.tell("web-99", ALIVE, claim("web-99"))  # somebody is always there: nobody is held
        todo = {f"web-{i}": list(story) for i, story in enumerate(stories, 1)}
        while todo:
            member = rng.choice(sorted(todo))
            lb.tell(member, todo[member].pop(0), claim(member))
            if not todo[member]:
                del todo[member]
            lb.advance(rng.choice([0.0, 0.1, 0.9, 3.0]))
        lb.calm_down()
        plans.append(make_plan(lb.settle.members, PlanConfig()).plan)
    assert plans[0] == plans[1]
    assert plans[0].digest == plans[1].digest
