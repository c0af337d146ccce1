import pytest

from gossip.agent.symptoms import (
    MAX_DATAGRAM_SOURCES,
    MAX_DELAYS,
    MAX_SYMPTOMS,
    NOTEWORTHY_DELAY,
    WINDOW,
    Symptoms,
)
from gossip.swim.effects import MessageRejected, NameConflict, PingFromElsewhere
from gossip.wire.address import Address
from tests.swim.rig import home


def test_symptoms_of_one_peer_are_summed_up():
    symptoms = Symptoms(0.0)
    symptoms.complaint("10.0.0.1:7946", "first", 1.0)
    symptoms.complaint("10.0.0.1:50000", "second", 2.0)
    complaint = symptoms.complaints["10.0.0.1"]
    assert (complaint.reason, complaint.count, complaint.at) == ("second", 2, 2.0)


def test_effects_of_the_node_become_symptoms():
    symptoms = Symptoms(0.0)
    conflict = NameConflict("n1", home("n1"), home("n2"))
    elsewhere = PingFromElsewhere("n3", home("n4"))
    symptoms.observe([conflict, conflict, elsewhere, MessageRejected("10.0.0.9:1", "broken")], 5.0)
    symptoms.observe([MessageRejected("n7", "a row of a push/pull, which has no address")], 6.0)
    assert symptoms.conflicts["n1"].count == 2
    assert symptoms.elsewhere == {"n3": (home("n4"), 5.0)}
    assert list(symptoms.complaints) == ["10.0.0.9"]


@pytest.mark.parametrize("kept", ["complaints", "streams", "conflicts", "elsewhere"])
def test_of_one_symptom_too_many_the_oldest_is_dropped(kept):
    symptoms = Symptoms(0.0)

    def add(number: int) -> None:
        if kept == "complaints":
            symptoms.complaint(f"h{number}:1", "broken", 1.0)
        elif kept == "streams":
            symptoms.stream(f"h{number}:1", 1.0)
        elif kept == "conflicts":
            symptoms.observe([NameConflict(f"h{number}", home("n1"), home("n2"))], 1.0)
        else:
            symptoms.observe([PingFromElsewhere(f"h{number}", home("n1"))], 1.0)

    for number in range(MAX_SYMPTOMS):
        add(number)
    assert len(getattr(symptoms, kept)) == MAX_SYMPTOMS
    add(0)  # known: now the newest
    add(MAX_SYMPTOMS)
    assert len(getattr(symptoms, kept)) == MAX_SYMPTOMS
    assert {"h0", "h2"} <= set(getattr(symptoms, kept))
    assert "h1" not in getattr(symptoms, kept)


def test_addresses_of_members_are_remembered_within_a_bound():
    symptoms = Symptoms(0.0)
    for port in range(MAX_DATAGRAM_SOURCES + 1):
        symptoms.datagram(Address("10.0.0.1", port), 1.0)
    assert len(symptoms.datagrams) == MAX_DATAGRAM_SOURCES
    assert Address("10.0.0.1", 0) not in symptoms.datagrams


def test_only_late_wake_ups_are_remembered_and_few():
    symptoms = Symptoms(0.0)
    symptoms.woke(NOTEWORTHY_DELAY / 2, 1.0)
    assert not symptoms.delays
    for number in range(MAX_DELAYS + 1):
        symptoms.woke(NOTEWORTHY_DELAY, float(number))
    assert len(symptoms.delays) == MAX_DELAYS
    assert symptoms.delays[0].at == 1.0


def test_what_is_long_ago_is_forgotten():
    symptoms = Symptoms(0.0)
    for now in (0.0, 1.0):
        symptoms.complaint(f"h{now}:1", "broken", now)
        symptoms.observe([NameConflict(f"n{now}", home("n1"), home("n2"))], now)
        symptoms.observe([PingFromElsewhere(f"n{now}", home("n1"))], now)
        symptoms.woke(1.0, now)
    symptoms.prune(WINDOW + 0.5)
    assert list(symptoms.complaints) == ["h1.0"]
    assert list(symptoms.conflicts) == list(symptoms.elsewhere) == ["n1.0"]
    assert [delay.at for delay in symptoms.delays] == [1.0]
