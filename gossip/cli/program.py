"""A program: runs one command line, and turns every outcome into an exit code.

Exit codes: 0 done; 1 failed, or the agent is unreachable; 2 wrong usage or configuration; 130 interrupted.
Both `gossip` and `gossip-lb` end here.
"""

import errno
import gc
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import TextIOWrapper, UnsupportedOperation
from pathlib import Path
from typing import TypeVar

import click

from gossip.errors import CommandFailedError, ConfigError, os_reason
from gossip.printable import one_line

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EPIPE)
"""Errors caused by the output; any other OSError is a bug."""
MAX_COMPLAINT = 2000
"""Characters of an error that are shown."""

_Decorated = TypeVar("_Decorated", bound=Callable[..., object])


def version_option(show: Callable[[], None]) -> Callable[[_Decorated], _Decorated]:
    """Return the flag ``--version`` of a program, which calls `show` and does nothing else."""

    def show_and_exit(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            show()
            ctx.exit()

    return click.option(
        "-v",
        "--version",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show_and_exit,
        help="Show the version and exit.",
    )


def run_process(command: click.Command, name: str) -> int:
    """Run the command line of this process and return its exit code."""
    _fill_closed_descriptors()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # An old locale must not turn a member's name into a traceback.
            stream.reconfigure(errors="backslashreplace")
    code = run_program(command, name, sys.argv[1:])
    # Otherwise the interpreter's last collections walk every module: an eighth of a short command's time.
    gc.freeze()
    return code


def _fill_closed_descriptors() -> None:
    """Open descriptors 0 to 2 if they are closed: otherwise a socket could be mistaken for the output.

    Writing to a closed standard output fails, as it should; writing to standard error is ignored.
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


def run_program(command: click.Command, name: str, args: Sequence[str]) -> int:
    """Run the command line `args` of the program `name` and return its exit code.

    If a reader of the output has gone away, such as `head`, there is no error message, but the exit code is
    1. (While the command runs, click notices first and raises SystemExit.)
    """
    try:
        result = command.main(args, name, standalone_mode=False)
        sys.stdout.flush()  # write errors appear here, not while the interpreter ends
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else name
        reason = error.format_message().rstrip(".")
        return _fail(MISUSED, f"{path}: {reason[:1].lower()}{reason[1:]} (see '{path} --help')")
    except ConfigError as error:
        return _fail(MISUSED, f"{name}: {error}")
    except CommandFailedError as error:
        return _fail(FAILED, str(error))
    except click.Abort:
        return INTERRUPTED
    except OSError as error:
        if error.errno not in OUTPUT_ERRORS:
            raise
        return _give_up_output(name, error)
    return result if isinstance(result, int) else DONE


def _give_up_output(name: str, error: OSError) -> int:
    """Discard the buffered output: otherwise the interpreter would try once more, and complain."""
    # A captured output has no file behind it, and is not flushed at the end.
    with suppress(UnsupportedOperation), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        return FAILED
    reason = "it is closed" if error.errno == errno.EBADF else os_reason(error)
    return _fail(FAILED, f"{name}: cannot write the output: {reason}")


def _fail(code: int, text: str) -> int:
    line = one_line(text)
    if len(line) > MAX_COMPLAINT:  # it repeats the input
        half = MAX_COMPLAINT // 2
        line = f"{line[:half]}…{line[-half:]}"
    click.echo(line, err=True)
    return code
