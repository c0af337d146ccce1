"""``gossip reachability``: does a query reach all live members, and do the acks return? (serf-wire 8.4)."""

import time

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand
from gossip.errors import CommandFailedError
from gossip.ipc.query_bodies import SendQuery
from gossip.printable import printable

TROUBLESHOOTING = """\
This can have several causes:
* A member died a moment ago, and its failure has not been detected yet.
* Datagrams are lost in one direction: check UDP on the gossip port both ways.
* Two members use the same name: names must be unique."""


@click.command(cls=SerfCommand)
@click.option("--verbose", is_flag=True, help="Show each ack as it arrives.")
@agent_options
def reachability(*, verbose: bool, rpc_addr: str, rpc_auth: str) -> None:
    """Send a ping query to all members and compare the acks with the live members."""
    with connected(rpc_addr, rpc_auth, doing="testing reachability") as client:
        members = client.members()
        live = {member.name for member in members if member.status == "alive"}
        click.echo(f"Total members: {len(members)}, live members: {len(live)}")
        click.echo("Starting reachability test...")
        last = start = time.monotonic()
        acks: list[str] = []
        for record in client.query(SendQuery("_serf_ping")):
            if record.type == "ack":
                acks.append(record.origin)
                last = time.monotonic()
                if verbose:
                    click.echo(f"\tAck from '{printable(record.origin)}'")
    if verbose:
        total = time.monotonic() - start
        click.echo(f"Query time: {total:.2f} sec, time to last response: {last - start:.2f} sec")
    _judge(live, acks)


def _judge(live: set[str], acks: list[str]) -> None:
    missing, strangers = sorted(live - set(acks)), sorted(set(acks) - live)
    if not missing and not strangers:
        click.echo("Successfully contacted all live nodes")
        return
    if strangers:
        click.echo(f"Received acks from {len(strangers)} that are not live: {_names(strangers)}")
    if missing:
        click.echo(f"Failed to receive acks from {len(missing)} live nodes: {_names(missing)}")
    click.echo(TROUBLESHOOTING)
    raise CommandFailedError("Error testing reachability: acks and live members differ")


def _names(names: list[str]) -> str:
    return ", ".join(map(printable, names))
