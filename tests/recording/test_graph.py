"""States as bytes: exhaustive, canonical, and harmless to read."""

import importlib
import inspect
import pkgutil
from random import Random

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

import gossip.serf
import gossip.swim
from gossip.recording import graph, rows
from gossip.recording.graph import (
    LARGEST,
    LONGEST,
    MAX_DEPTH,
    SHORTEST,
    dump_state,
    dump_value,
    load_state,
    load_value,
)
from gossip.recording.kinds import ENUMS, METHODS, PARTS, TIMERS
from gossip.recording.rows import RecordingError, pack_row, unpack_rows
from gossip.serf.config import SerfConfig
from gossip.serf.node import LocalMember, SerfNode
from gossip.swim.config import SwimConfig
from gossip.swim.deadlines import Timer
from gossip.wire.codec import encode
from tests.recording.rig import START, new_node
from tests.serf.rig import alive, home


def rows_of(state: bytes) -> list[list[object]]:
    return [list(row) for row in unpack_rows(state)]


def packed(rows: list[list[object]]) -> bytes:
    return b"".join(map(pack_row, rows))


def changed(kind: str, place: int, value: object) -> bytes:
    """Return a node's state with one field of the first object of a kind changed."""
    rows = rows_of(dump_state(new_node()))
    row = next(row for row in rows[1:] if row[0] == kind)
    row[place] = value
    return packed(rows)


def refusal(state: bytes) -> str:
    with pytest.raises(RecordingError) as caught:
        load_state(state)
    return str(caught.value)


def test_every_class_of_the_core_that_has_state_is_listed():
    found = set()
    for package in (gossip.swim, gossip.serf):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for cls in vars(importlib.import_module(module.name)).values():
                if (
                    inspect.isclass(cls)
                    and cls.__module__ == module.name
                    and cls.__init__ is not object.__init__
                ):
                    found.add(cls)
    stateful = {
        cls for cls in found if not issubclass(cls, Struct | int) and not hasattr(cls, "_is_protocol")
    }
    stateful -= set(ENUMS)
    assert {cls.__name__ for cls in stateful} - {cls.__name__ for cls in PARTS} == set()


def test_what_is_not_listed_is_refused_when_writing():
    node = new_node()
    node.swim.rejected = object()
    with pytest.raises(TypeError, match="cannot be recorded"):
        dump_state(node)


def test_the_random_generator_goes_on_where_it_was():
    node = new_node()
    twin = load_state(dump_state(node))
    assert [node.swim._rng.random() for _ in range(9)] == [twin.swim._rng.random() for _ in range(9)]
    assert twin.swim._rng is twin.swim.table._rng is twin.swim.detector._rng


def test_the_half_of_a_pair_that_a_generator_has_in_hand_is_kept():
    node = new_node()
    node.swim._rng.gauss(0.0, 1.0)
    assert load_state(dump_state(node)).swim._rng.getstate() == node.swim._rng.getstate()


def test_writing_draws_nothing_and_changes_nothing():
    node = new_node()
    drawn = node.swim._rng.getstate()
    first = dump_state(node)
    assert node.swim._rng.getstate() == drawn
    assert dump_state(node) == first


@pytest.mark.parametrize(
    "value",
    [None, True, 7, 2**64 - 1, -1.5, "n\udcff", b"\xff", (), (1, ("a", b"b")), {"role": "web"}],
)
def test_arguments_survive(value):
    assert load_value(msgpack.unpackb(pack_row(dump_value(value)), unicode_errors="surrogateescape")) == value


def test_a_list_among_arguments_comes_back_as_a_tuple():
    assert load_value(dump_value(["a", ["b"]])) == ("a", ("b",))


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = ["tuple", value]
    return value


def test_values_are_nested_so_deeply_and_no_deeper():
    load_value(nested(MAX_DEPTH))
    with pytest.raises(RecordingError, match="nested too deeply"):
        load_value(nested(MAX_DEPTH + 1))


# --- hostile states -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "complaint"),
    [
        ("MemberTable", ["os.system", "true"], "there is no os.system in a recording"),
        ("MemberTable", ["SerfNode"], "there is no SerfNode in a recording"),
        ("MemberTable", ["Random"], "there is no Random in a recording"),
        ("MemberTable", ["method", [0], "begin_leave"], "refers to a method that is not listed"),
        ("MemberTable", ["method", [0], "__init__"], "refers to a method that is not listed"),
        ("MemberTable", ["method", "text", "format"], "refers to a method that is not listed"),
        ("MemberTable", ["method", ["list"], "append"], "there is no list in a recording"),
        ("MemberTable", ["method"], "refers to a method that is not listed"),
        ("MemberTable", [10**6], "refers to object 1000000"),
        ("MemberTable", [-1], "refers to object -1"),
        ("MemberTable", [0, 1], "refers to object 0"),
        ("MemberTable", [], "empty or nested too deeply"),
        ("MemberTable", [["tuple"]], "there is no ['tuple'] in a recording"),
        ("MemberTable", {"a": 1}, "a recording holds no {'a': 1}"),
        ("MemberTable", float("nan"), "a recording holds no nan"),
        ("MemberTable", ["Address", "h"], "a Address of 1 fields: expected 2"),
        ("MemberTable", ["MemberState", "ZOMBIE"], "there is no such MemberState"),
        ("MemberTable", ["rows", 1], "a row of a push/pull is broken"),
        ("MemberTable", ["rows", ["n", b"", 1, b"", 1, 9, b""]], "a row of a push/pull is broken"),
        ("MemberTable", ["rows", ["n", b"", 1, b"", 1, 0]], "a row of a push/pull is broken"),
        ("MemberTable", ["mapping", 1], "a mapping has a key without a value"),
        ("MemberTable", ["mapping", ["mapping"], 1], "a mapping has a key that cannot be one"),
    ],
)
def test_a_hostile_value_is_refused(kind, value, complaint):
    assert complaint in refusal(changed(kind, 1, value))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (["Popen", "true"], "there is no Popen in a recording"),
        (["object"], "there is no object in a recording"),
        (["dict", ["mapping"], 1], "a key that cannot be one"),
        (["dict", 1], "a key without a value"),
        (["Random", 3, None, 1], "more than one random generator"),
        (["LamportClock"], "a LamportClock of 0 fields: expected 1"),
        (["LamportClock", 1, 2], "a LamportClock of 2 fields: expected 1"),
        ([7], "a row does not say what it is"),
        ([], "a row does not say what it is"),
    ],
)
def test_a_hostile_row_is_refused(row, complaint):
    rows = rows_of(dump_state(new_node()))
    assert complaint in refusal(packed([*rows, row]))


@pytest.mark.parametrize(
    "row",
    [["Random"], ["Random", 3, None, 1], ["Random", 3, None, *range(2**40, 2**40 + 625)], ["Random", 9]],
)
def test_a_broken_generator_is_refused(row):
    rows = [row if each[0] == "Random" else each for each in rows_of(dump_state(new_node()))]
    assert "random generator is broken" in refusal(packed(rows))


def test_so_many_objects_are_read_and_no_more(monkeypatch):
    rows = rows_of(dump_state(new_node()))
    monkeypatch.setattr(graph, "MAX_OBJECTS", len(rows) + 5000)
    load_state(packed([*rows, *([["list"]] * 5001)]))
    assert "more than" in refusal(packed([*rows, *([["list"]] * 5002)]))


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (SwimConfig(probe_interval=0.0), "a time of 0.0 s"),
        (SwimConfig(probe_interval=SHORTEST / 2), "a time of 0.0005 s"),
        (SwimConfig(push_pull_interval=LONGEST * 2), "a time of 2000000000.0 s"),
        (SwimConfig(push_pull_interval=float("inf")), "a time of inf s"),
        (SwimConfig(indirect_checks=LARGEST + 1), "a number of 4194305"),
        (SwimConfig(gossip_nodes=-1), "a number of -1"),
    ],
)
def test_a_configuration_that_would_never_rest_is_refused(config, complaint):
    def made(swim: SwimConfig) -> bytes:
        me = LocalMember("me", bytes(4), 1)
        node = SerfNode(SerfConfig(), me, rng=Random(1), now=0.0)
        node.swim.config = swim
        return dump_state(node)

    load_state(made(SwimConfig(probe_interval=SHORTEST, push_pull_interval=LONGEST, gossip_nodes=LARGEST)))
    assert complaint in refusal(made(config))


def test_the_fields_of_another_version_are_refused():
    rows = rows_of(dump_state(new_node()))
    for entry in rows[0]:
        if entry[0] == "SerfNode":
            entry[1] = "receive_packet"  # would shadow a method
    assert "SerfNode has other fields" in refusal(packed(rows))
    del rows[0][0]
    assert "has other fields" in refusal(packed(rows))


@pytest.mark.parametrize("table", [[1], [[]], [[1]], {"a": 1}])
def test_a_broken_table_of_fields_is_refused(table):
    rows = rows_of(dump_state(new_node()))
    with pytest.raises(RecordingError):
        load_state(pack_row(table) + packed(rows[1:]))


def test_a_state_of_something_else_is_refused():
    assert refusal(b"") == "the checkpoint is empty"
    rows = rows_of(dump_state(new_node()))
    table = [entry for entry in rows[0] if entry[0] == "LamportClock"]
    assert "of a LamportClock, not of a node" in refusal(packed([table, ["LamportClock", 1]]))


def test_a_state_that_is_cut_off_is_refused():
    state = dump_state(new_node())
    assert "cut off" in refusal(state[:-1])


def test_a_nest_of_arrays_is_refused_before_it_takes_memory():
    assert "exceeds max_array_len" in refusal(b"\xdd\xff\xff\xff\xff" * 100)


def test_states_are_read_up_to_their_limit(monkeypatch):
    state = dump_state(new_node())
    monkeypatch.setattr(rows, "MAX_STREAM_BYTES", len(state))
    load_state(state)
    monkeypatch.setattr(rows, "MAX_STREAM_BYTES", len(state) - 1)
    assert "more than the" in refusal(state)


@given(st.data())
def test_no_change_of_a_byte_does_more_than_be_refused(data):
    state = bytearray(dump_state(new_node()))
    for _ in range(data.draw(st.integers(1, 4))):
        state[data.draw(st.integers(0, len(state) - 1))] = data.draw(st.integers(0, 255))
    try:
        node = load_state(bytes(state))
    except RecordingError:
        return
    assert type(node) is SerfNode


def test_methods_are_those_that_a_node_holds():
    used = set()
    state = dump_state(new_node())
    kinds = [row[0] for row in rows_of(state)[1:]]

    def look(value: object) -> None:
        if isinstance(value, list) and value:
            if value[0] == "method":
                used.add((kinds[value[1][0]], value[2]))
            for each in value:
                look(each)

    look(rows_of(state)[1:])
    assert used == METHODS


def test_a_generator_of_the_system_cannot_be_recorded():
    assert type(load_state(dump_state(new_node())).swim._rng) is Random


def test_only_messages_are_looked_through_for_keys():
    """Metadata may begin with the bytes of a query by chance; changed, the restored node would be another."""
    node = new_node()
    meta = b"\x08\x04 no query"
    node.receive_packet([encode(alive("n1", meta=meta))], home("n1"), START)
    assert load_state(dump_state(node)).member("n1").alive.meta == meta


def test_every_timer_can_be_recorded():
    core = {kind for kind in Timer.__subclasses__() if kind.__module__.startswith("gossip.")}
    assert core == set(TIMERS)
