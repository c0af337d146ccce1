"""``gossip query``: query the members, and show their acks and answers (serf-wire 8.4)."""

from collections.abc import Sequence

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand
from gossip.cli.output import format_option, show_json
from gossip.cli.tag_options import parse_tags
from gossip.ipc.query_bodies import SendQuery
from gossip.printable import printable
from gossip.settings.duration import parse_duration


@click.command(cls=SerfCommand)
@click.argument("name")
@click.argument("payload", default="")
@format_option
@click.option("--node", "nodes", metavar="NAME", multiple=True, help="Ask only this member; repeatable.")
@click.option(
    "--tag", metavar="KEY=REGEXP", multiple=True, help="Ask only members with this tag; repeatable."
)
@click.option("--timeout", metavar="DURATION", help="How long to wait.  [default: by the cluster's size]")
@click.option("--no-ack", is_flag=True, help="Do not ask for acknowledgements.")
@click.option(
    "--relay-factor",
    type=click.IntRange(0, 255),
    default=0,
    show_default=True,
    help="Repeat each answer through this many other members.",
)
@agent_options
def query(
    *,
    name: str,
    payload: str,
    output_format: str,
    nodes: Sequence[str],
    tag: Sequence[str],
    timeout: str | None,
    no_ack: bool,
    relay_factor: int,
    rpc_addr: str,
    rpc_auth: str,
) -> None:
    """Send the query NAME, with PAYLOAD, and show the answers until its time is over."""
    request = SendQuery(
        name,
        payload.encode("utf-8", "surrogateescape"),
        tuple(nodes),
        parse_tags(tag),
        not no_ack,
        relay_factor,
        _nanoseconds(timeout) if timeout else 0,
    )
    is_text = output_format == "text"
    acks: list[str] = []
    responses: dict[str, str] = {}
    with connected(rpc_addr, rpc_auth, doing="sending query") as client:
        records = client.query(request)
        if is_text:
            click.echo(f"Query '{printable(name)}' dispatched")
        for record in records:
            if record.type == "ack":
                acks.append(record.origin)
                line = f"Ack from '{printable(record.origin)}'"
            else:
                answer = record.payload.decode("utf-8", "surrogateescape")
                responses[record.origin] = answer
                line = f"Response from '{printable(record.origin)}': {_shown(answer)}"
            if is_text:
                click.echo(line)
    if not is_text:
        show_json({"Acks": acks or None, "Responses": responses})
        return
    if not no_ack:
        click.echo(f"Total Acks: {len(acks)}")
    click.echo(f"Total Responses: {len(responses)}")


def _nanoseconds(timeout: str) -> int:
    try:
        return int(parse_duration(timeout) * 1e9)
    except ValueError as error:
        raise click.UsageError(f"--timeout: {error}", click.get_current_context()) from None


def _shown(answer: str) -> str:
    """Return an answer without its last newline; other line breaks stay."""
    return "\n".join(map(printable, answer.removesuffix("\n").split("\n")))
