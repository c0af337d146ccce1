"""Finding other agents by multicast DNS: ``--discover CLUSTER`` (serf-wire 8.1; Serf `mdns.go`).

Every agent announces itself as a service ``_serf_CLUSTER._tcp`` and joins the others that it hears of. The
library `zeroconf` has its own threads; what it finds is passed to Trio, which joins.
"""

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from gossip.agent.start_report import UNSPECIFIED
from gossip.agent.transport import StartError
from gossip.host_port import host_port
from gossip.wire.address import Address, pack_address

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

    from gossip.agent.service import Agent

QUIET = 0.1
"""Seconds without another find before the found agents are joined, as in Serf."""
CLOSE_TIMEOUT = 2.0
"""Seconds for withdrawing the announcement."""
LOOKUP_TIMEOUT_MS = 3000
MAX_FOUND = 256
"""Addresses waiting to be joined; any more are dropped, and found again at their next announcement."""

log = logging.getLogger("gossip.agent")


def service_type(cluster: str) -> str:
    """Return the service type under which the agents of `cluster` announce themselves."""
    return f"_serf_{cluster}._tcp.local."


def announcement(cluster: str, name: str, address: Address) -> "ServiceInfo":
    """Return the announcement of the agent `name` at `address`, in Serf's form."""
    from zeroconf import ServiceInfo

    kind = service_type(cluster)
    text = f"Serf '{cluster}' cluster".encode()
    return ServiceInfo(
        kind,
        f"{name}.{kind}",
        port=address.port,
        addresses=[pack_address(address.host)],
        properties=bytes((len(text),)) + text,
    )


class Finds:
    """Addresses found and not joined yet; filled by the library's threads."""

    def __init__(self, cluster: str, own_name: str, token: trio.lowlevel.TrioToken) -> None:
        self._own = f"{own_name}.{service_type(cluster)}"
        self._token = token
        self._waiting: dict[str, None] = {}
        self._arrived = trio.Event()

    def add_service(self, zeroconf: "Zeroconf", kind: str, name: str) -> None:
        """Record a service; called in a thread of the library."""
        if name == self._own:
            return
        info = zeroconf.get_service_info(kind, name, LOOKUP_TIMEOUT_MS)
        if info is not None and info.port:
            found = [host_port(host, info.port) for host in info.parsed_addresses()]
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self.add, found)

    def update_service(self, zeroconf: "Zeroconf", kind: str, name: str) -> None:
        """Record a service that may have moved; called in a thread of the library."""
        self.add_service(zeroconf, kind, name)

    def remove_service(self, zeroconf: "Zeroconf", kind: str, name: str) -> None:
        """Do nothing: gossip decides whether a member is gone."""

    def add(self, addresses: list[str]) -> None:
        """Record addresses to join; those beyond `MAX_FOUND` are dropped."""
        for address in addresses:
            if len(self._waiting) < MAX_FOUND:
                self._waiting[address] = None
        self._arrived.set()

    async def batch(self) -> list[str]:
        """Return the addresses found, once none has been added for `QUIET` seconds."""
        await self._arrived.wait()
        while self._arrived.is_set():
            self._arrived = trio.Event()
            with trio.move_on_after(QUIET):
                await self._arrived.wait()
        found, self._waiting = list(self._waiting), {}
        return found


async def discover(agent: "Agent") -> None:
    """Announce `agent` and join the announced agents of its cluster, until cancelled.

    Raises:
        StartError: the socket of multicast DNS cannot be opened.
    """
    from zeroconf import ServiceBrowser

    config, driver = agent.config, agent.driver
    me = driver.node.members()[0]
    zeroconf = await trio.to_thread.run_sync(_open, driver.transport.address.host)
    try:
        finds = Finds(config.discover, me.name, trio.lowlevel.current_trio_token())
        info = announcement(config.discover, me.name, me.address)

        def announce() -> None:
            zeroconf.register_service(info, cooperating_responders=True, strict=False)
            ServiceBrowser(zeroconf, service_type(config.discover), listener=finds)  # type: ignore[arg-type]

        await trio.to_thread.run_sync(announce)
        while True:
            await _join(agent, await finds.batch())
    finally:
        with trio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await trio.to_thread.run_sync(zeroconf.close, abandon_on_cancel=True)


def _open(host: str) -> "Zeroconf":
    """Return the library's instance on the interface of `host`, or on all interfaces."""
    from zeroconf import InterfaceChoice, IPVersion, Zeroconf

    version = IPVersion.V6Only if ":" in host else IPVersion.V4Only
    try:
        return Zeroconf(InterfaceChoice.All if host in UNSPECIFIED else [host], ip_version=version)
    except OSError as error:
        raise StartError(f"cannot discover by multicast DNS on {host}: {error.strerror or error}") from None


async def _join(agent: "Agent", found: list[str]) -> None:
    """Join those of `found` that are not members yet; an agent that does not answer is found again."""
    known = {str(member.address) for member in agent.driver.node.members()}
    fresh = [address for address in found if address not in known]
    if not fresh or agent.is_leaving:
        return
    result = await agent.driver.join(fresh, replay=agent.config.replay_on_join)
    if result.contacted:
        log.info("joined discovered agents", extra={"contacted": result.contacted})
    for error in result.errors:
        log.warning("cannot join a discovered agent", extra={"reason": error})
