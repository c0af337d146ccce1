"""SWIM's first invariant: per incarnation a member only goes from alive over suspect to dead or left."""

from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.serf.node import SerfNode
from gossip.swim.effects import SendPacket
from gossip.wire.address import pack_address
from gossip.wire.codec import decode
from gossip.wire.messages import Ack, Dead, MemberState, Ping, PushPull
from tests.properties.claims import PARTS, STATES
from tests.serf.rig import ME, STRANGER, Rig, alive, host
from tests.sim.rig import LOCAL, advance, block, cluster_of

RANK = {MemberState.ALIVE: 0, MemberState.SUSPECT: 1, MemberState.DEAD: 2, MemberState.LEFT: 2}
View = dict[str, tuple[int, MemberState, object]]


def view(node: SerfNode) -> View:
    rows = node.swim.table.by_name
    return {name: (row.incarnation, row.state, row.address) for name, row in rows.items()}


def check_progress(before: View, after: View) -> None:
    """Check what messages alone may do; a change of address takes time, to ask at both."""
    assert before.keys() <= after.keys()
    for name, (old, old_state, old_home) in before.items():
        new, new_state, new_home = after[name]
        assert new_home == old_home
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


PLACES = [host(f"n{number}") for number in range(1, 6)]
OWNERS = ("n1", "n2", "n3")
CLAIMS = st.one_of(
    st.builds(
        lambda name, incarnation, addr: alive(name, incarnation, addr=addr),
        st.sampled_from(OWNERS),
        st.integers(1, 4),
        st.sampled_from(PLACES),
    ),
    st.builds(Dead, st.integers(1, 4), st.sampled_from(OWNERS), st.sampled_from(OWNERS)),
    st.sampled_from([0.2, 1.0, 4.0, 40.0]),
)


def answer(rig: Rig, silent: set[bytes]) -> None:
    """Let every ping be answered that was sent to an address that is not silent."""
    pings = [
        (packet.to, message)
        for packet in rig.emitted(SendPacket)
        for message in map(decode, packet.parts)
        if isinstance(message, Ping)
    ]
    rig.forget()
    for to, ping in pings:
        if pack_address(to.host) not in silent:
            rig.hear(Ack(ping.seq), source=to)


def homes(node: SerfNode) -> dict[str, bytes]:
    return {name: row.alive.addr for name, row in node.swim.table.by_name.items()}


@given(st.sets(st.sampled_from(PLACES)), st.lists(CLAIMS, max_size=12))
def test_a_name_moves_only_from_an_address_that_is_silent_to_one_that_answers(silent, story):
    rig = Rig(members=OWNERS)
    held = homes(rig.node)
    for claim in story:
        if not isinstance(claim, float):
            rig.hear(claim)
            assert homes(rig.node).items() >= held.items()  # it takes time to ask at both addresses
        end = rig.now + (claim if isinstance(claim, float) else 0.0)
        while rig.node.next_deadline() <= end:
            before = homes(rig.node)
            rig.advance(max(0.0, rig.node.next_deadline() - rig.now))
            held = homes(rig.node)
            for name in held.keys() & before.keys():
                assert held[name] == before[name] or (before[name] in silent and held[name] not in silent)
            answer(rig, silent)
        rig.advance(end - rig.now)


NAMES = ("n0", "n1", "n2", "n3", "n4")
NAME = st.sampled_from(NAMES)
LINKS = st.lists(st.tuples(NAME, NAME), max_size=8)
PAUSE = st.sampled_from([0.5, 3.0, 10.0])


def views(cluster):
    return {host.name: view(host.node) for host in cluster.up()}


@given(st.integers(), st.lists(st.tuples(st.frozensets(NAME, max_size=2), PAUSE), max_size=8))
def test_nobody_raises_an_incarnation_but_its_owner(seed, islands):
    cluster = cluster_of(len(NAMES), LOCAL, seed=seed)
    for island, pause in islands:
        block(cluster, island, set(NAMES) - island)
        for _ in range(8):
            before = views(cluster)
            advance(cluster, pause / 8)
            own = {host.name: host.node.swim.table.me.incarnation for host in cluster.up()}
            for name, seen in views(cluster).items():
                assert all(seen[other][0] <= own[other] for other in seen)
                assert all(
                    seen[other][0] >= before[name][other][0] for other in seen.keys() & before[name].keys()
                )
        cluster.network.lift_all()


@given(st.integers(), LINKS, st.lists(st.tuples(NAME, PAUSE), max_size=8))
def test_views_follow_a_member_from_address_to_address_and_never_back(seed, cuts, moves):
    cluster = cluster_of(len(NAMES), LOCAL, seed=seed)
    for source, target in cuts:
        block(cluster, [source], [target])
    lived = {name: [cluster.hosts[name].address] for name in NAMES}
    known: dict[tuple[str, str, int], int] = {}  # by viewer, member and the viewer's life: which address
    for mover, pause in moves:
        lived[mover].append(cluster.move(cluster.hosts[mover]).address)
        for _ in range(4):
            advance(cluster, pause / 4)
            for viewer, seen in views(cluster).items():
                for name, (_, _, address) in seen.items():
                    key = (viewer, name, cluster.hosts[viewer].life)
                    place = lived[name].index(address)
                    assert place >= known.get(key, 0)
                    known[key] = place
