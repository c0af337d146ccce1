"""The command ``gossip``: finds the sub-command.

Sub-commands are imported when they are called: `gossip members` must not pay for importing an agent.
"""

from collections.abc import Sequence
from importlib import import_module

import click

from gossip.cli.dialect import SerfGroup
from gossip.cli.program import MISUSED, run_process, run_program, version_option

PROGRAM = "gossip"

COMMANDS = {
    "agent": "gossip.cli.agent",
    "completion": "gossip.cli.completion",
    "doctor": "gossip.cli.doctor",
    "event": "gossip.cli.event",
    "explain": "gossip.cli.explain",
    "force-leave": "gossip.cli.force_leave",
    "info": "gossip.cli.info",
    "join": "gossip.cli.join",
    "keygen": "gossip.cli.keygen",
    "keys": "gossip.cli.keys",
    "leave": "gossip.cli.leave",
    "members": "gossip.cli.members",
    "monitor": "gossip.cli.monitor",
    "query": "gossip.cli.query",
    "reachability": "gossip.cli.reachability",
    "record": "gossip.cli.record",
    "rtt": "gossip.cli.rtt",
    "sim": "gossip.cli.sim",
    "tags": "gossip.cli.tags",
    "version": "gossip.cli.version",
}
"""The module of each sub-command; the function in it has the command's name."""


class LazyGroup(SerfGroup):
    """The top-level command; imports each sub-command when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the sub-commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a sub-command, None if it does not exist."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command


def _show_version() -> None:
    from gossip.cli.version import show_version

    show_version()


@click.group(
    cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@version_option(_show_version)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Run and ask membership agents that speak Serf's protocols.

    Flags may be written as Serf writes them, with one dash.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(MISUSED)


def main() -> int:
    """Run the command line of this process and return its exit code."""
    return run_process(cli, PROGRAM)


def run(args: Sequence[str]) -> int:
    """Run the command line `args` and return its exit code."""
    return run_program(cli, PROGRAM, args)
