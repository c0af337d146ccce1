"""``gossip keys``: list and change the encryption keys of the whole cluster (serf-wire 8.4)."""

import click

from gossip.cli.connection import agent_options, connected
from gossip.cli.dialect import SerfCommand
from gossip.cli.output import columns
from gossip.errors import CommandFailedError
from gossip.ipc.client import KeyChangeError
from gossip.ipc.protocol import Command
from gossip.ipc.query_bodies import KeyReport
from gossip.printable import one_line

WORDS = {
    Command.INSTALL_KEY: ("Installing key", "installed key"),
    Command.USE_KEY: ("Changing primary key", "changed primary key"),
    Command.REMOVE_KEY: ("Removing key", "removed key"),
}


@click.command(cls=SerfCommand)
@click.option("--list", "is_list", is_flag=True, help="List each key and how many members have it.")
@click.option("--install", metavar="KEY", help="Install a key on all members (base64).")
@click.option("--use", metavar="KEY", help="Make an installed key the one that all members encrypt with.")
@click.option("--remove", metavar="KEY", help="Remove a key from all members; never the one in use.")
@agent_options
def keys(
    *,
    is_list: bool,
    install: str | None,
    use: str | None,
    remove: str | None,
    rpc_addr: str,
    rpc_auth: str,
) -> None:
    """Rotate the keys: install the new one, use it, remove the old one."""
    given = {Command.INSTALL_KEY: install, Command.USE_KEY: use, Command.REMOVE_KEY: remove}
    changes = [(command, key) for command, key in given.items() if key is not None]
    context = click.get_current_context()
    if len(changes) + is_list > 1:
        raise click.UsageError("Only one of -install, -use, -remove, or -list allowed", context)
    if is_list:
        _list_keys(rpc_addr, rpc_auth)
    elif changes:
        _change_key(*changes[0], rpc_addr, rpc_auth)
    else:
        raise click.UsageError("nothing to do: give --list, --install, --use or --remove", context)


def _list_keys(rpc_addr: str, rpc_auth: str) -> None:
    with connected(rpc_addr, rpc_auth, doing="listing keys") as client:
        click.echo("==> Asking all members for installed keys...")
        try:
            report, failure = client.change_key(Command.LIST_KEYS), ""
        except KeyChangeError as error:
            report, failure = error.report, str(error)
    _complain(report)
    if failure:
        raise CommandFailedError(f"Failed to gather member keys: {one_line(failure)}")
    click.echo("==> Keys gathered, listing cluster keys...\n")
    rows = [(key, f"[{count}/{report.num_nodes}]") for key, count in sorted((report.keys or {}).items())]
    if rows:
        click.echo(columns(rows))


def _change_key(command: Command, key: str, rpc_addr: str, rpc_auth: str) -> None:
    doing, done = WORDS[command]
    with connected(rpc_addr, rpc_auth, doing=doing[:1].lower() + doing[1:]) as client:
        click.echo(f"==> {doing} on all members...")
        try:
            report = client.change_key(command, key)
        except KeyChangeError as error:
            _complain(error.report)
            raise CommandFailedError(
                f"Error {doing[:1].lower()}{doing[1:]}: {one_line(str(error))}"
            ) from None
    _complain(report)
    click.echo(f"==> Successfully {done}!")


def _complain(report: KeyReport) -> None:
    """Show the members' messages: reasons for failures, or warnings."""
    if report.messages:
        word = "failed:" if report.num_err else "note:"
        click.echo(columns([(word, name, text) for name, text in sorted(report.messages.items())]) + "\n")
