from gossip.serf.lost_members import MAX_LOST, LostMember, LostMembers
from gossip.wire.address import Address

HOME = Address("10.0.0.1", 7946)


def names(lost, alive=(), now=0.0):
    return [member.name for member in lost.missing(alive, now)]


def test_a_lost_member_is_missing_until_it_is_forgotten():
    lost = LostMembers(60.0)
    lost.add("n1", HOME, 5.0)
    assert lost.missing([], 5.0) == [LostMember("n1", HOME, 5.0)]
    lost.forget("n1")
    lost.forget("n1")
    assert names(lost) == []


def test_a_member_is_looked_for_until_its_time_is_over():
    lost = LostMembers(60.0)
    lost.add("n1", HOME, 5.0)
    assert names(lost, now=65.0) == ["n1"]
    assert names(lost, now=65.1) == []
    assert len(lost) == 0


def test_a_member_whose_address_another_member_has_is_not_looked_for():
    lost = LostMembers(60.0)
    lost.add("n1", HOME, 0.0)
    assert names(lost, alive=[HOME]) == []
    assert names(lost) == []


def test_at_the_limit_the_longest_lost_makes_room():
    lost = LostMembers(60.0)
    for number in range(MAX_LOST):
        lost.add(f"n{number}", HOME, 0.0)
    assert len(lost) == MAX_LOST
    assert names(lost)[0] == "n0"
    lost.add("n0", HOME, 1.0)
    lost.add("new", HOME, 1.0)
    assert len(lost) == MAX_LOST
    assert names(lost)[0] == "n2"
    assert names(lost)[-2:] == ["n0", "new"]
