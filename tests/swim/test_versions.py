import pytest

from gossip.errors import RemoteProtocolError
from gossip.swim.versions import verify_versions
from gossip.wire.messages import MemberState
from tests.swim.rig import row


def versions(*numbers: int) -> bytes:
    return bytes(numbers)


OURS = row("n1")


def test_equal_versions_are_compatible():
    verify_versions([OURS, row("n2")])


def test_no_rows_are_compatible():
    verify_versions([])


@pytest.mark.parametrize("numbers", [(2, 5, 2, 5, 5, 5), (1, 2, 2, 2, 5, 5), (2, 2, 2, 5, 5, 5)])
def test_the_ends_of_the_range_are_compatible(numbers):
    verify_versions([OURS, row("n2", versions=versions(*numbers))])


@pytest.mark.parametrize("current", [0, 255])
def test_with_nobody_alive_any_version_is_compatible(current):
    gone = versions(1, 5, current, 2, 5, current)
    verify_versions([row("n2", state=MemberState.DEAD, versions=gone)])


def test_a_member_within_everybodys_range_is_compatible():
    verify_versions([OURS, row("n2", versions=versions(1, 4, 3, 3, 5, 4))])


def test_a_protocol_that_not_everybody_understands_is_refused_by_name():
    with pytest.raises(
        RemoteProtocolError, match=r"^node 'n2' protocol version \(9\) is incompatible: \[1, 5\]$"
    ):
        verify_versions([OURS, row("n2", versions=versions(1, 9, 9, 2, 5, 5))])


def test_a_delegate_protocol_that_not_everybody_understands_is_refused_by_name():
    with pytest.raises(RemoteProtocolError, match=r"^node 'n2' delegate protocol version \(6\) .* \[2, 5\]$"):
        verify_versions([OURS, row("n2", versions=versions(1, 5, 2, 2, 6, 6))])


def test_one_who_understands_only_more_than_others_speak_is_refused():
    with pytest.raises(RemoteProtocolError, match="'n1'"):
        verify_versions([OURS, row("n2", versions=versions(3, 5, 3, 2, 5, 5))])


def test_one_whose_delegate_protocol_is_too_old_for_another_is_refused():
    rows = [row("n2", versions=versions(1, 5, 2, 3, 5, 5)), row("n3", versions=versions(1, 5, 2, 2, 5, 2))]
    with pytest.raises(RemoteProtocolError, match=r"'n3' delegate protocol version \(2\) .* \[3, 5\]$"):
        verify_versions(rows)


def test_the_dead_do_not_narrow_the_range_but_must_fit_into_it():
    verify_versions([OURS, row("n2", state=MemberState.DEAD, versions=versions(3, 5, 3, 2, 5, 5))])
    with pytest.raises(RemoteProtocolError, match="'n2'"):
        verify_versions([OURS, row("n2", state=MemberState.DEAD, versions=versions(1, 9, 9, 2, 5, 5))])


def test_a_row_without_versions_says_nothing():
    verify_versions([OURS, row("n2", versions=b"")])
