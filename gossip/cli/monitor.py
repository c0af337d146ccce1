"""``gossip monitor``: an agent's log lines and events as they arrive (serf-wire 6.4, 8.4)."""

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand
from gossip.cli.go_syntax import go_syntax
from gossip.errors import CommandFailedError, GossipError
from gossip.ipc.bodies import LogLine, Record, StreamEvent
from gossip.ipc.client import Client
from gossip.printable import one_line, printable


@click.command(cls=SerfCommand)
@click.option(
    "--log-level",
    metavar="LEVEL",
    default="info",
    show_default=True,
    help="Lowest level to show: trace, debug, info, warn or err.",
)
@agent_options
def monitor(log_level: str, rpc_addr: str, rpc_auth: str) -> None:
    """Show the agent's latest log lines, then lines and events as they come, until interrupted."""
    with connected(rpc_addr, rpc_auth, doing="starting monitor") as client:
        subscriptions = [client.stream("*"), client.monitor(log_level)]
        try:
            for pushed in client.records():
                _show(pushed.record)
        except KeyboardInterrupt:
            _stop(client, subscriptions)
            return
        except GossipError as error:
            raise CommandFailedError(f"Error monitoring: {one_line(str(error))}") from None
        raise CommandFailedError(f"Error monitoring: agent at {client.address} closed the connection")


def _show(record: Record) -> None:
    if isinstance(record, LogLine):
        click.echo(printable(record.log))
        return
    assert isinstance(record, StreamEvent)  # no other subscription is open
    click.echo("Event Info:")
    for key, value in sorted(record.fields.items()):
        click.echo(f"\t{printable(key)}: {go_syntax(value)}")


def _stop(client: Client, subscriptions: list[int]) -> None:
    """End the subscriptions, latest first; the connection ends anyway, so this may fail."""
    try:
        for subscription in reversed(subscriptions):
            client.stop(subscription)
    except GossipError:
        return
