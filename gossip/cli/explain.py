"""``gossip explain``: why a member is suspected or failed, and who reported it."""

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand
from gossip.cli.output import format_option, show_json
from gossip.errors import CommandFailedError
from gossip.ipc.client import CommandRefusedError
from gossip.ipc.protocol import UNSUPPORTED_COMMAND
from gossip.printable import one_line, printable


@click.command(cls=SerfCommand)
@click.argument("name")
@format_option
@agent_options
def explain(name: str, output_format: str, rpc_addr: str, rpc_auth: str) -> None:
    """Tell why the member NAME was suspected, failed or came back, and who said so.

    The agent tells what it saw itself and what it was told; another agent may have seen it otherwise.
    """
    from gossip.cli.case_story import as_json, tell

    with connected(rpc_addr, rpc_auth, doing=f"explaining {one_line(name)}") as client:
        try:
            explanation = client.explain(name)
        except CommandRefusedError as error:
            if str(error) != UNSUPPORTED_COMMAND:
                raise
            raise CommandFailedError(
                f"Error explaining {one_line(name)}: the agent at {rpc_addr} keeps no evidence: "
                "it is Serf's, or an older gossip agent"
            ) from None
    if not explanation.is_known and not explanation.entries:
        raise CommandFailedError(
            f"Error explaining {one_line(name)}: no member has this name (see 'gossip members')"
        )
    if output_format == "json":
        show_json(as_json(explanation))
    else:
        for line in tell(explanation):
            click.echo(printable(line))
