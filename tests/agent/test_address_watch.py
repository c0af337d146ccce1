import errno
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from gossip.agent.address_watch import EXIT_MOVED, watch_address
from gossip.wire.address import Address

HERE = [("lo", "127.0.0.1"), ("eth0", "10.0.0.1")]
GONE = [("lo", "127.0.0.1")]


class EndOfTestError(Exception):
    pass


class StoppableAgent:
    """As much of an agent as the watch touches."""

    def __init__(self, host="10.0.0.1", advertise=""):
        member = SimpleNamespace(address=Address(host, 7946))
        self.driver = SimpleNamespace(node=SimpleNamespace(members=lambda: [member]))
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
