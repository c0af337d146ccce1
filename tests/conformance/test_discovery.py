"""Agents that find each other by multicast DNS, ours and Serf's, each in a network namespace of its own."""

import pytest

from tests.agents import OURS, SERF, eventually, has_serf
from tests.netns import why_not

pytest.importorskip("zeroconf", reason="zeroconf IS NOT INSTALLED: pip install 'gossip-agent[mdns]'")
pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"no network namespaces: {why_not()}")

READY_FOR_IPV6 = (
    *("sh", "-c"),
    "for _ in $(seq 200); do"
    " ip -6 -o addr show dev eth0 scope link -tentative | grep -q fe80 && break; sleep 0.05; done\n"
    'exec serf "$@"',
    "sh",
)
"""Starts Serf when the namespace has its IPv6 address: it gives up its first poll without one."""
DISCOVER = ("-profile=local", "-discover=web")


def together(*agents):
    """Wait until all of `agents` know each other."""
    names = {agent.name for agent in agents}
    logs = "\n".join(agent.log.read_text() for agent in agents)
    eventually(lambda: all(set(agent.members()) == names for agent in agents), 30, f"{names} to meet: {logs}")


def test_two_agents_of_one_cluster_meet_and_another_cluster_stays_apart(net):
    first = net.start("first", *DISCOVER)
    stranger = net.start("stranger", "-profile=local", "-discover=db")
    second = net.start("second", *DISCOVER)
    together(first, second)
    together(stranger)


@pytest.mark.serf
@pytest.mark.parametrize("programs", [(OURS, SERF), (SERF, OURS)], ids=["ours-first", "serf-first"])
def test_we_meet_a_real_serf_whoever_comes_first(net, programs):
    if not has_serf():
        pytest.skip("serf is not installed")
    starters = [READY_FOR_IPV6 if program == SERF else () for program in programs]
    first = net.start("first", *DISCOVER, program=programs[0], starter=starters[0])
    second = net.start("second", *DISCOVER, program=programs[1], starter=starters[1])
    together(first, second)
    joined = {SERF: "agent.mdns: Joined", OURS: "joined discovered agents"}
    # Serf's first poll still listens when we announce ourselves: then it is Serf that joins.
    logs = [(agent.log, joined[program]) for agent, program in zip((first, second), programs, strict=True)]
    eventually(lambda: any(text in log.read_text() for log, text in logs), 20, f"either to join: {logs}")
