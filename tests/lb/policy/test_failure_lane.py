import pytest

from gossip.serf.members import MemberStatus
from lb.policy.candidate import Candidate, Sighting
from lb.policy.convergence import DetectorView
from lb.policy.damping import FlapConfig
from lb.policy.failure_lane import serves
from lb.policy.plan import Claim
from lb.policy.witness import Health

ALIVE, FAILED = MemberStatus.ALIVE, MemberStatus.FAILED
CLAIM = Claim("web", "a", "10.0.0.1", 80, 1)


def view(suspects: frozenset[str] = frozenset(), healths: dict[str, Health] | None = None) -> DetectorView:
    return DetectorView(
        suspects=suspects,
        retransmit_limit=4,
        gossip_interval=0.2,
        probe_interval=1.0,
        last_heard=0.0,
        local_health=0,
        others_alive=3,
        answering=frozenset(),
        healths=healths,
    )


def candidate(status: MemberStatus) -> Candidate:
    one = Candidate("a", CLAIM, FlapConfig(), 0.0)
    one.see(Sighting("a", status, CLAIM), 0.0)
    return one


@pytest.mark.parametrize(
    ("status", "suspects", "answers"),
    [(ALIVE, (), True), (ALIVE, ("a",), False), (ALIVE, ("b",), True), (FAILED, (), False)],
)
def test_without_haproxys_word_a_server_answers_if_gossip_neither_misses_nor_suspects_it(
    status: MemberStatus, suspects: tuple[str, ...], answers: bool
) -> None:
    assert serves(candidate(status), view(frozenset(suspects))) is answers


@pytest.mark.parametrize(
    ("health", "answers"), [(Health.UP, True), (Health.DOWN, False), (Health.UNKNOWN, False)]
)
def test_where_haproxy_was_asked_its_word_decides(health: Health, answers: bool) -> None:
    for status in (ALIVE, FAILED):
        assert serves(candidate(status), view(healths={"a": health})) is answers
