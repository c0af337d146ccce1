"""What was recorded happens again: the same state, the same effects, the same future."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import GossipError
from gossip.recording.graph import dump_state, load_state
from gossip.recording.recorder import EFFECTS, HANDLE_TIMEOUT, RECEIVE_PACKET, VERBS, fingerprint
from gossip.recording.recording import Recording, Stretch
from gossip.recording.replay import MAX_TIME, Replay
from gossip.recording.rows import RecordingError, pack_row, unpack_rows
from gossip.wire.codec import encode
from tests.properties.claims import HOSTILE, NAMES, PARTS, STATES
from tests.recording.rig import START, Recorded, new_node
from tests.serf.rig import ME, alive, home

TAGS = st.dictionaries(st.sampled_from(["role", "\udcff", "x"]), st.sampled_from(["", "web", "w" * 600]))
PACKETS = st.tuples(
    st.just("packet"), st.lists(PARTS | HOSTILE, max_size=4), st.sampled_from(["n1", "n2", ME])
)
COMMANDS = st.one_of(
    st.tuples(st.just("announce_join")),
    st.tuples(st.just("begin_leave")),
    st.tuples(st.just("finish_leave")),
    st.tuples(st.just("force_leave"), NAMES, st.booleans()),
    st.tuples(st.just("set_tags"), TAGS),
    st.tuples(st.just("user_event"), st.sampled_from(["a", "b" * 600]), st.binary(max_size=9), st.booleans()),
    st.tuples(st.just("push_pull_now"), st.lists(NAMES, max_size=3)),
    st.tuples(st.just("stream_ping_answered"), st.integers(0, 6)),
    st.tuples(st.just("receive_user_message"), HOSTILE | PARTS.map(lambda part: part[1:])),
    st.tuples(st.just("merge"), STATES, st.booleans(), st.booleans()),
)
WAITS = st.tuples(st.just("wait"), st.floats(0, 20))
INPUTS = st.lists(PACKETS | PACKETS | COMMANDS | WAITS, max_size=25)


def feed(recorded: Recorded, step: tuple[object, ...]) -> None:
    """Carry out one drawn input, as a driver does; what the node refuses, it refuses."""
    node, now = recorded.node, recorded.now
    match step:
        case ("packet", parts, source):
            node.receive_packet(parts, home(source), now)
        case ("wait", seconds):
            recorded.advance(seconds)
        case ("force_leave", name, prune):
            node.force_leave(name, prune=prune, now=now)
        case ("user_event", name, payload, coalesce):
            node.user_event(name, payload, coalesce=coalesce, now=now)
        case ("push_pull_now", names):
            node.push_pull_now(names)
        case ("receive_user_message", payload):
            node.receive_user_message(payload, now)
        case ("merge", state, initiated, replay):
            node.merge_remote_state(state, initiated=initiated, now=now, replay=replay)
        case (verb, *args):
            getattr(node, verb)(*args, now)


def feed_all(recorded: Recorded, inputs: list[tuple[object, ...]], *, settles: bool = True) -> None:
    for step in inputs:
        with suppress(GossipError):
            feed(recorded, step)
        if settles:
            recorded.settle()


@given(INPUTS, INPUTS, INPUTS)
def test_a_replay_ends_in_the_same_state_and_lives_on_in_the_same_way(before, recorded_part, after):
    past = Recorded()
    feed_all(past, before)
    recorded = Recorded(past.bare)
    recorded.now = past.now
    feed_all(recorded, recorded_part)
    replay = recorded.check()

    twin = Recorded(replay.node)
    twin.now = recorded.now
    for each in (recorded, twin):
        feed_all(each, after)
        each.advance(40.0)
    assert dump_state(twin.bare) == dump_state(recorded.bare)
    assert (
        b"".join(twin.recorder.snapshot().inputs)[-500:]
        == b"".join(recorded.recorder.snapshot().inputs)[-500:]
    )


@given(INPUTS, st.integers(1, 12), st.booleans())
def test_checkpoints_on_the_way_change_nothing(inputs, most, settles):
    recorded, bare = Recorded(max_inputs=most), Recorded()
    for each in (recorded, bare):
        feed_all(each, inputs, settles=settles)
    assert dump_state(recorded.bare) == dump_state(bare.bare)
    recorded.check()


@given(INPUTS)
def test_a_restored_state_is_the_state(inputs):
    recorded = Recorded()
    feed_all(recorded, inputs, settles=False)
    state = dump_state(recorded.bare)
    assert dump_state(recorded.bare) == state
    assert dump_state(load_state(state)) == state


def test_a_recorded_life_in_full():
    recorded = Recorded(max_inputs=20)
    node = recorded.node
    feed_all(recorded, [("packet", [b"\x03junk"], "n1"), ("wait", 3.0)])
    node.user_event("deploy", b"v2", coalesce=True, now=recorded.now)
    node.begin_leave(recorded.now)
    recorded.advance(10.0)
    replay = recorded.check()
    assert recorded.recorder.renewals
    assert replay.node.status == node.status
    assert replay.steps == sum(replay.counts.values())


def recording(*rows: object, digest: bytes = b"", state: bytes = b"") -> Recording:
    inputs = b"".join(map(pack_row, rows))
    return Recording(
        gossip="0",
        python="3",
        node="x",
        at="now",
        now=START,
        state=state or dump_state(new_node()),
        stretches=(Stretch(inputs, digest),),
    )


def run(made: Recording, until: float = float("inf")) -> Replay:
    replay = Replay(made)
    for _ in replay.run(until):
        pass
    return replay


def test_another_end_is_noticed():
    replay = run(recording((HANDLE_TIMEOUT, START + 1)))
    assert replay.is_complete
    assert replay.differences == ["the state after window 1 differs from the recorded one"]


def test_other_effects_are_noticed_at_the_input_that_asks_for_them():
    replay = run(recording((HANDLE_TIMEOUT, START), (EFFECTS, 7)))
    assert replay.differences[0] == "input 2 produces other effects"


def test_a_replay_stops_when_it_is_told_to():
    rows = [(HANDLE_TIMEOUT, START + seconds) for seconds in range(10)]
    assert run(recording(*rows), until=4.0).steps == 6  # the sixth was looked at
    assert not run(recording(*rows), until=4.0).is_complete
    assert run(recording(*rows), until=9.0).is_complete


def test_what_the_node_refuses_is_part_of_the_story():
    recorded = Recorded()
    with pytest.raises(GossipError):
        recorded.node.set_tags({"x": "y" * 600}, START)
    steps = list(Replay(recorded.dump()).run())
    assert "exceeds limit" in steps[-1].error
    recorded.check()


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (7, "input 1 names no call"),
        ([], "input 1 names no call"),
        (["__init__"], "input 1 names no call"),
        ([len(VERBS)], "input 1 names no call"),
        ([-1], "input 1 names no call"),
        ([True], "input 1 names no call"),
        ([RECEIVE_PACKET, 1], "input 1 is not a packet"),
        ([HANDLE_TIMEOUT], "input 1 missing a required argument: 'now'"),
        ([HANDLE_TIMEOUT, 1.0, 2.0], "input 1 too many positional arguments"),
        ([HANDLE_TIMEOUT, "soon"], "input 1 is at 'soon', after 0.0"),
        ([HANDLE_TIMEOUT, float("nan")], "input 1 is at nan, after 0.0"),
        ([HANDLE_TIMEOUT, float("inf")], "input 1 is at inf, after 0.0"),
        ([HANDLE_TIMEOUT, MAX_TIME], f"input 1 is at {MAX_TIME}, after 0.0"),
        ([HANDLE_TIMEOUT, -1.0], "input 1 is at -1.0, after 0.0"),
        ([VERBS.index("announce_join"), [1.0]], "input 1 is not a command"),
        ([VERBS.index("announce_join"), [], {"then": 1}], "input 1 missing a required argument: 'now'"),
        ([VERBS.index("set_tags"), [["SerfNode"], 1.0], {}], "there is no SerfNode in a recording"),
        ([VERBS.index("set_tags"), [[0], 1.0], {}], "refers to object 0: there are 0"),
        ([VERBS.index("set_tags"), [5, 1.0], {}], "input 1 (set_tags) makes the core fail: TypeError"),
    ],
)
def test_a_hostile_input_is_refused(row, complaint):
    with pytest.raises(RecordingError) as caught:
        run(recording(row))
    assert complaint in str(caught.value)


@given(st.data())
def test_a_state_changed_by_anybody_can_only_be_refused_or_replayed(data):
    recorded = Recorded()
    feed_all(recorded, [("packet", [encode(alive("n1")), encode(alive("n2"))], "n1"), ("wait", 4.0)])
    state = bytearray(dump_state(new_node()))
    for _ in range(data.draw(st.integers(1, 3))):
        state[data.draw(st.integers(0, len(state) - 1))] = data.draw(st.integers(0, 255))
    inputs = recorded.recorder.snapshot().inputs[0]
    made = msgspec.structs.replace(recording(), state=bytes(state), stretches=(Stretch(inputs, b""),))
    with suppress(RecordingError):
        run(made)


def test_a_state_that_makes_no_sense_is_refused_in_words():
    rows = list(unpack_rows(dump_state(new_node())))
    place = next(row for row in rows[1:] if row[0] == "MemberTable")
    place[1:] = [None] * len(place[1:])
    with pytest.raises(
        RecordingError, match=r"input 1 \(receive_packet\) makes the core fail: AttributeError"
    ):
        run(
            recording(
                (RECEIVE_PACKET, [encode(alive("n1"))], "h", 1, START), state=b"".join(map(pack_row, rows))
            )
        )


def test_time_that_goes_back_is_refused():
    with pytest.raises(RecordingError, match=r"input 2 is at 1000.0, after 1001.0"):
        run(recording((HANDLE_TIMEOUT, START + 1), (HANDLE_TIMEOUT, START)))


def test_the_fingerprint_tells_effects_apart():
    node = new_node()
    first = node.effects()
    node.user_event("x", b"", coalesce=False, now=START)
    assert fingerprint(first) != fingerprint(node.effects()) != fingerprint([])
