"""``gossip explain``: the story in English, the data, and what it says when there is nothing to tell."""

import json
import signal

import pytest

from gossip.cli.case_story import LATEST, ago, as_json, moment, tell
from gossip.ipc.case_bodies import Explanation, ToldEntry, ToldEvidence, ToldProbe
from tests.agents import OURS, SERF, agents, eventually

T0 = 1_764_000_000_000
PROBE = ToldProbe(T0 - 1000, 1000, 0, ("n4", "n5"), ("n4",), True, "connection refused")
SUSPECTED = ToldEvidence("n1", "n1", (), "own probe", "", 24_000, 4_000, 2, 1, PROBE)


def entry(kind: str, at: int, evidence: ToldEvidence | None = None) -> ToldEntry:
    return ToldEntry(kind, T0 + at, 3, "10.0.0.9:7946", evidence)


def told(*entries: ToldEntry, **fields: object) -> list[str]:
    known = {"node": "n9", "observer": "n1", "now": T0 + 60_000, "is_known": True, "status": "failed"}
    return list(tell(Explanation(**(known | fields), entries=entries)))


def test_the_story_of_a_failure_tells_who_what_when_and_why():
    failed = SUSPECTED._replace(reporter="n2", witnesses=("n3",), timeout=4_000)
    assert told(
        entry("suspected", 0, SUSPECTED),
        entry("confirmed", 2_000, failed._replace(reporter="n3", timeout=14_000)),
        entry("failed", 4_000, failed),
    ) == [
        "n9 is failed, says n1.",
        "2025-11-24T16:00:00.000Z  (1 min ago)  suspected by n1 (the agent asked), whose probe got no answer",
        "    direct ping of n1, sent 2025-11-24T15:59:59.000Z: no answer in 1 s",
        "    indirect pings through n4 and n5: n4 got no answer either; n5 stayed silent",
        "    ping over TCP: connection refused",
        "    time to refute: 24 s, 4 s after 2 confirmations; "
        "local health of n1: 1 (it doubted itself, and probed more patiently)",
        "2025-11-24T16:00:02.000Z  (58.0 s ago)  confirmed by n3: now 14 s to refute, from the suspicion on",
        "2025-11-24T16:00:04.000Z  (56.0 s ago)  declared failed by n2, and not refuted "
        "(suspected by n1; confirmed by n3)",
    ]


@pytest.mark.parametrize(
    ("channel", "accuser", "sender", "text"),
    [
        ("gossip", "n2", "n2", "suspected by n2"),
        ("gossip", "n2", "n4", "suspected by n2, as gossip from n4 says"),
        ("push/pull", "", "n4", "suspected: the state of n4 (push/pull) listed it as suspected or failed"),
        ("push/pull", "", "", "suspected: the state of a peer (push/pull) listed it as suspected or failed"),
    ],
)
def test_the_story_tells_by_which_way_a_suspicion_came(channel, accuser, sender, text):
    evidence = SUSPECTED._replace(accuser=accuser, channel=channel, sender=sender, probe=None)
    assert told(entry("suspected", 0, evidence))[1].endswith(f"  {text}")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("refuted", "refuted by n9 itself, with incarnation 3"),
        ("returned", "returned at 10.0.0.9:7946, with incarnation 3"),
        ("leaving", "said that it is about to leave"),
        ("left", "left"),
        ("reaped", "erased from the member list"),
    ],
)
def test_the_story_tells_how_a_case_ended(kind, text):
    assert told(entry(kind, 0))[1].endswith(f"  {text}")


def test_a_death_out_of_the_blue_is_told_as_such():
    evidence = ToldEvidence("n2", "", (), "gossip", "", 0, 0, 0, 0, None)
    assert told(entry("failed", 0, evidence))[1].endswith(
        "declared failed by n2; n1 had heard of no suspicion before"
    )


def test_the_head_tells_the_present():
    assert told(status="alive", is_suspect=True, forgotten=2)[0] == "n9 is alive, and suspected, says n1."
    assert told(is_known=False)[0] == "n9 is not in the member list any more, says n1."
    assert told(status="alive")[1].startswith("Nothing is known against it")
    assert told(entry("left", 0), forgotten=2)[1] == "2 older events are forgotten."


def test_times_are_told_in_the_unit_that_fits():
    assert [ago(ms) for ms in (-5, 900, 59_000, 90_000, 7_200_000, 172_800_000)] == [
        "0.0 s ago", "0.9 s ago", "59.0 s ago", "2 min ago", "2 h ago", "2 days ago",
    ]  # fmt: skip
    assert moment(0) == "1970-01-01T00:00:00.000Z"
    assert moment(2**64 - 1) == moment(LATEST) == "9999-12-31T23:59:59.000Z"


def test_the_data_says_the_same_in_seconds():
    case = Explanation("n9", "n1", T0 + 60_000, True, "failed", entries=(entry("suspected", 0, SUSPECTED),))
    found = json.loads(json.dumps(as_json(case)))
    (event,) = found["events"]
    assert (found["node"], found["observer"], event["event"]) == ("n9", "n1", "suspected")
    assert (event["at"], event["seconds_ago"]) == ("2025-11-24T16:00:00.000Z", 60.0)
    assert event["evidence"]["timeout"] == 24.0
    assert event["evidence"]["probe"]["got_no_answer_either"] == ["n4"]
    assert event["evidence"]["probe"]["tcp"] == "connection refused"


def test_bodies_survive_the_wire():
    case = Explanation("n9", "n1", T0, True, "alive", True, 1, (entry("suspected", 0, SUSPECTED),))
    assert Explanation.from_fields(case.to_fields()) == case


def test_a_killed_agent_is_explained_by_those_that_miss_it(tmp_path):
    with agents(tmp_path) as started:
        one = started.start(OURS, "o1", "-profile=local")
        two = started.start(OURS, "o2", "-profile=local", f"-join={one.host}")
        nothing = one.run("explain", "o2")
        assert nothing.returncode == 0
        assert "Nothing is known against it" in nothing.stdout
        nobody = one.run("explain", "nobody")
        assert (nobody.returncode, nobody.stdout) == (1, "")
        assert nobody.stderr == "Error explaining nobody: no member has this name (see 'gossip members')\n"
        two.signal(signal.SIGKILL)
        eventually(lambda: one.statuses().get("o2") == "failed", 30, "the failure")
        story = one.run("explain", "o2").stdout
        assert story.startswith("o2 is failed, says o1.\n")
        assert "suspected by o1 (the agent asked), whose probe got no answer" in story
        assert "connection refused" in story
        data = json.loads(one.run("explain", "--format=json", "o2").stdout)
        assert [event["event"] for event in data["events"]] == ["suspected", "failed"]


@pytest.mark.serf
def test_an_agent_of_serf_is_said_to_keep_no_evidence(tmp_path):
    with agents(tmp_path) as started:
        serf = started.start(SERF, "s1")
        done = serf.run("explain", "s1", client=OURS)
        assert done.returncode == 1
        assert done.stderr.startswith("Error explaining s1: the agent at ")
        assert "keeps no evidence" in done.stderr
