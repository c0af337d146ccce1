"""Who takes a connection, on loopback."""

import pytest

from lb.haproxy.connect_check import MAX_CONNECTS, find_answering
from tests.real_haproxy import HOST, free_port, web_servers

pytestmark = pytest.mark.trio


async def test_listeners_are_found_and_closed_ports_are_not() -> None:
    async with web_servers("a") as ports:
        places = [(HOST, ports["a"]), (HOST, free_port())]
        assert await find_answering(places) == {places[0]}


async def test_more_places_than_the_limit_are_left_for_later() -> None:
    async with web_servers("a") as ports:
        closed = [(HOST, free_port())] * MAX_CONNECTS
        assert await find_answering([*closed, (HOST, ports["a"])]) == frozenset()
        assert await find_answering([*closed[1:], (HOST, ports["a"])]) == {(HOST, ports["a"])}
