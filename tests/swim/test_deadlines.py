from math import inf

from hypothesis import given
from hypothesis import strategies as st

from gossip.swim.deadlines import LEFTOVERS_TOLERATED, Deadlines
from gossip.swim.view import SuspicionEnds

A, B, C = SuspicionEnds("a"), SuspicionEnds("b"), SuspicionEnds("c")


def test_with_nothing_set_the_next_deadline_never_comes():
    assert Deadlines().next() == inf
    assert Deadlines().pop_due(1e9) is None


def test_the_earliest_is_served_first():
    waits = Deadlines()
    waits.set(A, 3.0)
    waits.set(B, 1.0)
    assert waits.next() == 1.0
    assert [waits.pop_due(5.0) for _ in range(3)] == [B, A, None]


def test_what_is_due_exactly_now_is_served():
    waits = Deadlines()
    waits.set(A, 2.0)
    assert waits.pop_due(1.999) is None
    assert waits.pop_due(2.0) == A


def test_each_key_tells_when_it_falls_due():
    waits = Deadlines()
    waits.set(A, 3.0)
    waits.set(A, 2.0)
    assert (waits.when(A), waits.when(B)) == (2.0, inf)
    waits.cancel(A)
    assert waits.when(A) == inf


def test_equal_times_are_served_in_the_order_in_which_they_were_set():
    waits = Deadlines()
    for key in (B, C, A):
        waits.set(key, 1.0)
    assert [waits.pop_due(1.0) for _ in range(3)] == [B, C, A]


def test_setting_a_key_again_moves_it():
    waits = Deadlines()
    waits.set(A, 1.0)
    waits.set(A, 2.0)
    assert waits.next() == 2.0
    assert len(waits) == 1


def test_a_cancelled_key_is_never_served():
    waits = Deadlines()
    waits.set(A, 1.0)
    waits.cancel(A)
    waits.cancel(B)
    assert A not in waits
    assert waits.pop_due(5.0) is None


def test_a_key_waits_from_set_to_pop():
    waits = Deadlines()
    waits.set(A, 1.0)
    assert A in waits
    waits.pop_due(1.0)
    assert A not in waits


def test_moving_one_key_forever_keeps_memory_bounded():
    waits = Deadlines()
    for step in range(10 * LEFTOVERS_TOLERATED):
        waits.set(A, float(step))
        assert len(waits._heap) <= 2 * len(waits) + LEFTOVERS_TOLERATED
    assert waits.pop_due(1e9) == A


def test_the_time_of_each_key_is_known_until_it_is_served_or_forgotten():
    waits = Deadlines()
    waits.set(A, 7.5)
    waits.set(A, 8.5)
    assert waits.when(A) == 8.5
    assert waits.when(B) == inf
    waits.cancel(A)
    assert waits.when(A) == inf


def test_without_leftovers_nothing_is_ever_rebuilt():
    waits = Deadlines()
    heap = waits._heap
    for number in range(10 * LEFTOVERS_TOLERATED):
        waits.set((str(number), ""), float(number))
    for number in range(4 * LEFTOVERS_TOLERATED):  # fewer than live entries
        waits.set((str(number), ""), float(number) + 0.5)
    assert waits._heap is heap


def test_the_order_survives_the_removal_of_leftovers():
    waits = Deadlines()
    keys = [(str(number), "") for number in range(50)]
    for step in range(20):
        for number, key in enumerate(keys):
            waits.set(key, float((number * 7 + step * 3) % 50))
    served = [waits.pop_due(100.0) for _ in keys]
    assert sorted(keys, key=lambda key: (int(key[0]) * 7 + 19 * 3) % 50) == served


KEYS = st.sampled_from([A, B, C])
SET = st.tuples(st.just("set"), KEYS, st.integers(0, 20).map(float))
CANCEL = st.tuples(st.just("cancel"), KEYS, st.just(0.0))
POP = st.tuples(st.just("pop"), st.just(A), st.integers(0, 20).map(float))


@given(st.lists(st.one_of(SET, CANCEL, POP), max_size=200))
def test_deadlines_do_what_a_sorted_list_would(steps):
    waits = Deadlines()
    model: dict[tuple[str, str], float] = {}
    for verb, key, at in steps:
        if verb == "set":
            waits.set(key, at)
            model.pop(key, None)
            model[key] = at  # last in order
        elif verb == "cancel":
            waits.cancel(key)
            model.pop(key, None)
        else:
            earliest = min(model, key=model.__getitem__, default=None)
            due = earliest if earliest is not None and model[earliest] <= at else None
            assert waits.pop_due(at) == due
            if due is not None:
                del model[due]
        assert waits.next() == min(model.values(), default=inf)
