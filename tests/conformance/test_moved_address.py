"""An agent's own address changes while it lives: our peers and real Serf's follow, each by its own rules."""

import signal
import time

import pytest

from tests.agents import OURS, SERF, eventually, has_serf
from tests.netns import HiddenAgent, Namespaces, run, why_not

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=f"no network namespaces: {why_not()}"),
    pytest.mark.timeout(300),
]

NOTICED = 15.0
"""Bound on a wait for what takes at most 5 s on an idle machine."""
DETECTED = 60.0
"""Bound on a wait until our peers have found the old address silent and asked the new one; some 6 s."""
SERFS = 120.0
"""Bound on a wait until Serf has forgotten the old address, after its gossip to the dead: some 22 s."""


def readdress(agent: HiddenAgent, old: str, new: str, *, away: float = 0.0) -> None:
    """Give the agent's namespace another address, after `away` seconds without any."""
    run("ip", "-n", agent.namespace, "addr", "del", f"{old}/24", "dev", "eth0")
    time.sleep(away)
    run("ip", "-n", agent.namespace, "addr", "add", f"{new}/24", "dev", "eth0")


def shown(agent: HiddenAgent, name: str) -> tuple[str, str]:
    """Return the address and the status that `agent` shows of `name`."""
    row = agent.members().get(name)
    return (row.address, row.status) if row else ("", "")


def cluster_of(net: Namespaces, *programs: tuple[str, ...]) -> tuple[HiddenAgent, list[HiddenAgent]]:
    mover = net.start("mover", "-profile=local", "-bind=0.0.0.0")
    others = [
        net.start(f"other-{number}", "-profile=local", f"-join={mover.host}", program=program)
        for number, program in enumerate(programs)
    ]
    everybody = [mover, *others]
    eventually(lambda: all(len(agent.members()) == len(everybody) for agent in everybody), 30, "a cluster")
    return mover, others


@pytest.mark.parametrize("away", [0.0, 6.0])
def test_our_peers_find_an_agent_at_its_new_address(net, away):
    mover, others = cluster_of(net, OURS, OURS)
    readdress(mover, mover.host, "10.99.0.200", away=away)
    eventually(lambda: "address changed" in mover.log.read_text(), NOTICED, "the change to be noticed")
    assert shown(mover, "mover") == ("10.99.0.200:7946", "alive")
    for other in others:
        eventually(
            lambda o=other: shown(o, "mover") == ("10.99.0.200:7946", "alive"), DETECTED, "the new address"
        )
    assert set(mover.statuses().values()) == {"alive"}
    assert mover.process.poll() is None
    mover.signal(signal.SIGTERM)
    assert mover.wait(20) == 0
    eventually(lambda: shown(others[0], "mover")[1] == "left", NOTICED, "its leave from the new address")


@pytest.mark.serf
@pytest.mark.skipif(not has_serf(), reason="serf is not installed")
def test_real_serf_follows_when_it_has_forgotten_the_old_address(net):
    mover, (serf, ours) = cluster_of(net, SERF, OURS)
    readdress(mover, mover.host, "10.99.0.200")
    eventually(lambda: shown(ours, "mover") == ("10.99.0.200:7946", "alive"), DETECTED, "ours to follow")
    eventually(lambda: shown(serf, "mover") == ("10.99.0.200:7946", "alive"), SERFS, "Serf to follow")
    assert mover.process.poll() is None
