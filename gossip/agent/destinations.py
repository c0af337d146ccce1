"""Where a member may be: the node sends to addresses that peers have named, and they may name any address.

Without this rule, one forged announcement makes every agent send to a multicast group, to a service on its
own loopback interface, or to its own IPC. Addresses given by people (for a join) are not checked.
"""

from functools import lru_cache
from ipaddress import ip_address

from gossip.wire.address import REMEMBERED_ADDRESSES, Address, misfit


class Destinations:
    """Judges addresses for one agent."""

    def __init__(self, bound: Address, advertised: Address, rpc_port: int = 0) -> None:
        """Set this agent's own addresses.

        Args:
            bound: The address of its gossip sockets.
            advertised: The address that peers use.
            rpc_port: The port of its IPC, 0 if that is not TCP.
        """
        self._bound = bound
        self._rpc_port = rpc_port
        self.move(advertised)

    def move(self, advertised: Address) -> None:
        """Start over with the new address that peers use, `advertised`."""
        self._own = (self._bound, advertised)
        self._own_hosts = {self._bound.host, advertised.host}
        self._loopback = any(ip_address(host).is_loopback for host in self._own_hosts)
        self.refusal = lru_cache(maxsize=REMEMBERED_ADDRESSES)(self._refusal)

    def _refusal(self, to: Address) -> str:
        """Return why no member can be at `to`, empty if one can."""
        if found := misfit(to.host):
            return f"the address is {found}"
        is_loopback = ip_address(to.host).is_loopback
        if is_loopback and not self._loopback:
            return "the address is loopback, and this agent's is not"
        if to in self._own:
            return "the address is this agent's own"
        if self._rpc_port and to.port == self._rpc_port and (is_loopback or to.host in self._own_hosts):
            return "the address is this agent's own IPC"
        return ""
