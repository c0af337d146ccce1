"""What is concluded from which observations; the faults themselves are made in tests/doctor."""

import pytest
from msgspec.structs import replace

from gossip.agent.diagnosis import MISSED_PUSH_PULLS, Observations, PeerReport, diagnose
from gossip.agent.symptoms import Complaint, Conflict, Delay
from tests.swim.rig import home

WELL = PeerReport(
    name="n1", address=home("n1"), tries=1, small=1, full=1, stream=1, query_acked=True, heard=0.5
)
SEEN = Observations(
    name="me",
    address=home("me"),
    now=1000.0,
    running=60.0,
    peers=[WELL],
    alive_peers=1,
    streams_from={},
    push_pull_interval=30.0,
    probe_interval=1.0,
    probe_timeout=0.5,
    packet_bytes=1400,
    complaints={},
    conflicts={},
    delays=(),
    is_encrypted=False,
)


def found(*peers: PeerReport, **fields: object) -> list[tuple[str, str, str]]:
    seen = replace(SEEN, peers=list(peers), alive_peers=len(peers), **fields)
    return [(finding.check, finding.peer, finding.direction) for finding in diagnose(seen)]


def sick(**fields: object) -> PeerReport:
    lost = {"tries": 3, "small": 0, "full": 0, "stream": 0, "query_acked": False, "heard": None}
    return replace(WELL, **(lost | fields))


def test_where_everything_answers_there_is_no_finding():
    assert found(WELL) == found() == []


def test_one_answer_in_three_is_enough():
    assert found(sick(small=1, full=1, stream=1)) == []


@pytest.mark.parametrize(
    ("peer", "finding"),
    [
        (sick(stream=3, heard=1.0), ("udp", "n1", "me -> n1")),
        (sick(stream=3, query_acked=True), ("udp", "n1", "me -> n1")),
        (sick(stream=3, heard=30.0), ("udp", "n1", "n1 -> me")),
        (sick(small=3, full=3), ("tcp", "n1", "me -> n1")),
        (sick(small=3, stream=3), ("mtu", "n1", "me -> n1")),
        (sick(heard=2.0), ("unreachable", "n1", "me <-> n1")),
        (sick(elsewhere=home("n9")), ("address", "n1", "")),
        (sick(refusal="the address is multicast"), ("address", "n1", "")),
    ],
)
def test_each_pattern_of_answers_has_one_cause(peer, finding):
    assert found(peer, WELL, running=5.0) == [finding]


def test_a_peer_that_answers_may_ping_from_wherever_it_likes():
    assert found(replace(WELL, elsewhere=home("n9"))) == []


def test_an_agent_that_nothing_ever_reached_suspects_its_own_address():
    assert ("address", "", "peers -> me") in found(sick(stream=3), running=60.0)
    assert ("address", "", "peers -> me") not in found(sick(stream=3, heard=3.0), running=60.0)
    assert ("address", "", "peers -> me") not in found(sick(stream=3), running=1.0)
    came = {home("n1").host: 900.0}
    assert ("address", "", "peers -> me") not in found(sick(stream=3), running=60.0, streams_from=came)


def test_streams_that_stay_out_for_long_are_a_finding():
    patience = MISSED_PUSH_PULLS * SEEN.push_pull_interval
    assert found(WELL, running=patience) == []
    assert found(WELL, running=patience + 1) == [("tcp", "n1", "n1 -> me")]
    came = {home("n1").host: SEEN.now - patience}
    assert found(WELL, running=2 * patience, streams_from=came) == []
    neighbour = replace(WELL, name="n2")  # on the same host: whose streams they are cannot be told
    assert found(WELL, neighbour, running=9 * patience) == []


def test_loopback_among_others_is_wrong():
    loopback = replace(SEEN.address, host="127.0.0.1")
    assert found(WELL, address=loopback) == [("address", "", "")]
    assert found(replace(WELL, address=replace(WELL.address, host="127.0.0.9")), address=loopback) == []


@pytest.mark.parametrize(
    ("reason", "check"),
    [
        ("no installed key could decrypt the payload (installed: ab12)", "key"),
        ("Remote state is encrypted and encryption is not configured", "key"),
        ("message type 63: no packet carries it", "protocol"),
    ],
)
def test_complaints_tell_a_wrong_key_from_a_stranger(reason, check):
    complaint = Complaint(reason, 4, 990.0)
    assert found(WELL, complaints={home("n1").host: complaint}) == [(check, "n1", "n1 -> me")]
    assert found(WELL, complaints={"192.0.2.1": complaint}) == [(check, "192.0.2.1", "192.0.2.1 -> me")]


def test_a_conflict_of_names_tells_both_addresses():
    seen = replace(SEEN, conflicts={"n5": Conflict(home("n5"), home("n6"), 3, 999.0)})
    (finding,) = diagnose(seen)
    assert (finding.check, finding.peer) == ("name", "n5")
    assert str(home("n5")) in finding.seen
    assert str(home("n6")) in finding.seen


def test_delays_count_from_the_time_that_peers_wait_for_an_answer():
    assert found(WELL, delays=[Delay(0.49, 990.0)]) == []
    seen = replace(SEEN, delays=[Delay(0.5, 990.0), Delay(3.0, 980.0), Delay(0.1, 999.0)])
    (finding,) = diagnose(seen)
    assert finding.severity == "warning"
    assert "late 2 times" in finding.seen
    assert "worst: 3.0 s, 20 s ago" in finding.seen


def test_errors_come_before_warnings():
    findings = diagnose(replace(SEEN, peers=[sick(small=3, full=3)], delays=[Delay(3.0, 980.0)]))
    assert [finding.severity for finding in findings] == ["error", "warning"]
    assert all(finding.seen and finding.remedy for finding in findings)
