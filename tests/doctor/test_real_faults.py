"""Each finding of ``gossip doctor`` on real agents with the real fault between them."""

import json
import signal
import time

import pytest

from tests.agents import OURS, SERF, eventually, has_serf
from tests.netns import QUICK_ANTI_ENTROPY, HiddenAgent, Namespaces, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"no network namespaces: {why_not()}")

KEYS = ("MDEyMzQ1Njc4OWFiY2RlZg==", "ZmVkY2JhOTg3NjU0MzIxMA==")


def pair(net: Namespaces, *options: str, program: tuple[str, ...] = OURS) -> tuple[HiddenAgent, HiddenAgent]:
    """Start n1 and n2, and wait until both know each other."""
    one = net.start("n1", "-profile=local", *options)
    two = net.start("n2", "-profile=local", f"-join={one.host}", *options, program=program)
    eventually(lambda: len(one.members()) == len(two.members()) == 2, 20, "two members")
    return one, two


def findings(agent: HiddenAgent, *, delays: bool = False) -> list[dict[str, str]]:
    """Return what the agent finds; a busy machine may delay it, which is not asked about here."""
    done = agent.run("doctor", "--format=json")
    found = json.loads(done.stdout)["findings"]
    assert done.returncode == bool(found), done.stderr
    return [finding for finding in found if delays or finding["check"] != "delay"]


def only(agent: HiddenAgent) -> tuple[str, str, str]:
    """Return kind, peer and direction of the only finding, once there is one."""
    latest: list[dict[str, str]] = []

    def is_found() -> bool:
        latest[:] = findings(agent)
        return bool(latest)

    eventually(is_found, 40, "a finding")
    (finding,) = latest
    assert finding["seen"]
    assert finding["remedy"]
    return finding["check"], finding["peer"], finding["direction"]


@pytest.mark.parametrize("program", [OURS, pytest.param(SERF, marks=pytest.mark.serf)])
def test_healthy_peers_are_called_healthy(net, program):
    if program == SERF and not has_serf():
        pytest.skip("serf is not installed")
    one, _ = pair(net, program=program)
    assert findings(one) == []
    told = one.run("doctor").stdout
    assert "n1 examined 1 of 1 live peers" in told


@pytest.mark.serf
def test_the_doctor_leaves_no_trace_in_the_log_of_a_serf_peer(net):
    one, two = pair(net, program=SERF)
    before = two.log.read_text()
    assert findings(one) == []
    added = two.log.read_text()[len(before) :]
    assert not [line for line in added.splitlines() if "[WARN]" in line or "[ERR]" in line]


def test_datagrams_that_do_not_reach_the_peer(net):
    one, two = pair(net)
    two.forbid("-p", "udp", "-s", one.host)
    assert only(one) == ("udp", "n2", "n1 -> n2")


def test_datagrams_that_do_not_come_from_the_peer(net):
    one, two = pair(net)
    one.forbid("-p", "udp", "-s", two.host)
    eventually(lambda: only(one) == ("udp", "n2", "n2 -> n1"), 40, "silence to be long enough")


def test_streams_that_do_not_reach_the_peer(net):
    one, two = pair(net)
    two.forbid("-p", "tcp", "-s", one.host, "--dport", "7946")
    assert only(one) == ("tcp", "n2", "n1 -> n2")


def test_streams_that_do_not_come_from_the_peer(net):
    one = net.start("n1", "-profile=local", starter=QUICK_ANTI_ENTROPY)
    two = net.start("n2", "-profile=local", f"-join={one.host}", starter=QUICK_ANTI_ENTROPY)
    eventually(lambda: len(two.members()) == 2, 20, "two members")
    assert findings(one) == []
    one.forbid("-p", "tcp", "-s", two.host, "--dport", "7946")
    assert only(one) == ("tcp", "n2", "n2 -> n1")


def test_full_datagrams_that_are_lost(net):
    one, two = pair(net)
    two.forbid("-p", "udp", "-s", one.host, "-m", "length", "--length", "1000:65535")
    assert only(one) == ("mtu", "n2", "n1 -> n2")


@pytest.mark.parametrize("advertised", ["10.99.77.77", "127.0.0.1"])
def test_an_address_that_nobody_can_reach(net, advertised):
    one = net.start("n1", "-profile=local")
    net.start("n2", "-profile=local", f"-join={one.host}", f"-advertise={advertised}")
    eventually(lambda: len(one.members()) == 2, 20, "two members")
    check, peer, _ = only(one)
    assert (check, peer) == ("address", "n2")


def test_an_agent_that_advertises_a_wrong_address_finds_out_itself(net):
    one = net.start("n1", "-profile=local")
    two = net.start("n2", "-profile=local", f"-join={one.host}", "-advertise=10.99.77.77")
    eventually(
        lambda: any(found["check"] in ("address", "udp") for found in findings(two)), 40, "a finding of n2"
    )


def test_a_loopback_address_among_others_is_found_by_its_agent(net):
    one = net.start("n1", "-profile=local")
    two = net.start("n2", "-profile=local", f"-join={one.host}", "-advertise=127.0.0.1")
    assert "address" in {found["check"] for found in findings(two)}


def test_keys_that_do_not_match(net):
    one = net.start("n1", "-profile=local", f"-encrypt={KEYS[0]}")
    two = net.start(
        "n2", "-profile=local", f"-encrypt={KEYS[1]}", f"-retry-join={one.host}", "-retry-interval=1s"
    )
    assert only(one) == ("key", two.host, f"{two.host} -> n1")
    check, peer, _ = only(two)
    assert (check, peer) == ("key", one.host)


def test_a_peer_without_a_key_among_those_with_one(net):
    one = net.start("n1", "-profile=local", f"-encrypt={KEYS[0]}")
    two = net.start("n2", "-profile=local", f"-retry-join={one.host}", "-retry-interval=1s")
    assert only(one)[:2] == ("key", two.host)
    assert only(two)[:2] == ("key", one.host)


def test_a_name_that_is_used_twice(net):
    one, two = pair(net)
    net.start("n2", "-profile=local", f"-retry-join={one.host}", log="other", waits=False)
    eventually(
        lambda: [found["peer"] for found in findings(one) if found["check"] == "name"] == ["n2"],
        40,
        "the conflict to be seen",
    )
    assert two.process.poll() is None


def test_a_process_that_was_stopped_for_a_while(net):
    one, _ = pair(net)
    one.signal(signal.SIGSTOP)
    time.sleep(1.5)  # the fault itself
    one.signal(signal.SIGCONT)
    delays = [found for found in findings(one, delays=True) if found["check"] == "delay"]
    assert len(delays) == 1
    assert "the event loop woke late" in delays[0]["seen"]
