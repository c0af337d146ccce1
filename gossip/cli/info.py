"""``gossip info``: an agent's counters and facts about itself (serf-wire 6.5, 8.4)."""

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand
from gossip.cli.output import format_option, show_json
from gossip.printable import printable


@click.command(cls=SerfCommand)
@format_option
@agent_options
def info(output_format: str, rpc_addr: str, rpc_auth: str) -> None:
    """Show the agent's state and counters."""
    with connected(rpc_addr, rpc_auth, doing="querying agent") as client:
        stats = client.stats()
    sections = {section: dict(sorted(values.items())) for section, values in sorted(stats.items())}
    if output_format == "json":
        show_json(sections)
        return
    for section, values in sections.items():
        click.echo(f"{printable(section)}:")
        for key, value in values.items():
            click.echo(f"\t{printable(key)} = {printable(value)}")
