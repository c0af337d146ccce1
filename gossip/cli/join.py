"""``gossip join``: make a running agent join a cluster (serf-wire 8.4)."""

from collections.abc import Sequence

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand


@click.command(cls=SerfCommand)
@click.argument("addresses", metavar="ADDRESS...", nargs=-1)
@click.option("--replay", is_flag=True, help="Replay user events from before the join.")
@agent_options
def join(addresses: Sequence[str], replay: bool, rpc_addr: str, rpc_auth: str) -> None:
    """Tell the agent to join a cluster through any of the addresses, HOST[:PORT] each."""
    if not addresses:
        raise click.UsageError("at least one address to join must be given", click.get_current_context())
    with connected(rpc_addr, rpc_auth, doing="joining the cluster") as client:
        contacted = client.join(addresses, replay=replay)
    click.echo(f"Successfully joined cluster by contacting {contacted} nodes.")
