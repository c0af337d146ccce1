"""Hypothesis against a small cluster: any sequence of commands and faults, then agreement.

What fails shrinks to a scenario file for `gossip sim run`.
"""

import os

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gossip.sim.acts import (
    Crash,
    ForceLeave,
    Heal,
    JoinAgain,
    Leave,
    Link,
    Partition,
    Pause,
    Restart,
    SendEvent,
    SetTags,
)
from gossip.sim.network import Conditions
from gossip.sim.rules import RuleBrokenError
from gossip.sim.scenario import Scenario, read_scenario
from gossip.sim.session import Session
from gossip.sim.trial import Trial

NODES = 4
NAMES = st.sampled_from([f"n{number}" for number in range(NODES)])
LEAVERS = st.sampled_from([f"n{number}" for number in range(1, NODES)])
"""The first seed does not leave: who left is looked for by nobody (see `gossip.sim.not_yet`)."""
SIDES = st.sampled_from([("n0",), ("n3",), ("n0", "n1"), ("n2", "n3"), ("n0", "n3")])
EXAMPLES = {"dev": 50, "ci": 500, "soak": 50_000}
STEPS = 12


def small_cluster(seed: int, start: str) -> Scenario:
    """Return four nodes that look for each other often, so that an example is short.

    All belong to the core: whoever is down in the end comes back and asks the seeds. Otherwise two halves
    that only knew each other through a member that died have nobody to mend them.
    """
    return Scenario(
        name="state machine",
        seed=seed,
        nodes=NODES,
        seeds=3,
        profile="local",
        start=start,
        spread=0.5,
        retry_interval=5.0,
        swim={"push_pull_interval": 5.0},
        serf={"reconnect_interval": 5.0},
        core=(f"n0..n{NODES - 1}",),
    )


class ClusterMachine(RuleBasedStateMachine):
    """Acts at random; links are cut or members leave, not both: those who left are not looked for."""

    @initialize(
        seed=st.integers(0, 2**16),
        start=st.sampled_from(["agreed", "join"]),
    )
    def begin(self, seed, start):
        self.session = Session(small_cluster(seed, start))
        self.has_cut = False
        self.has_left = False

    def perform(self, act):
        try:
            self.session.do(act)
        except RuleBrokenError as broken:
            self.give_up(broken)

    def give_up(self, broken):
        note(f"save as a file for `gossip sim run`:\n\n{self.session.scenario().text()}")
        raise AssertionError(str(broken)) from broken

    @rule(seconds=st.sampled_from([0.05, 0.5, 2.0, 7.0]))
    def advance(self, seconds):
        try:
            self.session.advance(seconds)
        except RuleBrokenError as broken:
            self.give_up(broken)

    @rule(node=NAMES)
    def crash(self, node):
        self.perform(Crash(node=node))

    @rule(node=NAMES)
    def restart(self, node):
        self.perform(Restart(node=node))

    @rule(node=NAMES, to=NAMES)
    def join(self, node, to):
        self.perform(JoinAgain(node=node, to=(to,)))

    @rule(node=NAMES, lasts=st.sampled_from([0.3, 2.0, 9.0]), freeze=st.booleans())
    def pause(self, node, lasts, freeze):
        self.perform(Pause(node=node, lasts=lasts, freeze=freeze))

    @rule(node=NAMES, version=st.integers(0, 3))
    def set_tags(self, node, version):
        self.perform(SetTags(node=node, tags={"version": str(version)}))

    @rule(node=NAMES, payload=st.sampled_from(["a", "b"]))
    def user_event(self, node, payload):
        self.perform(SendEvent(node=node, name="deploy", payload=payload))

    @rule(sender=NAMES, receiver=NAMES, loss=st.sampled_from([0.2, 0.8]))
    def drop(self, sender, receiver, loss):
        self.perform(Link(sources=(sender,), targets=(receiver,), conditions=Conditions(loss=loss)))

    @precondition(lambda self: not self.has_left)
    @rule(one=SIDES, one_way=st.booleans())
    def partition(self, one, one_way):
        self.has_cut = True
        self.perform(Partition(one=one, one_way=one_way))

    @rule()
    def heal(self):
        self.perform(Heal())

    @precondition(lambda self: not self.has_cut)
    @rule(node=LEAVERS, drain=st.sampled_from([0.0, 5.0, 40.0]))
    def leave(self, node, drain):
        self.has_left = True
        self.perform(Leave(node=node, drain=drain))

    @precondition(lambda self: not self.has_cut)
    @rule(node=NAMES, about=LEAVERS, prune=st.booleans())
    def force_leave(self, node, about, prune):
        self.has_left = True
        self.perform(ForceLeave(node=node, about=about, prune=prune))

    def teardown(self):
        if not hasattr(self, "session"):
            return
        try:
            self.session.settle()
        except RuleBrokenError as broken:
            self.give_up(broken)


TestClusterMachine = ClusterMachine.TestCase
TestClusterMachine.settings = settings(
    max_examples=EXAMPLES.get(
        os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"), 50
    ),
    stateful_step_count=STEPS,
)


def test_a_session_written_down_does_the_same_again():
    session = Session(small_cluster(7, "join"))
    session.advance(2.0)
    session.do(Partition(one=("n3",)))
    session.advance(7.05)
    session.do(Crash(node="n1"))
    session.advance(3.0)
    session.do(Heal())
    session.do(SetTags(node="n0", tags={"a": "b"}))
    session.advance(1.5)
    took = session.settle()
    outcome = Trial(read_scenario(session.scenario().text())).run()
    assert outcome.digest == session.digest
    assert outcome.settled_after == took
