"""``gossip version``: this program's version and the protocol it speaks (serf-wire 8.4)."""

import click

import gossip
from gossip.cli.dialect import SerfCommand

PROTOCOL_VERSION = 5
OLDEST_PROTOCOL_VERSION = 2


@click.command(cls=SerfCommand)
def version() -> None:
    """Show the version of this program and of the protocol."""
    show_version()


def show_version() -> None:
    """Print both versions."""
    click.echo(gossip.__version__)
    click.echo(f"Agent Protocol: {PROTOCOL_VERSION} (Understands back to: {OLDEST_PROTOCOL_VERSION})")
