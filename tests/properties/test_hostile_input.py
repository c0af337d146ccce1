"""Nothing that a peer can send raises, and what is rejected leaves no trace but a counter."""

from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.swim.effects import MessageRejected
from tests.properties.claims import HOSTILE, PARTS, STATES
from tests.serf.rig import ME, Rig, home


def fingerprint(rig: Rig) -> object:
    """Return everything that the node knows and has queued."""
    swim = rig.node.swim
    queues = (swim.queue, *rig.node._broadcasts.queues)
    return (
        [member.row() for member in swim.table.by_name.values()],
        [(m.name, m.status, m.status_ltime, m.alive) for m in rig.node.members()],
        [
            [(b.key, b.data, b.transmits) for t in queue.tiers for s in t.values() for b in s]
            for queue in queues
        ],
        {name: (s.reporter, tuple(s.confirmers), s.deadline) for name, s in swim.view.suspicions.items()},
        dict(swim.table.name_at),
        swim.deadlines._at.copy(),
        rig.node.stats(),
        rig.node.local_state(join=False),
        len(swim.detector.relays),
        swim.last_heard,
    )


def rig_in_the_middle_of_life() -> Rig:
    rig = Rig(members=["n1", "n2", "n3", "n4"])
    rig.suspect("n1")
    rig.fail("n2")
    rig.leave("n3")
    rig.advance(1.5)
    rig.forget()
    return rig


@given(st.lists(HOSTILE | PARTS, max_size=12))
def test_a_rejected_part_changes_nothing(parts):
    rig = rig_in_the_middle_of_life()
    for part in parts:
        rig.forget()
        before, rejected = fingerprint(rig), rig.node.rejected
        rig.node.receive_packet([part], home("n4"), rig.now)
        if rig.node.rejected > rejected:
            assert fingerprint(rig) == before
            assert [type(effect) for effect in rig.effects()] == [MessageRejected]


@given(st.lists(st.tuples(st.lists(HOSTILE | PARTS, max_size=4), st.floats(0.0, 20.0)), max_size=8))
def test_no_packet_raises_and_time_goes_on(packets):
    rig = rig_in_the_middle_of_life()
    for parts, pause in packets:
        rig.node.receive_packet(parts, home("n1"), rig.now)
        rig.advance(pause)
        rig.node.local_state(join=False)
        assert all(isinstance(tag, str) for member in rig.node.members() for tag in member.tags)


@given(STATES, st.booleans(), st.booleans())
def test_a_refused_state_changes_nothing(state, initiated, replay):
    rig = rig_in_the_middle_of_life()
    before = fingerprint(rig)
    try:
        rig.node.merge_remote_state(state, initiated=initiated, now=rig.now, replay=replay)
    except RemoteProtocolError:
        assert fingerprint(rig) == before
        assert rig.effects() == []


@given(st.lists(STATES | HOSTILE, max_size=6))
def test_after_anything_a_node_can_still_speak_and_leave(inputs):
    rig = rig_in_the_middle_of_life()
    for state in inputs:
        if isinstance(state, bytes):
            rig.node.receive_packet([state], home("n4"), rig.now)
            continue
        try:
            rig.merge(None, *state.nodes)
            rig.node.merge_remote_state(state, initiated=True, now=rig.now)
        except RemoteProtocolError:
            pass
    rig.node.announce_join(rig.now)
    rig.node.user_event("deploy", b"", coalesce=False, now=rig.now)
    rig.node.force_leave("n2", prune=True, now=rig.now)
    rig.node.finish_leave(rig.now)
    rig.advance(15.0)
    assert rig.node.status.name == "LEFT"
    assert rig.node.swim.table.by_name[ME].is_gone
