"""What is odd about members is said once."""

import pytest

from lb.complaints import MAX_REMEMBERED_COMPLAINTS, Complaints
from lb.policy.plan import MappedName, Rejection


def test_member_that_is_no_server_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints()
    for _ in range(3):
        complaints.add(Rejection("a", "port tag is not a port"))
    assert [(record.member, record.reason) for record in caplog.records] == [("a", "port tag is not a port")]


def test_replaced_name_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints()
    for _ in range(2):
        complaints.add(MappedName("a b", "a-b-1"))
    assert [(record.member, record.server) for record in caplog.records] == [("a b", "a-b-1")]


@pytest.mark.parametrize(("excess", "logged"), [(0, 0), (1, 1)])
def test_remembered_complaints_are_bounded(
    caplog: pytest.LogCaptureFixture, excess: int, logged: int
) -> None:
    complaints = Complaints()
    complaints.add(Rejection("first", "x"))
    for number in range(MAX_REMEMBERED_COMPLAINTS - 1 + excess):
        complaints.add(Rejection(str(number), "x"))
    caplog.clear()
    complaints.add(Rejection("first", "x"))
    assert len(caplog.records) == logged
