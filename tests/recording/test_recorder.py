"""The ring: what is kept, what is forgotten, and that nothing escapes it."""

import inspect

from gossip.recording.graph import dump_state
from gossip.recording.recorder import MAX_INPUT_BYTES, MAX_INPUTS, VERBS, RecordedNode, Recorder, record
from gossip.recording.recording import encode_recording
from gossip.recording.rows import unpack_rows
from gossip.serf.node import SerfNode
from gossip.wire.codec import encode
from tests.recording.rig import START, Recorded, new_node
from tests.serf.rig import alive, home

READS = {
    "answer_stream_ping",
    "clocks",
    "coordinate",
    "count_alive",
    "counters",
    "is_suspect",
    "last_heard",
    "local_health",
    "local_state",
    "member",
    "members",
    "pending_broadcasts",
    "rejected",
    "retransmit_limit",
    "saved_state",
    "stats",
    "status",
    "suspects",
    "swim",
    "tags",
}
"""What drivers may ask a node without changing it; `reads_change_nothing` shows that it is so."""


def public(cls: type) -> set[str]:
    return {name for name in vars(cls) if not name.startswith("_")}


def test_every_way_into_a_node_is_recorded_or_changes_nothing():
    assert public(SerfNode) - READS == set(VERBS)


def test_reads_change_nothing():
    recorded = Recorded()
    recorded.node.receive_packet([encode(alive("n1")), encode(alive("n2"))], home("n1"), START)
    before = dump_state(recorded.bare)
    arguments = {
        "answer_stream_ping": [inspect],
        "coordinate": ["n1"],
        "is_suspect": ["n1"],
        "member": ["n1"],
    }
    for name in READS - {"answer_stream_ping"}:
        found = getattr(recorded.node, name)
        if inspect.ismethod(found):
            found(*arguments.get(name, []), **({"join": True} if name == "local_state" else {}))
    assert dump_state(recorded.bare) == before


def test_the_numbers_of_the_calls_stay():
    assert VERBS[:8] == (
        "receive_packet",
        "handle_timeout",
        "effects",
        "next_deadline",
        "receive_user_message",
        "merge_remote_state",
        "stream_ping_answered",
        "announce_join",
    )


def test_a_recorded_node_answers_as_the_node():
    recorded = Recorded()
    assert recorded.node.name == recorded.bare.name
    assert recorded.node.members() == recorded.bare.members()
    assert recorded.node.force_leave("nobody", prune=False, now=START) == 0
    assert isinstance(recorded.node, RecordedNode)


def test_a_window_ends_at_its_number_of_inputs():
    recorded = Recorded(max_inputs=3)
    for _ in range(3):
        recorded.node.handle_timeout(START)
    assert recorded.recorder.renewals == 0
    recorded.node.handle_timeout(START)
    assert recorded.recorder.renewals == 1
    recorded.check()


def test_a_window_ends_at_its_number_of_bytes():
    recorded = Recorded(max_bytes=100)
    part = bytes(40)
    for _ in range(2):
        recorded.node.receive_packet([part], home("n1"), START)
    assert recorded.recorder.renewals == 0
    recorded.node.receive_packet([part], home("n1"), START)
    assert recorded.recorder.renewals == 1
    recorded.check()


def test_a_dump_always_covers_a_full_window_once_there_was_one():
    recorded = Recorded(max_inputs=5)
    for number in range(1, 40):
        recorded.node.handle_timeout(START + number)
        snapshot = recorded.recorder.snapshot()
        kept = [len(list(unpack_rows(inputs))) for inputs in snapshot.inputs]
        assert sum(kept) == min(number, 5 + kept[-1])
        assert len(kept) == (1 if number <= 5 else 2)
        recorded.check()


def test_what_a_ring_takes_is_bounded():
    recorded = Recorded(max_inputs=10**9, max_bytes=2000)
    for number in range(500):
        recorded.node.receive_packet([bytes(50)], home("n1"), START + number)
        recorded.settle()
    snapshot = recorded.recorder.snapshot()
    assert sum(map(len, snapshot.inputs)) <= 2 * (2000 + 100)
    assert len(encode_recording(snapshot, "", START)) < 20_000


def test_the_default_ring_takes_a_few_megabytes():
    assert 2 * MAX_INPUT_BYTES <= 4 * 1024 * 1024
    assert MAX_INPUTS <= 20_000


def test_a_snapshot_does_not_change_when_the_node_goes_on():
    recorded = Recorded()
    recorded.node.handle_timeout(START)
    snapshot = recorded.recorder.snapshot()
    kept = encode_recording(snapshot, "", START)
    recorded.advance(5.0)
    assert encode_recording(snapshot, "", START) == kept


def test_recording_begins_in_the_middle_of_a_life():
    node = new_node()
    for number in range(20):
        node.handle_timeout(START + number)
    late = record(node, Recorder(node))
    late.handle_timeout(START + 30)
    recorded = Recorded(node)
    recorded.now = START + 30
    recorded.advance(5.0)
    recorded.check()


def test_looking_for_the_next_deadline_is_recorded_once():
    recorded = Recorded()
    for _ in range(5):
        recorded.node.next_deadline()
    assert len(list(unpack_rows(recorded.recorder.snapshot().inputs[0]))) == 1
