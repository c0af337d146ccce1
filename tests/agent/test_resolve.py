import socket

import pytest
import trio

from gossip.agent.resolve import MAX_ADDRESSES_PER_NAME, resolve
from gossip.wire.address import Address


class Names(trio.abc.HostnameResolver):
    """A resolver that knows what a test tells it."""

    def __init__(self, answer):
        self.answer = answer

    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):
        await trio.lowlevel.checkpoint()
        if self.answer is None:
            await trio.sleep_forever()
        if isinstance(self.answer, Exception):
            raise self.answer
        return [(socket.AF_INET, type, 6, "", (address, port)) for address in self.answer]

    async def getnameinfo(self, sockaddr, flags):
        raise AssertionError("nobody asks for names")


@pytest.fixture
def names():
    """Install answers for names; addresses never come here."""

    def install(answer):
        trio.socket.set_custom_hostname_resolver(Names(answer))

    return install


async def test_an_address_is_itself():
    assert await resolve("127.0.0.1", 5) == [Address("127.0.0.1", 5)]
    assert await resolve("::1", 5) == [Address("::1", 5)]


async def test_all_addresses_of_a_name_count_once(names):
    names(["10.0.0.2", "10.0.0.1", "10.0.0.2"])
    assert await resolve("web", 5) == [Address("10.0.0.2", 5), Address("10.0.0.1", 5)]


@pytest.mark.parametrize("extra", [0, 1])
async def test_addresses_of_a_name_are_bounded(names, extra):
    names([f"10.0.{n // 256}.{n % 256}" for n in range(MAX_ADDRESSES_PER_NAME + extra)])
    assert len(await resolve("many", 5)) == MAX_ADDRESSES_PER_NAME


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "lookup web: no such host"),
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            "lookup web: temporary failure in name resolution",
        ),
        (UnicodeError("label too long"), "lookup web: not a host name"),
        (None, "lookup web: no answer within 10s"),
    ],
)
async def test_a_name_without_an_answer_says_why(names, autojump_clock, answer, text):
    names(answer)
    with pytest.raises(OSError, match=text):
        await resolve("web", 5)
