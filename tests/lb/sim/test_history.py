"""What counts as a swap, as a swap undone, and as a backend emptied by failures."""

from gossip.serf.members import MemberStatus
from lb.policy.decision import Change, Decision, Reason
from lb.policy.plan import Claim, PlanConfig, make_plan
from lb.policy.reconciler import Step
from lb.sim.history import History, Process

CONFIG = PlanConfig(backends=("api", "web"))
CLAIM = Claim("web", "w2", "10.0.0.1", 8002, 100)
RUNS = Process(1, MemberStatus.ALIVE, CLAIM)
DOWN = Process(1, MemberStatus.NONE, None)


class File:
    """A file that goes from one set of servers to the next."""

    def __init__(self):
        self.history = History()
        self.plan = make_plan((), CONFIG).plan
        self.processes = {}

    def swap(self, *members, backend="web", **reasons):
        """Go to a file with `members`; who goes out has failed, unless `reasons` say more."""
        claims = [Claim(backend, m, "10.0.0.1", 8000 + int(m[1:]), 100) for m in members]
        after = make_plan(claims, CONFIG).plan
        out = {s.member for s in self.plan.servers} - set(members)
        changes = tuple(Change(m, reasons.get(m, Reason.FAILED)) for m in sorted(out))
        decision = Decision(tuple(claims), changes, frozenset(), 0.0)
        self.history.record(Step(decision, self.plan, after), self.process, 1.0)
        self.plan = after

    def process(self, member):
        return self.processes.get(member, RUNS)

    @property
    def counted(self):
        return len(self.history.swaps), sorted(self.history.undone), self.history.emptied


def test_each_change_of_servers_is_a_swap():
    file = File()
    file.swap("w1")
    file.swap("w1", "w2")
    assert file.counted == (2, [], 0)
    assert [swap.size for swap in file.history.swaps] == [1, 2]


def test_a_step_that_changes_no_server_is_none():
    file = File()
    file.swap("w1")
    file.swap("w1")
    assert file.counted == (1, [], 0)


def test_who_is_put_back_though_its_process_never_stopped_was_taken_out_for_nothing():
    file = File()
    file.swap("w1", "w2")
    file.swap("w1")
    file.swap("w1", "w2")
    assert file.counted == (3, [1], 0)


def test_who_stopped_and_came_back_is_no_swap_undone():
    file = File()
    file.swap("w1", "w2")
    file.processes["w2"] = DOWN
    file.swap("w1")
    file.processes["w2"] = Process(2, MemberStatus.ALIVE, CLAIM)
    file.swap("w1", "w2")
    assert file.counted == (3, [], 0)


def test_taken_out_only_after_it_had_come_back_is_undone():
    file = File()
    file.swap("w1", "w2")
    file.processes["w2"] = Process(2, MemberStatus.ALIVE, CLAIM)
    file.swap("w1")
    file.swap("w1", "w2")
    assert file.counted == (3, [1], 0)


def test_who_withdrew_and_asked_again_is_no_swap_undone():
    file = File()
    file.swap("w1", "w2")
    file.processes["w2"] = Process(1, MemberStatus.ALIVE, None)
    file.swap("w1", w2=Reason.WITHDRAWN)
    file.processes["w2"] = RUNS
    file.swap("w1", "w2")
    assert file.counted == (3, [], 0)


def test_a_dead_server_put_in_and_out_again_is_undone():
    file = File()
    file.processes["w2"] = DOWN
    file.swap("w1")
    file.swap("w1", "w2")
    file.swap("w1")
    assert file.counted == (3, [1], 0)


def test_an_arrival_is_not_undone_by_a_mistaken_removal():
    file = File()
    file.swap("w1")
    file.swap("w1", "w2")
    file.swap("w1")
    assert file.counted == (3, [], 0)


def test_each_swap_is_undone_once_however_many_members_come_back():
    file = File()
    file.swap("w1", "w2", "w3")
    file.swap("w1")
    file.swap("w1", "w2")
    file.swap("w1", "w2", "w3")
    assert file.counted == (4, [1], 0)


def test_a_flapping_member_undoes_each_swap_of_its_own():
    file = File()
    for servers in (("w1", "w2"), ("w1",), ("w1", "w2"), ("w1",), ("w1", "w2")):
        file.swap(*servers)
    assert file.counted == (5, [1, 3], 0)


def test_last_servers_that_failed_empty_their_backend():
    file = File()
    file.swap("w1", "w2")
    file.swap()
    assert file.history.emptied == 1


def test_a_backend_whose_last_servers_left_is_not_emptied_by_failures():
    file = File()
    file.swap("w1", "w2")
    file.swap(w1=Reason.LEFT)
    assert file.history.emptied == 0


def test_a_backend_that_keeps_a_server_is_not_emptied():
    file = File()
    file.swap("w1", "w2")
    file.swap("w2")
    assert file.history.emptied == 0
