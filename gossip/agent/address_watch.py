"""Notice that this machine lost the address that peers were told, and stop: a new start chooses another.

A container that is attached to another network has another address, and an agent that shares the network
namespace of a container is left in an empty one when that container is started again.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

import trio

from gossip.agent.interfaces import interface_addresses

if TYPE_CHECKING:
    from gossip.agent.service import Agent

log = logging.getLogger("gossip.agent")

EXIT_MOVED = 3
WATCH_INTERVAL = 1.0
MISSED_LOOKS = 3
"""An address may disappear briefly while an interface is being reconfigured."""


async def watch_address(
    agent: "Agent", addresses: Callable[[], Iterable[tuple[str, str]]] = interface_addresses
) -> None:
    """Stop `agent` with `EXIT_MOVED` when no interface has had its address for three seconds.

    An address that was configured (it may be that of a router), a loopback one, and one that no interface had
    at the start are not watched.
    """
    told = agent.driver.node.members()[0].address.host
    is_ours = not agent.config.advertise and not ip_address(told).is_loopback
    if not is_ours or not _has(addresses(), told):
        return
    missed = 0
    while missed < MISSED_LOOKS:
        await trio.sleep(WATCH_INTERVAL)
        with suppress(OSError):  # out of descriptors: that says nothing about the address
            missed = 0 if _has(addresses(), told) else missed + 1
    log.error("address lost: stopping so that a supervisor can restart the agent", extra={"addr": told})
    agent.stop(EXIT_MOVED)


def _has(addresses: Iterable[tuple[str, str]], host: str) -> bool:
    return any(address == host for _, address in addresses)
