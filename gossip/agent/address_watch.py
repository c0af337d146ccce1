"""Notices that this machine has lost the address that peers know.

An agent that listens on all addresses announces its new one: its container was disconnected from a network
and reconnected, or a lease ran out. An agent whose sockets are bound to the lost address stops, and so does
one without any address for a while: a sidecar is left in an empty network namespace when its container
restarts. A supervisor then restarts the agent.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

import trio

from gossip.agent.interfaces import choose_address, interface_addresses
from gossip.agent.start_report import UNSPECIFIED
from gossip.agent.transport import StartError
from gossip.errors import LocalProtocolError
from gossip.wire.address import Address, pack_address

if TYPE_CHECKING:
    from gossip.agent.service import Agent

log = logging.getLogger("gossip.agent")

EXIT_MOVED = 3
WATCH_INTERVAL = 1.0
MISSED_LOOKS = 3
"""An address may disappear briefly while an interface is being reconfigured."""
MAX_LOOKS_WITHOUT = 10
"""After this many checks without any address, the network will not come back by itself."""

Row = tuple[str, str]
"""An interface and one of its addresses."""
Look = Callable[[], Iterable[Row]]


async def watch_address(agent: "Agent", addresses: Look = interface_addresses) -> None:
    """Follow the address of `agent`; stop it with `EXIT_MOVED` when it can no longer be reached.

    Not watched are an address that was configured (it may be a router's), a loopback address that was bound,
    and one that no interface had at the start.
    """
    told, bound = agent.driver.node.members()[0].address, agent.driver.transport.address.host
    if agent.config.advertise:
        return
    place = _Place(told.host, addresses(), may_move=bound in UNSPECIFIED, ipv6=":" in bound)
    if not (place.is_known or (place.is_loopback and place.may_move)):
        return
    missed = 0
    while True:
        await trio.sleep(WATCH_INTERVAL)
        try:
            present = list(addresses())
        except OSError:  # out of descriptors: this says nothing about the address
            continue
        missed = 0 if place.is_in(present) else missed + 1
        if missed < MISSED_LOOKS:
            continue
        if new := place.other(present):
            told = _move(agent, told, new)
            place, missed = _Place(new, present, may_move=True, ipv6=place.ipv6), 0
        elif place.is_lost(missed):
            break
    log.error("address lost: stopping so that a supervisor can restart the agent", extra={"addr": told.host})
    agent.stop(EXIT_MOVED)


class _Place:
    """The address that peers know, and the machine's other addresses at the time it was announced."""

    def __init__(self, host: str, present: Iterable[Row], *, may_move: bool, ipv6: bool) -> None:
        rows = list(present)
        self.may_move = may_move
        self.ipv6 = ipv6
        self.is_loopback = ip_address(host).is_loopback
        self.is_known = not self.is_loopback and any(address == host for _, address in rows)
        self._host = host
        self._before = {address for _, address in rows}
        self._interfaces = {name for name, address in rows if address == host and not self.is_loopback}

    def is_in(self, present: Iterable[Row]) -> bool:
        """Tell whether peers can reach the agent; loopback is announced only for lack of another address."""
        return not self.is_loopback and any(address == self._host for _, address in present)

    def other(self, present: Iterable[Row]) -> str:
        """Return the address to announce instead, empty if there is none.

        It belongs to the same interface, or is new: a bridge that was always there leads nowhere.
        """
        if not self.may_move:
            return ""
        rows = [row for row in present if row[0] in self._interfaces or row[1] not in self._before]
        try:
            host = choose_address(rows, ipv6=self.ipv6)
        except StartError:
            return ""
        return "" if ip_address(host).is_loopback else host

    def is_lost(self, missed: int) -> bool:
        """Tell whether to give up after `missed` checks in a row."""
        return not self.is_loopback and (not self.may_move or missed >= MAX_LOOKS_WITHOUT)


def _move(agent: "Agent", told: Address, host: str) -> Address:
    """Announce that the agent is at `host` now; return the address that peers know."""
    here = Address(host, told.port)
    log.warning("address changed: announcing the new one", extra={"addr": here, "previous": told})
    agent.driver.destinations.move(here)
    with suppress(LocalProtocolError):  # it is leaving: no peer will look for it any more
        agent.driver.apply(lambda node, now: node.move(pack_address(host), now))
    return here
