"""The command ``gossip``: finds the sub-command, runs it, turns every outcome into an exit code.

Sub-commands are imported when they are called: `gossip members` must not pay for what runs an agent.
Exit codes: 0 done; 1 failed, or the agent is unreachable; 2 wrong usage or configuration.
"""

import errno
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper, UnsupportedOperation
from pathlib import Path

import click

from gossip.cli.dialect import SerfGroup
from gossip.cli.output import one_line
from gossip.errors import CommandFailedError, ConfigError

PROGRAM = "gossip"
DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""What may be wrong with the output; a reader that went away (EPIPE) is click's business."""

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
"""Where each sub-command lives; the function in the module has the command's name."""


class LazyGroup(SerfGroup):
    """The top-level command; imports a sub-command when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the sub-commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a sub-command, or None if there is no such."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command


def _show_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from gossip.cli.version import show_version

        show_version()
        ctx.exit()


@click.group(
    cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "-v",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Run and ask membership agents that speak Serf's protocols.

    Flags may be written as Serf writes them, with one dash.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(MISUSED)


def main() -> int:
    """Run the command line of this process, which is to end with the exit code returned."""
    _fill_closed_descriptors()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # An old locale must not turn a member's name into a traceback.
            stream.reconfigure(errors="backslashreplace")
    code = run(sys.argv[1:])
    # Or the interpreter's last collections walk every module: an eighth of a short command's time.
    gc.freeze()
    return code


def _fill_closed_descriptors() -> None:
    """Put something at descriptors 0 to 2 if they are closed: a socket must not be taken for the output.

    What is written to a closed standard output fails, as it should; standard error is there to be ignored.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free number is `fd`.
            os.open(os.devnull, os.O_WRONLY if fd == 2 else os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def run(args: Sequence[str]) -> int:
    """Run the command line `args` and return its exit code."""
    try:
        result = cli.main(args, PROGRAM, standalone_mode=False)
        sys.stdout.flush()  # what cannot be written shows here, not while the interpreter ends
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else PROGRAM
        reason = error.format_message().rstrip(".")
        return _fail(MISUSED, f"{command}: {reason[:1].lower()}{reason[1:]} (see '{command} --help')")
    except ConfigError as error:
        return _fail(MISUSED, f"{PROGRAM}: {error}")
    except CommandFailedError as error:
        return _fail(FAILED, str(error))
    except click.Abort:
        return INTERRUPTED
    except OSError as error:
        if error.errno not in OUTPUT_ERRORS:
            raise
        _discard_output()
        reason = "it is closed" if error.errno == errno.EBADF else os.strerror(error.errno).lower()
        return _fail(FAILED, f"{PROGRAM}: cannot write the output: {reason}")
    return result if isinstance(result, int) else DONE


def _discard_output() -> None:
    """Let what is still buffered go nowhere: the interpreter would try once more, and complain."""
    # A captured output has no file behind it, and nobody flushes it at the end.
    with suppress(UnsupportedOperation), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _fail(code: int, text: str) -> int:
    click.echo(one_line(text), err=True)
    return code
