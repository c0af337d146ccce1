"""Evidence for the layer above: who began a suspicion, by which channel, and what was tried."""

from gossip.swim.detector import PingLate, VerdictDue
from gossip.swim.evidence import Channel, Evidence, Origin, ProbeRecord
from gossip.wire.codec import encode
from gossip.wire.messages import MemberState, Suspect
from tests.swim.rig import ME, STRANGER, Layer, Rig, alive, home, row

OTHERS = tuple(f"n{i}" for i in range(1, 8))


class Witness(Layer):
    """Records the reports about suspicions."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, Evidence]] = []

    def member_suspected(self, member, evidence, now):
        self.told.append(("suspected", evidence))

    def suspicion_confirmed(self, member, evidence, now):
        self.told.append(("confirmed", evidence))

    def suspicion_refuted(self, member, evidence, now):
        self.told.append(("refuted", evidence))

    def member_gone(self, member, evidence, now):
        self.told.append(("gone", evidence))


def watched(*, probing: bool = False) -> tuple[Rig, list[tuple[str, Evidence]]]:
    witness = Witness()
    rig = Rig(members=OTHERS, layer=witness)
    if not probing:
        rig.stop_probing()
    return rig, witness.told


def test_what_nobody_knows_of_a_probe_or_a_suspicion_is_nothing():
    assert ProbeRecord(1.0, (), ()) == ProbeRecord(1.0, (), (), 0.0, 0, None)
    nowhere = Origin(Channel.GOSSIP, "")
    assert Evidence() == Evidence("", "", (), 0.0, None, nowhere, 0.0, 0.0, 0, 0, 0)


def test_evidence_from_gossip_names_the_accuser_and_the_sender():
    rig, told = watched()
    rig.hear(Suspect(1, "n1", "n2"), source=home("n4"))
    ((kind, evidence),) = told
    assert (kind, evidence.reporter, evidence.accuser) == ("suspected", "n2", "n2")
    assert evidence.origin == Origin(Channel.GOSSIP, "n4")
    assert (evidence.deadline - rig.now, evidence.minimum, evidence.confirmations) == (24.0, 4.0, 2)


def test_evidence_from_a_stranger_has_its_address():
    rig, told = watched()
    rig.hear_bytes(encode(Suspect(1, "n1", "n2")), source=STRANGER)
    assert told[0][1].origin == Origin(Channel.GOSSIP, str(STRANGER))


def test_evidence_from_a_push_pull_names_the_peer():
    rig, told = watched()
    remote = rig.node.local_state(join=False)
    remote = type(remote)(False, (*remote.nodes, row("n1", state=MemberState.DEAD)), b"")
    rig.node.merge_remote_state(remote, rig.now, peer="n5")
    assert told[0][1].origin == Origin(Channel.PUSH_PULL, "n5")


def test_our_own_probe_is_the_evidence_of_the_suspicion_that_it_begins():
    rig, told = watched(probing=True)
    ping, _ = rig.begin_probe()
    rig.fire_until(PingLate)
    rig.node.stream_ping_failed(ping.seq, "connection refused")
    rig.fire_until(VerdictDue)
    ((kind, evidence),) = told
    assert (kind, evidence.accuser, evidence.origin.channel) == ("suspected", ME, Channel.OWN_PROBE)
    assert len(evidence.probe.relays) == rig.config.indirect_checks
    assert evidence.probe.stream == "connection refused"
    assert evidence.probe.deadline - evidence.probe.started == rig.config.probe_interval
    assert evidence.health == rig.node.health.score > evidence.probe.health == 0


def test_a_confirmation_names_its_reporter_and_the_time_left():
    rig, told = watched()
    rig.suspect("n1", "n2")
    rig.advance(1.0)
    rig.suspect("n1", "n3")
    rig.suspect("n1", "n3")  # received twice, reported once
    assert [kind for kind, _ in told] == ["suspected", "confirmed"]
    evidence = told[1][1]
    assert (evidence.reporter, evidence.accuser, evidence.witnesses) == ("n3", "n2", ("n3",))
    assert evidence.deadline < told[0][1].deadline


def test_evidence_of_a_refutation_has_its_incarnation():
    rig, told = watched()
    rig.suspect("n1", "n2")
    rig.hear(alive("n1", 2))
    kind, evidence = told[-1]
    assert (kind, evidence.reporter, evidence.accuser, evidence.incarnation) == ("refuted", "n1", "n2", 2)
