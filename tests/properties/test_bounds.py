"""Every table and queue stays within its named limit, whatever comes in."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.serf.config import SerfConfig
from gossip.serf.roster import GONE
from gossip.swim.config import SwimConfig
from gossip.swim.deadlines import LEFTOVERS_TOLERATED
from gossip.swim.effects import SendPacket
from gossip.swim.reclaim import PINGS
from gossip.wire.messages import PushPull
from gossip.wire.packet import MAX_PARTS_SENT
from tests.properties.claims import PARTS, STATES
from tests.serf.rig import STRANGER, Rig

TIGHT = SerfConfig(
    swim=SwimConfig(max_members=4, max_relays=2, packet_budget=300),
    buffered_times=4,
    buffered_messages=6,
    max_queue_depth=3,
    max_recent_intents=3,
    reap_interval=1.0,
    recent_intent_timeout=5.0,
    reconnect_timeout=20.0,
    tombstone_timeout=20.0,
)
# Probe, its timeout and verdict, gossip, push/pull, reap, reconnect, leave, queue check, one to spare.
FIXED_TIMERS = 10


def check(rig: Rig) -> None:
    node, swim = rig.node, rig.node.swim
    members = swim.config.max_members
    assert len(swim.table) <= members
    assert len(swim.table.name_at) <= members
    assert len(swim.view.suspicions) <= members
    assert len(node.members()) <= 2 * members
    gone = {member.name for member in node.members() if member.status in GONE}
    assert {member.name for member in node._roster.gone_members()} == gone
    assert len(swim.detector.relays) <= swim.config.max_relays
    assert len(swim.queue) <= members + 1
    assert all(len(queue) <= node.config.max_queue_depth for queue in node._broadcasts.queues)
    assert len(node._roster.recent_intents) <= node.config.max_recent_intents
    for recent in (node._events.recent, node._seen_queries.recent):
        seen = list(recent)
        assert len(seen) <= node.config.buffered_times
        assert sum(len(things) for _, things in seen) == len(recent) <= node.config.buffered_messages
        assert recent.size_bytes <= node.config.buffered_bytes
    assert len(swim.reclaims) <= members
    assert len(swim.reclaims._pinged) <= 2 * PINGS * len(swim.reclaims)
    timers = FIXED_TIMERS + members + 2 * members + swim.config.max_relays + len(swim.reclaims)
    assert len(swim.deadlines) <= timers
    assert len(swim.deadlines._heap) <= 2 * timers + LEFTOVERS_TOLERATED
    for packet in rig.emitted(SendPacket):
        assert len(packet.parts) <= MAX_PARTS_SENT
    rig.forget()


STEPS = st.lists(
    st.tuples(st.lists(PARTS, max_size=4) | STATES, st.sampled_from([0.0, 0.01, 0.3, 2.0, 31.0])), max_size=25
)


@given(STEPS)
def test_tables_and_queues_stay_within_their_limits(steps):
    rig = Rig(TIGHT)
    for heard, pause in steps:
        if isinstance(heard, PushPull):
            with contextlib.suppress(RemoteProtocolError):
                rig.node.merge_remote_state(heard, initiated=False, now=rig.now)
        else:
            rig.node.receive_packet(heard, STRANGER, rig.now)
        check(rig)
        rig.advance(pause)
        check(rig)


@given(st.lists(PARTS, max_size=30))
def test_no_packet_is_longer_than_its_budget_unless_one_message_is(parts):
    rig = Rig(TIGHT, members=["n1", "n2"])
    rig.node.receive_packet(parts, STRANGER, rig.now)
    rig.advance(5.0)
    packets = [packet.parts for packet in rig.emitted(SendPacket) if len(packet.parts) > 1]
    buddies = {0, 3}  # a ping and the accusation that it brings are never split
    for parts in packets:
        size = 2 + sum(2 + len(part) for part in parts)
        assert size <= 300 or {part[0] for part in parts} == buddies
