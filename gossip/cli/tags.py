"""``gossip tags``: change the tags of a running agent (serf-wire 8.4)."""

from collections.abc import Sequence

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand
from gossip.cli.tag_options import parse_tags


@click.command(cls=SerfCommand)
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Set a tag; repeatable.")
@click.option("--delete", metavar="KEY", multiple=True, help="Remove a tag; repeatable.")
@agent_options
def tags(settings: Sequence[str], delete: Sequence[str], rpc_addr: str, rpc_auth: str) -> None:
    """Change the agent's own tags; what is deleted goes first."""
    changes = parse_tags(settings)
    if not changes and not delete:
        raise click.UsageError("nothing to change: give --set or --delete", click.get_current_context())
    with connected(rpc_addr, rpc_auth, doing="setting tags") as client:
        client.change_tags(changes, delete=delete)
    click.echo("Successfully updated agent tags")
