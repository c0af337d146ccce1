"""``gossip doctor``: what it prints; the faults themselves are made in tests/doctor."""

import pytest

from gossip.cli import doctor
from gossip.ipc.doctor_bodies import Diagnosis, Finding
from tests.agents import OURS, SERF, agents

FINDING = Finding("error", "udp", "n2", "n1 -> n2", "0 of 3 pings answered", "open UDP port 7946")


def test_a_finding_is_one_line():
    assert doctor._line(FINDING) == (
        "error: udp (n2, n1 -> n2): 0 of 3 pings answered. Remedy: open UDP port 7946."
    )
    assert doctor._line(FINDING._replace(peer="", direction="")).startswith("error: udp: 0 of 3")


def test_the_summary_counts():
    assert doctor._summary(Diagnosis("n1", 2, 3)) == (
        "healthy: n1 examined 2 of 3 live peers; UDP, full datagrams and TCP get through"
    )
    assert doctor._summary(Diagnosis("n1", 2, 3, (FINDING,))) == "1 finding: n1 examined 2 of 3 live peers"
    assert doctor._summary(Diagnosis("n1", 2, 3, (FINDING,) * 2)).startswith("2 findings: ")


def test_bodies_survive_the_wire():
    diagnosis = Diagnosis("n1", 2, 3, (FINDING,))
    assert Diagnosis.from_fields(diagnosis.to_fields()) == diagnosis
    (told,) = doctor._as_json(diagnosis)["findings"]
    assert (told["check"], told["peer"], told["direction"]) == ("udp", "n2", "n1 -> n2")


def test_an_agent_alone_is_healthy(tmp_path):
    with agents(tmp_path) as started:
        done = started.start(OURS, "o1").run("doctor")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == (
            "healthy: o1 examined 0 of 0 live peers; UDP, full datagrams and TCP get through\n"
        )


@pytest.mark.serf
def test_an_agent_of_serf_cannot_examine_itself(tmp_path):
    with agents(tmp_path) as started:
        done = started.start(SERF, "s1").run("doctor", client=OURS)
        assert (done.returncode, done.stdout) == (1, "")
        assert "cannot examine itself" in done.stderr
