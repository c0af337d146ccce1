"""What a line about a failed member says."""

import logging

import pytest

from gossip.agent.event_log import EventLog
from gossip.serf.effects import MemberFailed, QueueDeep
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


@pytest.mark.parametrize(
    ("effect", "message", "fields"),
    [
        (QueueDeep("event", 128, 0), "broadcast queue is deep", {"queue": "event", "depth": 128}),
        (
            QueueDeep("intent", 4096, 7),
            "broadcast queue is full: dropping",
            {"queue": "intent", "depth": 4096, "dropped": 7},
        ),
    ],
)
def test_a_deep_queue_is_a_warning_that_says_whether_broadcasts_were_dropped(effect, message, fields, caplog):
    EventLog().report(effect, 0.0)
    (record,) = caplog.records
    assert (record.levelno, record.message) == (logging.WARNING, message)
    names = ("queue", "depth", "dropped")
    assert {name: value for name, value in vars(record).items() if name in names} == fields
