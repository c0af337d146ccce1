import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import RemoteProtocolError
from gossip.swim.versions import Versions
from gossip.wire.messages import PROTOCOL_VERSIONS, MemberState
from tests.swim.rig import row

SMALL = st.integers(0, 4)
ANY_VERSIONS = st.tuples(*[SMALL] * 6).map(bytes)


def table(*members: bytes) -> Versions:
    counted = Versions()
    for versions in (PROTOCOL_VERSIONS, *members):
        counted.add(versions)
    return counted


def understands_each_other(members: list[bytes]) -> bool:
    """Do the same check as memberlist's verifyProtocol, for members that are all alive."""
    return all(
        speaker[at + 2] in range(listener[at], listener[at + 1] + 1)
        for at in (0, 3)
        for speaker in members
        for listener in members
    )


@pytest.mark.parametrize(
    "numbers",
    [
        PROTOCOL_VERSIONS,
        (2, 5, 2, 5, 5, 5),
        (1, 2, 2, 2, 5, 5),
        (2, 2, 2, 5, 5, 5),
        (1, 4, 3, 3, 5, 4),
        (2, 5, 5, 2, 9, 2),
    ],
)
def test_a_member_within_everybodys_range_is_compatible(numbers):
    table().verify("n1", bytes(numbers))


@pytest.mark.parametrize("numbers", [(1, 9, 6, 2, 5, 5), (0, 5, 0, 2, 5, 5)])
def test_a_protocol_that_not_everybody_understands_is_refused_by_name(numbers):
    expected = rf"^node 'n2' protocol version \({numbers[2]}\) is incompatible: \[1, 5\]$"
    with pytest.raises(RemoteProtocolError, match=expected):
        table().verify("n2", bytes(numbers))


def test_a_delegate_protocol_that_not_everybody_understands_is_refused_by_name():
    with pytest.raises(RemoteProtocolError, match=r"^node 'n2' delegate protocol version \(6\) .* \[2, 5\]$"):
        table().verify("n2", bytes((1, 5, 2, 2, 6, 6)))


@pytest.mark.parametrize("numbers", [(3, 5, 3, 2, 5, 5), (1, 1, 1, 2, 5, 5)])
def test_a_member_that_does_not_understand_the_others_is_refused(numbers):
    expected = (
        rf"^node 'n2' understands protocol versions \[{numbers[0]}, {numbers[1]}\]: others speak \[2, 2\]$"
    )
    with pytest.raises(RemoteProtocolError, match=expected):
        table().verify("n2", bytes(numbers))


def test_a_member_is_judged_by_all_others_and_not_only_by_this_node():
    narrow = bytes((1, 5, 2, 3, 5, 5))
    with pytest.raises(RemoteProtocolError, match=r"'n3' delegate protocol version \(2\) .* \[3, 5\]$"):
        table(narrow).verify("n3", bytes((1, 5, 2, 2, 5, 2)))


def test_versions_that_were_removed_do_not_count():
    counted = table(bytes((1, 5, 2, 3, 5, 5)), bytes((1, 5, 2, 3, 5, 5)))
    counted.remove(bytes((1, 5, 2, 3, 5, 5)))
    counted.remove(bytes((1, 5, 2, 3, 5, 5)))
    counted.verify("n3", bytes((1, 5, 2, 2, 5, 2)))


@given(st.lists(ANY_VERSIONS, max_size=8))
def test_a_table_of_verified_members_passes_memberlists_own_check(candidates):
    first = bytes((1, 4, 2, 1, 4, 3))
    counted, members = Versions(), [first]
    counted.add(first)
    for number, versions in enumerate(candidates):
        fits = understands_each_other([*members, versions])
        try:
            counted.verify(f"n{number}", versions)
        except RemoteProtocolError:
            assert not fits
        else:
            assert fits
            counted.add(versions)
            members.append(versions)


FOREIGN = bytes((1, 1, 1, 2, 5, 5))


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row("n1"), row("n2", versions=FOREIGN)],
        [row("n2", versions=FOREIGN), row("n3", versions=FOREIGN), row("n1")],
        [row("n2", versions=FOREIGN), row("n3", versions=b"")],
        [row("n2", state=MemberState.DEAD, versions=FOREIGN)],
    ],
    ids=["none", "first", "last", "unknown", "gone"],
)
def test_a_peer_is_not_refused_for_strangers_among_its_members(rows):
    table().verify_any(rows)


def test_a_peer_whose_alive_members_all_speak_something_else_is_refused():
    rows = [
        row("n1", state=MemberState.DEAD),
        row("n2", versions=FOREIGN),
        row("n3", versions=bytes((1, 9, 9, 2, 5, 5))),
    ]
    with pytest.raises(RemoteProtocolError, match="'n2'"):
        table().verify_any(rows)
