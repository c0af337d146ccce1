"""SWIM's first invariant: per incarnation a member only goes from alive over suspect to dead or left."""

from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.serf.node import SerfNode
from gossip.wire.messages import MemberState, PushPull
from tests.cluster import Cluster
from tests.properties.claims import PARTS, STATES
from tests.serf.rig import ME, STRANGER, Rig

RANK = {MemberState.ALIVE: 0, MemberState.SUSPECT: 1, MemberState.DEAD: 2, MemberState.LEFT: 2}
View = dict[str, tuple[int, MemberState, object]]


def view(node: SerfNode) -> View:
    rows = node.swim.table.by_name
    return {name: (row.incarnation, row.state, row.address) for name, row in rows.items()}


def check_progress(before: View, after: View) -> None:
    for name in before.keys() & after.keys():
        (old, old_state, old_home), (new, new_state, new_home) = before[name], after[name]
        if old_home != new_home:
            continue  # a member whose old address is silent may start anew elsewhere
        assert new >= old
        if new == old:
            assert RANK[new_state] >= RANK[old_state]
        if old_state is not new_state and RANK[old_state] == RANK[new_state]:
            raise AssertionError(f"{name} went from {old_state.name} to {new_state.name}")


@given(st.lists(PARTS | STATES, max_size=40))
def test_claims_only_move_a_member_forward(heard):
    rig = Rig(members=["n1", "n2", "n3"])
    for claim in heard:
        before = view(rig.node)
        if isinstance(claim, PushPull):
            # Row by row: one state may well bury a member and bring it back.
            for row in claim.nodes:
                before = view(rig.node)
                try:
                    rig.merge(None, row)
                except RemoteProtocolError:
                    continue
                check_progress(before, view(rig.node))
        else:
            rig.node.receive_packet([claim], STRANGER, rig.now)
            check_progress(before, view(rig.node))


@given(st.lists(PARTS | STATES, max_size=40))
def test_this_node_is_alive_to_itself_whatever_others_say(heard):
    rig = Rig(members=["n1", "n2", "n3"])
    incarnation = 1
    for claim in heard:
        if isinstance(claim, PushPull):
            try:
                rig.node.merge_remote_state(claim, initiated=False, now=rig.now)
            except RemoteProtocolError:
                continue
        else:
            rig.node.receive_packet([claim], STRANGER, rig.now)
        row = rig.node.swim.table.by_name[ME]
        assert row.state is MemberState.ALIVE
        assert row.incarnation == row.alive.incarnation >= incarnation
        incarnation = row.incarnation


@given(st.lists(PARTS | STATES, max_size=40))
def test_clocks_never_go_back(heard):
    rig = Rig(members=["n1", "n2"])
    before = [1, 1, 1]
    for claim in heard:
        if isinstance(claim, PushPull):
            try:
                rig.node.merge_remote_state(claim, initiated=True, now=rig.now)
            except RemoteProtocolError:
                continue
        else:
            rig.node.receive_packet([claim], STRANGER, rig.now)
        stats = rig.node.stats()
        after = [int(stats[f"{clock}_time"]) for clock in ("member", "event", "query")]
        assert all(new >= old for old, new in zip(before, after, strict=True))
        assert max(after) < 2**64
        before = after


NAMES = "abcde"
LINKS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=8)


@given(st.integers(), LINKS, st.lists(st.sampled_from([0.1, 0.7, 3.0]), max_size=12))
def test_nobody_raises_an_incarnation_but_its_owner(seed, cuts, pauses):
    cluster = Cluster(seed)
    cluster.form(*NAMES)
    for source, target in cuts:
        cluster.cut(source, target)
    for pause in pauses:
        before = {name: view(node) for name, node in cluster.nodes.items()}
        cluster.advance(pause)
        own = {name: node.swim.table.me.incarnation for name, node in cluster.nodes.items()}
        for name, node in cluster.nodes.items():
            seen = view(node)
            assert all(seen[other][0] <= own[other] for other in seen)
            assert all(
                seen[other][0] >= before[name][other][0] for other in seen.keys() & before[name].keys()
            )
