"""``gossip rtt``: the estimated round trip between two members (serf-wire 5.9, 8.4)."""

from math import isfinite

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand
from gossip.cli.go_syntax import go_syntax
from gossip.errors import CommandFailedError
from gossip.ipc.coordinate_bodies import FoundCoordinate
from gossip.printable import printable


@click.command(cls=SerfCommand)
@click.argument("node", metavar="NODE1")
@click.argument("other", metavar="[NODE2]", required=False)
@agent_options
def rtt(node: str, other: str | None, rpc_addr: str, rpc_auth: str) -> None:
    """Estimate the round trip between two members, from their network coordinates.

    Without NODE2 it is the one between NODE1 and the agent that is asked.
    """
    with connected(rpc_addr, rpc_auth, doing="getting coordinates") as client:
        nodes = (node, other or client.stats()["agent"]["name"])
        found = [client.coordinate(name) for name in nodes]
    for name, coordinate in zip(nodes, found, strict=True):
        if not coordinate.is_known:
            raise CommandFailedError(f"Could not find a coordinate for node {go_syntax(name)}")
    estimate = _estimate_ms(*found)
    first, second = map(printable, nodes)
    click.echo(f"Estimated {first} <-> {second} rtt: {estimate:.3f} ms")


def _estimate_ms(*found: FoundCoordinate) -> float:
    from gossip.serf.coordinate import estimate  # it imports msgspec, which no other command needs
    from gossip.wire.coordinate_codec import Coordinate

    a, b = (Coordinate(each.vec, each.error, each.adjustment, each.height) for each in found)
    if len(a.vec) != len(b.vec) or not all(map(isfinite, (*a.vec, *b.vec, a.height, b.height))):
        raise CommandFailedError("Error getting coordinates: the agent's coordinates do not fit together")
    return estimate(a, b) * 1000.0
