"""What a line about a failed member says."""

import logging

import pytest

from gossip.agent.event_log import EventLog
from gossip.serf.effects import MemberFailed
from gossip.serf.members import MemberStatus, SerfMember
from gossip.swim.evidence import Evidence, ProbeRecord
from tests.swim.rig import alive

MEMBER = SerfMember(alive("n1"), MemberStatus.FAILED, 0, 0.0)
FIELDS = ("reporter", "suspected_by", "witnesses", "relays", "relays_answered")


@pytest.mark.parametrize(
    ("evidence", "fields"),
    [
        (Evidence("n2"), {"reporter": "n2"}),
        (
            Evidence("n2", "n3", ("n4", "n5"), 1.0, ProbeRecord(0.0, ("n6", "n7"), ("n7",))),
            {
                "reporter": "n2",
                "suspected_by": "n3",
                "witnesses": "n4,n5",
                "relays": "n6,n7",
                "relays_answered": "n7",
            },
        ),
    ],
)
def test_a_failure_is_logged_with_who_said_so_and_who_had_been_asked(evidence, fields, caplog):
    with caplog.at_level(logging.INFO, "gossip.agent"):
        EventLog().report(MemberFailed(MEMBER, evidence), 0.0)
    (record,) = caplog.records
    assert record.message == "member failed"
    assert {name: value for name, value in vars(record).items() if name in FIELDS} == fields
