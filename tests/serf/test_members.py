from gossip.serf.members import MemberStatus, SerfMember
from gossip.serf.tags import encode_tags
from tests.swim.rig import alive, home


def member() -> SerfMember:
    return SerfMember(alive("n1", meta=encode_tags({"role": "web"})), MemberStatus.ALIVE, 3, 10.0)


def test_a_row_reads_its_announcement():
    row = member()
    assert (row.name, row.address, row.tags) == ("n1", home("n1"), {"role": "web"})
    assert repr(row) == "<n1 10.0.0.1:7946 alive>"


def test_the_time_of_a_status_changes_only_with_the_status():
    row = member()
    row.become(MemberStatus.ALIVE, 11.0)
    assert row.changed_at == 10.0
    row.become(MemberStatus.FAILED, 12.0)
    assert (row.status, row.changed_at) == (MemberStatus.FAILED, 12.0)


def test_statuses_have_the_numbers_of_the_wire():
    assert [status.value for status in MemberStatus] == [0, 1, 2, 3, 4]
    assert [status.name.lower() for status in MemberStatus] == ["none", "alive", "leaving", "left", "failed"]
