"""``gossip event``: send a user event to all members (serf-wire 8.4)."""

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand
from gossip.printable import printable


@click.command(cls=SerfCommand)
@click.argument("name")
@click.argument("payload", default="")
@click.option(
    "--coalesce/--no-coalesce",
    default=True,
    show_default=True,
    help="Whether members may deliver only the newest of several events with this name.",
)
@agent_options
def event(*, name: str, payload: str, coalesce: bool, rpc_addr: str, rpc_auth: str) -> None:
    """Send the user event NAME, with PAYLOAD, to every member."""
    with connected(rpc_addr, rpc_auth, doing="sending event") as client:
        client.send_event(name, payload.encode("utf-8", "surrogateescape"), coalesce=coalesce)
    click.echo(f"Event '{printable(name)}' dispatched! Coalescing enabled: {str(coalesce).lower()}")
