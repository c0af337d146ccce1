"""What was found by multicast DNS waits in a bounded place, and is joined once it is quiet."""

import trio

from gossip.agent.discovery import MAX_FOUND, QUIET, Finds, announcement
from gossip.wire.address import Address


def finds():
    return Finds("web", "a", trio.lowlevel.current_trio_token())


async def test_finds_are_joined_together_when_no_more_come(autojump_clock):
    found = finds()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_find, found, ["b:1"], 0)
        nursery.start_soon(_find, found, ["c:1", "b:1"], QUIET / 2)
        assert await found.batch() == ["b:1", "c:1"]
        assert trio.current_time() >= QUIET * 1.5
        nursery.start_soon(_find, found, ["b:1"], 5)
        assert await found.batch() == ["b:1"]


async def _find(found, addresses, after):
    await trio.sleep(after)
    found.add(addresses)


async def test_more_finds_than_the_limit_are_dropped():
    found = finds()
    found.add([f"h{number}:1" for number in range(MAX_FOUND + 1)])
    assert len(await found.batch()) == MAX_FOUND


class Library:
    """Stands for zeroconf's cache: one service."""

    def __init__(self, info):
        self.info = info

    def get_service_info(self, kind, name, timeout):
        return self.info


async def test_a_service_is_handed_over_from_the_librarys_thread_and_our_own_is_not():
    found = finds()
    for name in ("a", "b"):
        info = announcement("web", name, Address("10.0.0.2", 7))
        await trio.to_thread.run_sync(found.update_service, Library(info), info.type, info.name)
    assert await found.batch() == ["10.0.0.2:7"]


async def test_a_service_that_is_gone_or_has_no_port_is_nothing_to_join(autojump_clock):
    found = finds()
    await trio.to_thread.run_sync(found.add_service, Library(None), "k", "n")
    found.remove_service(Library(None), "k", "n")
    with trio.move_on_after(60) as scope:
        await found.batch()
    assert scope.cancelled_caught


def test_the_announcement_has_the_form_of_serfs():
    info = announcement("web", "a b", Address("::1", 7946))
    assert (info.type, info.name) == ("_serf_web._tcp.local.", "a b._serf_web._tcp.local.")
    assert info.text == b"\x12Serf 'web' cluster"
    assert (info.port, info.parsed_addresses()) == (7946, ["::1"])
