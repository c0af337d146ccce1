"""``gossip completion``: the script that lets a shell complete commands and flags."""

import click

from gossip.cli.dialect import SerfCommand

PROGRAM = "gossip"
SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_GOSSIP_COMPLETE"


@click.command(cls=SerfCommand)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    For example: eval "$(gossip completion bash)"
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click knows all of SHELLS
    click.echo(kind(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
