"""``gossip leave``: make a running agent leave its cluster and stop (serf-wire 8.4)."""

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand


@click.command(cls=SerfCommand)
@agent_options
def leave(rpc_addr: str, rpc_auth: str) -> None:
    """Let the agent leave the cluster gracefully and stop."""
    with connected(rpc_addr, rpc_auth, doing="leaving") as client:
        client.leave()
    click.echo("Graceful leave complete")
