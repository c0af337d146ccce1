from gossip.serf.seeds import MAX_SEEDS, Seeds
from gossip.wire.address import Address

HERE, THERE = Address("10.0.0.1", 7946), Address("10.0.0.2", 7946)


def seeds_at(*addresses):
    seeds = Seeds()
    seeds.remember(["web"])
    seeds.resolved({"web": addresses})
    return seeds


def test_a_seed_that_was_never_resolved_is_unseen():
    seeds = Seeds()
    seeds.remember(["web"])
    assert seeds.unseen([HERE]) == ("web",)


def test_a_seed_without_an_address_is_unseen():
    assert seeds_at().unseen([HERE]) == ("web",)


def test_a_seed_is_seen_when_all_its_addresses_are_members():
    assert seeds_at(HERE, THERE).unseen([HERE]) == ("web",)
    assert seeds_at(HERE, THERE).unseen([HERE, THERE]) == ()


def test_an_address_that_answered_counts_until_somebody_is_lost():
    seeds = seeds_at(HERE, THERE)
    seeds.answered(THERE)
    assert seeds.unseen([HERE]) == ()
    seeds.member_gone()
    assert seeds.unseen([HERE]) == ("web",)


def test_an_answer_from_an_address_of_no_seed_is_not_remembered():
    seeds = seeds_at(HERE)
    seeds.answered(THERE)
    seeds.resolved({"web": (THERE,)})
    assert seeds.unseen([]) == ("web",)


def test_a_seed_that_moved_is_unseen_at_its_new_address():
    seeds = seeds_at(HERE)
    seeds.answered(HERE)
    seeds.resolved({"web": (THERE,)})
    assert seeds.unseen([HERE]) == ("web",)


def test_addresses_of_names_that_are_no_seeds_are_ignored():
    seeds = Seeds()
    seeds.resolved({"web": (HERE,)})
    assert seeds.names() == ()


def test_at_the_limit_the_first_seed_makes_room():
    seeds = Seeds()
    seeds.remember(map(str, range(MAX_SEEDS)))
    assert len(seeds) == MAX_SEEDS
    seeds.remember(["0"])
    assert seeds.names()[0] == "0"
    seeds.remember(["new"])
    assert len(seeds) == MAX_SEEDS
    assert (seeds.names()[0], seeds.names()[-1]) == ("1", "new")
