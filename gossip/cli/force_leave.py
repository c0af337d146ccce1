"""``gossip force-leave``: declare a failed member to have left (serf-wire 8.4)."""

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand


@click.command("force-leave", cls=SerfCommand)
@click.argument("node", metavar="NODE")
@click.option("--prune", is_flag=True, help="Remove the member from the list as well.")
@agent_options
def force_leave(node: str, prune: bool, rpc_addr: str, rpc_auth: str) -> None:
    """Declare the failed member NODE to have left for good.

    A member that is still alive will come back by itself.
    """
    with connected(rpc_addr, rpc_auth, doing="force leaving") as client:
        client.force_leave(node, prune=prune)
