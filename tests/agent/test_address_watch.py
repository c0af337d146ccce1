import errno
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from gossip.agent.address_watch import EXIT_MOVED, MAX_LOOKS_WITHOUT, watch_address
from gossip.errors import LocalProtocolError
from gossip.wire.address import Address, pack_address

HERE = [("lo", "127.0.0.1"), ("eth0", "10.0.0.1")]
GONE = [("lo", "127.0.0.1")]


class EndOfTestError(Exception):
    pass


class StoppableAgent:
    """As much of an agent as the watch touches."""

    def __init__(self, host="10.0.0.1", advertise="", bound="10.0.0.1"):
        self.address = Address(host, 7946)
        self.moves = []
        self.driver = SimpleNamespace(
            node=SimpleNamespace(
                members=lambda: [SimpleNamespace(address=self.address)],
                move=lambda addr, now: self.moves.append(addr),
            ),
            transport=SimpleNamespace(address=Address(bound, 7946)),
            destinations=SimpleNamespace(move=lambda address: self.judged.append(str(address))),
            apply=lambda command: command(self.driver.node, 0.0),
        )
        self.judged = []
        self.config = SimpleNamespace(advertise=advertise)
        self.exit_code = None

    def stop(self, exit_code):
        self.exit_code = exit_code


def looks(*answers):
    """Return each of `answers` once; then end the test."""
    rest = list(answers)

    def look():
        if not rest:
            raise EndOfTestError
        return rest.pop(0)

    return look


async def test_an_address_that_stays_away_stops_the_agent(autojump_clock):
    agent = StoppableAgent()
    await watch_address(agent, looks(HERE, HERE, GONE, GONE, GONE))
    assert agent.exit_code == EXIT_MOVED
    assert trio.current_time() == pytest.approx(4.0)


async def test_lack_of_descriptors_says_nothing_about_the_address(autojump_clock):
    agent, looked = StoppableAgent(), []

    def look():
        looked.append(1)
        if 1 < len(looked) < 10:
            raise OSError(errno.EMFILE, "too many open files")
        if len(looked) == 10:
            raise EndOfTestError
        return HERE

    with pytest.raises(EndOfTestError):
        await watch_address(agent, look)
    assert agent.exit_code is None


async def test_an_address_that_comes_back_in_time_does_not(autojump_clock):
    agent = StoppableAgent()
    with pytest.raises(EndOfTestError):
        await watch_address(agent, looks(HERE, GONE, GONE, HERE, GONE, GONE, HERE))
    assert agent.exit_code is None


@pytest.mark.parametrize(
    ("agent", "first"),
    [
        (StoppableAgent(advertise="203.0.113.1"), HERE),
        (StoppableAgent(host="127.0.0.11"), HERE),
        (StoppableAgent(host="203.0.113.1"), HERE),
    ],
)
async def test_an_address_that_no_interface_need_have_is_not_watched(agent, first, autojump_clock):
    await watch_address(agent, looks(first))
    assert agent.exit_code is None
    assert trio.current_time() == pytest.approx(0.0)


ELSEWHERE = [("lo", "127.0.0.1"), ("eth0", "10.0.0.9")]
NEW_INTERFACE = [("lo", "127.0.0.1"), ("eth1", "10.7.0.1")]
BRIDGE = [("docker0", "172.17.0.1")]
EVERYWHERE = "0.0.0.0"


@pytest.mark.parametrize(
    ("answers", "moves"),
    [
        ([HERE, ELSEWHERE, ELSEWHERE, ELSEWHERE], ["10.0.0.9"]),
        ([HERE, GONE, GONE, GONE, GONE, GONE, ELSEWHERE], ["10.0.0.9"]),
        ([HERE, GONE, GONE, GONE, GONE, GONE, NEW_INTERFACE], ["10.7.0.1"]),
        ([HERE, *[ELSEWHERE] * 3, *[HERE] * 3], ["10.0.0.9", "10.0.0.1"]),
        ([HERE, *[GONE] * 9, HERE, *[GONE] * 9], []),
        ([HERE + BRIDGE, *[GONE + BRIDGE] * 9, ELSEWHERE + BRIDGE], ["10.0.0.9"]),
    ],
)
async def test_an_agent_that_listens_everywhere_tells_its_new_address(answers, moves, autojump_clock):
    agent = StoppableAgent(bound=EVERYWHERE)
    with pytest.raises(EndOfTestError):
        await watch_address(agent, looks(*answers))
    assert agent.moves == [pack_address(host) for host in moves]
    assert agent.judged == [f"{host}:7946" for host in moves]
    assert agent.exit_code is None


async def test_a_new_address_is_told_within_five_seconds(autojump_clock):
    agent = StoppableAgent(bound=EVERYWHERE)
    with pytest.raises(EndOfTestError):
        await watch_address(agent, looks(HERE, ELSEWHERE, ELSEWHERE, ELSEWHERE))
    assert trio.current_time() <= 5.0


@pytest.mark.parametrize("bridge", [[], BRIDGE])
async def test_an_agent_without_any_other_address_stops_after_ten_seconds(bridge, autojump_clock):
    agent = StoppableAgent(bound=EVERYWHERE)
    await watch_address(agent, looks(HERE + bridge, *[GONE + bridge] * MAX_LOOKS_WITHOUT))
    assert agent.exit_code == EXIT_MOVED
    assert agent.moves == []
    assert trio.current_time() == pytest.approx(10.0)


async def test_an_agent_that_began_with_loopback_alone_tells_the_first_address_that_comes(autojump_clock):
    agent = StoppableAgent(host="127.0.0.1", bound=EVERYWHERE)
    with pytest.raises(EndOfTestError):
        await watch_address(agent, looks(*[GONE] * 100, HERE))
    assert agent.moves == [pack_address("10.0.0.1")]
    assert agent.exit_code is None


async def test_an_agent_that_leaves_is_left_alone(autojump_clock):
    agent = StoppableAgent(bound=EVERYWHERE)

    def leaving(_addr, _now):
        raise LocalProtocolError("the node is leaving")

    agent.driver.node.move = leaving
    with pytest.raises(EndOfTestError):
        await watch_address(agent, looks(HERE, *[ELSEWHERE] * 5))
