from hypothesis import given
from hypothesis import strategies as st

from lb.policy.address_claims import Wish, allocate
from lb.policy.plan import Claim


def at(member, port, weight=1):
    return Claim("web", member, "10.0.0.1", port, weight)


def wish(member, present, wanted, is_alive=True):
    return Wish(
        member,
        None if present is None else at(member, present),
        None if wanted is None else at(member, wanted),
        is_alive,
    )


def ports(allocation):
    return {member: claim.port for member, claim in allocation.claims.items()}


def test_members_with_their_own_places_get_them():
    allocation = allocate([wish("a", None, 1), wish("b", 2, 2), wish("c", 3, None, is_alive=False)])
    assert ports(allocation) == {"a": 1, "b": 2, "c": 3}
    assert not allocation.replaced
    assert not allocation.disputed


def test_a_newcomer_takes_the_place_of_a_member_that_is_gone():
    allocation = allocate([wish("old", 1, None, is_alive=False), wish("new", None, 1)])
    assert ports(allocation) == {"new": 1}
    assert allocation.replaced == {"old": "new"}


def test_a_place_in_another_backend_is_another_place():
    other = Wish("b", None, Claim("api", "b", "10.0.0.1", 1, 1), is_alive=True)
    assert set(allocate([wish("a", 1, 1), other]).claims) == {"a", "b"}


def test_the_present_one_of_two_alive_claimants_stays():
    allocation = allocate([wish("a", None, 1), wish("z", 1, 1)])
    assert ports(allocation) == {"z": 1}
    assert allocation.disputed == {"a": "z"}


def test_of_two_newcomers_the_bytewise_first_enters():
    allocation = allocate([wish("b", None, 1), wish("a", None, 1)])
    assert ports(allocation) == {"a": 1}
    assert allocation.disputed == {"b": "a"}


def test_two_members_can_exchange_their_places_in_one_change():
    assert ports(allocate([wish("a", 1, 2), wish("b", 2, 1)])) == {"a": 2, "b": 1}


def test_who_cannot_move_stays_where_it_is():
    allocation = allocate([wish("a", 1, 2), wish("b", 2, 2)])
    assert ports(allocation) == {"a": 1, "b": 2}
    assert allocation.disputed == {"a": "b"}


def test_who_cannot_move_has_no_place_if_somebody_else_says_to_be_there():
    allocation = allocate([wish("b", 1, 2), wish("c", 2, 2), wish("a", None, 1)])
    assert ports(allocation) == {"a": 1, "c": 2}
    assert allocation.disputed == {"b": "c"}


def test_a_new_weight_is_no_move():
    allocation = allocate([Wish("a", at("a", 1), at("a", 1, weight=9), is_alive=True)])
    assert allocation.claims["a"].weight == 9


PORTS = st.one_of(st.none(), st.integers(1, 4))
WISHES = st.lists(
    st.tuples(st.sampled_from("abcdef"), PORTS, PORTS, st.booleans()).filter(lambda w: w[1] or w[2]),
    unique_by=(lambda w: w[0], lambda w: w[1] or object()),
    max_size=6,
).map(lambda rows: [wish(*row) for row in rows])


@given(WISHES, st.randoms())
def test_an_address_never_has_two_members_and_order_does_not_matter(wishes, rng):
    allocation = allocate(wishes)
    places = [claim.place for claim in allocation.claims.values()]
    assert len(set(places)) == len(places)
    rng.shuffle(wishes)
    assert allocate(wishes) == allocation


@given(WISHES)
def test_an_alive_member_loses_its_line_only_to_another_alive_one(wishes):
    allocation = allocate(wishes)
    for one in wishes:
        if one.is_alive and one.present and one.member not in allocation.claims:
            assert one.member in allocation.disputed
            assert one.present.place in {claim.place for claim in allocation.claims.values()}
