import socket
import threading

import pytest
import trio

from gossip.agent import resolve as resolve_module
from gossip.agent.resolve import MAX_ADDRESSES_PER_NAME, MAX_LOOKUPS, resolve
from gossip.wire.address import Address


@pytest.fixture
def names(monkeypatch):
    """Install answers for names; addresses are read as ever."""
    real = socket.getaddrinfo

    def install(answer):
        def look_up(host, port, family=0, type=0, proto=0, flags=0):
            if flags & socket.AI_NUMERICHOST:
                return real(host, port, family, type, proto, flags)
            found = answer() if callable(answer) else answer
            if isinstance(found, Exception):
                raise found
            return [(socket.AF_INET, type, 6, "", (address, port)) for address in found]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return install


@pytest.fixture
def stuck(names, monkeypatch):
    """Let every look-up hang until the end of the test; return a list with one entry for each."""
    ended = threading.Event()
    begun = []

    def hang():
        begun.append(1)
        ended.wait(20)
        return []

    names(hang)
    monkeypatch.setattr(resolve_module, "RESOLVE_TIMEOUT", 0.2)
    yield begun
    ended.set()


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
        (UnicodeError("label too long"), "lookup 'web': not a host name"),
    ],
)
async def test_a_name_without_an_answer_says_why(names, answer, text):
    names(answer)
    with pytest.raises(OSError, match=text):
        await resolve("web", 5)


async def test_what_is_no_name_is_an_error():
    with pytest.raises(OSError, match="not a host name"):
        await resolve("a" * 64 + ".example", 5)


async def test_a_resolver_that_does_not_answer_is_given_up(stuck):
    with pytest.raises(OSError, match=r"lookup web: no answer within 0\.2s"):
        await resolve("web", 5)


async def test_stuck_lookups_hold_only_threads_of_their_own(stuck):
    errors = []

    async def look_up():
        try:
            await resolve("web", 5)
        except OSError as error:
            errors.append(str(error))

    async with trio.open_nursery() as nursery:
        for _ in range(3 * MAX_LOOKUPS):
            nursery.start_soon(look_up)
    assert len(errors) == 3 * MAX_LOOKUPS
    assert len(stuck) == MAX_LOOKUPS
    assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
    with trio.fail_after(5):
        await trio.to_thread.run_sync(lambda: None)
        assert await resolve("127.0.0.1", 5) == [Address("127.0.0.1", 5)]
