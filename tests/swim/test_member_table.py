from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.swim.member import Member
from gossip.swim.member_table import MemberTable
from gossip.wire.messages import MemberState
from tests.swim.rig import ME, alive


def table(n: int, seed: int = 1) -> MemberTable:
    """Return a table of this node and `n` others."""
    me = Member(alive(ME), 0.0)
    rows = MemberTable(me, Random(seed))
    for number in range(1, n + 1):
        rows.add(Member(alive(f"n{number}"), 0.0))
    return rows


def walk(rows: MemberTable) -> list[str]:
    names = []
    while (member := rows.next_target()) is not None:
        names.append(member.name)
    return names


@given(st.integers(0, 20), st.integers())
def test_a_round_hits_everybody_else_exactly_once(n, seed):
    rows = table(n, seed)
    for _ in range(3):
        assert sorted(walk(rows)) == sorted(f"n{number}" for number in range(1, n + 1))
        rows.start_round(0.0)


def test_every_round_has_its_own_order():
    rows = table(20)
    first = walk(rows)
    rows.start_round(0.0)
    assert walk(rows) != first


def test_a_newcomer_enters_at_a_random_place():
    places = {walk(table(8, seed)).index("n8") for seed in range(200)}
    assert places == set(range(8))


@pytest.mark.parametrize("state", [MemberState.DEAD, MemberState.LEFT])
def test_the_gone_are_not_probed(state):
    rows = table(2)
    rows.by_name["n1"].enter(state, 1, 5.0)
    assert walk(rows) == ["n2"]


def test_suspects_are_probed():
    rows = table(1)
    rows.by_name["n1"].enter(MemberState.SUSPECT, 1, 5.0)
    assert walk(rows) == ["n1"]


@pytest.mark.parametrize("state", [MemberState.DEAD, MemberState.LEFT])
def test_a_new_round_forgets_members_gone_for_longer_than_requested(state):
    rows = table(2)
    gone = rows.by_name["n1"]
    gone.enter(state, 1, 5.0)
    assert rows.start_round(5.0) == []
    assert rows.start_round(5.1) == [gone]
    assert list(rows.by_name) == [ME, "n2"]
    assert len(rows) == 2


def test_a_new_round_never_forgets_the_node_itself():
    rows = table(1)
    rows.me.enter(MemberState.LEFT, 1, 5.0)
    assert rows.start_round(100.0) == []
    assert rows.by_name[ME] is rows.me


def listen(rows: MemberTable, k: int) -> list[str]:
    return [m.name for m in rows.next_listeners(k, lambda m: m is not rows.me)]


@given(st.integers(1, 20), st.integers(1, 5), st.integers())
def test_all_others_get_gossip_once_before_any_gets_it_again(n, k, seed):
    rows = table(n, seed)
    heard = []
    while len(heard) < 3 * n:
        heard += listen(rows, k)
    for start in range(0, 3 * n, n):
        assert len(set(heard[start : start + n])) == n


def test_if_there_are_fewer_listeners_than_wanted_each_is_returned_once():
    rows = table(2)
    for _ in range(3):
        assert sorted(listen(rows, 5)) == ["n1", "n2"]


def test_without_eligible_listeners_the_ring_is_walked_once():
    rows = table(3)
    asked = []
    assert list(rows.next_listeners(2, lambda m: bool(asked.append(m.name)))) == []
    assert sorted(asked) == [ME, "n1", "n2", "n3"]


def test_without_any_wanted_nobody_listens():
    rows = table(3)
    assert listen(rows, 0) == []


def test_a_listener_that_was_not_taken_is_the_next():
    rows = table(5)
    expected = [*listen(rows, 5), *listen(rows, 5)][:5]
    listeners = rows.next_listeners(3, lambda m: m is not rows.me)
    assert [next(listeners).name, next(listeners).name] == expected[:2]
    listeners.close()
    assert listen(rows, 1) == expected[2:3]


@given(st.integers(2, 12), st.integers(), st.data())
def test_the_others_still_listen_once_when_a_member_is_dropped(n, seed, data):
    rows = table(n, seed)
    heard = listen(rows, data.draw(st.integers(0, n)))
    dropped = data.draw(st.sampled_from([f"n{number}" for number in range(1, n + 1)]))
    rows.drop(rows.by_name[dropped])
    if dropped in heard:
        heard.remove(dropped)
    heard += listen(rows, n - 1 - len(heard))
    assert sorted(heard) == sorted({f"n{number}" for number in range(1, n + 1)} - {dropped})


def test_a_choice_is_of_different_eligible_members():
    rows = table(10)
    chosen = rows.choose(4, lambda m: m is not rows.me and m.name != "n3")
    assert len({m.name for m in chosen}) == 4
    assert not {ME, "n3"} & {m.name for m in chosen}


def test_a_choice_of_more_than_there_are_is_all_of_them():
    rows = table(3)
    assert {m.name for m in rows.choose(9, lambda m: m is not rows.me)} == {"n1", "n2", "n3"}


def test_a_rare_eligible_member_is_found():
    rows = table(500)
    assert [m.name for m in rows.choose(1, lambda m: m.name == "n77")] == ["n77"]


def test_with_nobody_eligible_nobody_is_chosen():
    rows = table(3)
    assert rows.choose(2, lambda _: False) == []


def test_a_table_without_others_has_nobody_to_choose():
    rows = table(0)
    assert rows.choose(2, lambda m: m is not rows.me) == []


def test_every_member_is_chosen_about_as_often():
    rows = table(10)
    counts = Counter(m.name for _ in range(2000) for m in rows.choose(3, lambda m: m is not rows.me))
    assert len(counts) == 10
    assert max(counts.values()) < 1.25 * min(counts.values())


def test_company_is_another_member_that_is_not_gone():
    rows = table(1)
    assert rows.any_other_alive()
    rows.by_name["n1"].enter(MemberState.SUSPECT, 1, 5.0)
    assert rows.any_other_alive()
    rows.by_name["n1"].enter(MemberState.DEAD, 1, 5.0)
    assert not rows.any_other_alive()


def test_rare_eligible_members_are_chosen_equally_often():
    rows = table(500)
    counts = Counter(
        m.name for _ in range(300) for m in rows.choose(1, lambda m: m.name in ("n77", "n99", "n400"))
    )
    assert min(counts.values()) > 60
    assert len(counts) == 3


def test_the_same_seed_makes_the_same_choices():
    def run(seed: int) -> list[str]:
        rows = table(10, seed)
        return [m.name for m in rows.choose(3, lambda m: m is not rows.me)] + walk(rows)

    assert run(5) == run(5) != run(6)


@given(st.integers(2, 12), st.integers(), st.data())
def test_a_round_goes_on_over_members_that_are_dropped_during_it(n, seed, data):
    rows = table(n, seed)
    walked = [rows.next_target().name for _ in range(data.draw(st.integers(0, n)))]
    dropped = data.draw(st.sampled_from([f"n{number}" for number in range(1, n + 1)]))
    rows.drop(rows.by_name[dropped])
    walked += walk(rows)
    everybody = {f"n{number}" for number in range(1, n + 1)}
    assert sorted(set(walked) | {dropped}) == sorted(everybody)
    assert len(walked) == len(set(walked))
    assert len(rows) == n
